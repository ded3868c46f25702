"""The three steps together: cache, what-ifs, beam search, the trace."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from backend.data.history import distinct
from backend.generation.beam import prefix_beam
from backend.generation.catalogue import PrefixIndex
from backend.generation.generator import Generator
from backend.generation.request import Request
from backend.settings import FusionSettings
from tests.generation.conftest import Make
from tests.generation.test_fusion import naive_hidden
from tests.model.test_losses import naive_code_logits

ASKED = Request(user="u3", instruction="something in snacks", fusion=FusionSettings(beams=4, per_prefix=8, top=12))


def equal(left: pd.DataFrame, right: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(left, right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("levels", [1, 2])
def test_a_cached_prompt_gives_the_answer_of_a_fresh_one(make: Make, levels: int) -> None:
    generator = make(prefix_levels=levels)
    first = generator.recommend(ASKED)
    generator.recommend(
        ASKED.model_copy(update={"max_price": 4.0, "fusion": FusionSettings(beams=6, tau=0.5)})
    )  # fills the cache differently
    again, fresh = generator.recommend(ASKED), make(prefix_levels=levels).recommend(ASKED)
    for other in (again, fresh):
        equal(first.fused, other.fused)
        equal(first.subsets, other.subsets)
        equal(first.prefixes.drop(columns="codes"), other.prefixes.drop(columns="codes"))


def test_a_moved_filter_runs_no_prompt_again(generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    generator.recommend(ASKED)
    monkeypatch.setattr(generator.model, "collate", lambda trees: pytest.fail("the prompt ran again"))
    generator.recommend(ASKED.model_copy(update={"category": "Snacks"}))
    generator.recommend(ASKED.model_copy(update={"fusion": FusionSettings(tau=1.0)}))


def test_old_prompts_are_let_go(generator: Generator) -> None:
    for number in range(12):
        generator.recommend(ASKED.model_copy(update={"user": f"u{number}"}))
    assert len(generator.runner._states) == 8


@torch.inference_mode()
def test_what_is_computed_behind_the_cache_is_what_a_whole_line_gives(make: Make) -> None:
    generator = make(prefix_levels=2)
    shopper, model = generator.shoppers.resolve(ASKED), generator.model
    tokens, state = generator.prompt(shopper, "something in snacks")
    prefixes = generator.index.last.codes[:5]
    found, weights = generator.runner.queries(state, prefixes)
    for row, prefix in enumerate(prefixes.tolist()):
        hidden = naive_hidden(generator, tokens, tuple(prefix), query=True)
        wish = state.known.wish
        h = model.query_vectors(hidden, state.known.taste, wish.words, wish.pulls).numpy().ravel()
        np.testing.assert_allclose(found[row], h, atol=2e-4)
        np.testing.assert_allclose(weights[row], wish.weights[0].numpy(), atol=2e-4)
    assert state.cache.get_seq_length() == state.length, "the cache is left as it was"
    for length in (0, 1):
        behind = generator.index.levels[length].codes[:2]
        for row, prefix in enumerate(behind.tolist()):
            hidden = naive_hidden(generator, tokens, tuple(prefix), query=False)
            logits = naive_code_logits(model, hidden, state.known, tuple(prefix))
            found_row = generator.runner.code_log_probs(state, behind)[row]
            np.testing.assert_allclose(np.exp(found_row), torch.softmax(logits, -1).numpy(), atol=2e-4)


def test_a_dropped_item_leaves_the_prompt(generator: Generator) -> None:
    before = generator.recommend(ASKED)
    last = before.prompt[before.prompt["item"] >= 0].iloc[-1]
    dropped = str(generator.dataset.items["item_id"].iat[int(last["item"])])
    after = generator.recommend(ASKED.model_copy(update={"dropped": (dropped,)}))
    assert int(last["item"]) not in set(after.prompt["item"])
    assert not after.fused.loc[after.fused["item"] == last["item"], "seen"].any()
    assert after.fused["score"].tolist() != before.fused["score"].tolist()


@pytest.mark.parametrize("levels", [1, 2])
def test_a_forced_prefix_holds_the_whole_list(make: Make, levels: int) -> None:
    generator = make(prefix_levels=levels)
    for codes in (tuple(generator.index.levels[1].codes[3].tolist()), tuple(generator.index.last.codes[4].tolist())):
        trace = generator.recommend(ASKED.model_copy(update={"forced_prefix": codes}))
        assert len(trace.fused)
        assert (generator.sids[trace.fused["item"], : len(codes)] == codes).all()
        assert trace.prefixes["forced"].any()


def test_a_forced_prefix_without_a_legal_item_gives_an_empty_list(generator: Generator) -> None:
    code = int(generator.sids[0, 0])
    stock = tuple(generator.dataset.items["item_id"][generator.sids[:, 0] != code])
    assert generator.recommend(ASKED.model_copy(update={"forced_prefix": (code,), "stock": stock})).fused.empty


def test_a_history_of_ones_own(generator: Generator) -> None:
    trace = generator.recommend(ASKED.model_copy(update={"history": ("t-010", "t-020", "t-010")}))
    assert [item for item in trace.prompt["item"] if item >= 0] == [20, 10], "oldest last purchase first"
    assert set(trace.fused.loc[trace.fused["seen"], "item"]) <= {10, 20}
    assert distinct(np.array([10, 20, 10]), np.zeros(3)).counts.tolist() == [1, 2]


def test_rank_without_apf_is_a_ranking_of_the_candidates(generator: Generator) -> None:
    trace = generator.recommend(ASKED)
    plain = generator.recommend(ASKED.model_copy(update={"fusion": ASKED.fusion.model_copy(update={"apf": False})}))
    expected = dict(zip(plain.fused["item"], plain.fused["rank"], strict=True))
    for item, rank in zip(trace.fused["item"], trace.fused["rank_without_apf"], strict=True):
        assert expected.get(item, rank) == rank


def test_top1_prefix_keeps_the_best_only(generator: Generator) -> None:
    whole = generator.recommend(ASKED)
    best = whole.prefixes.loc[whole.prefixes["legal"]].sort_values("probability").iloc[-1]["prefix"]
    fusion = ASKED.fusion.model_copy(update={"top1_prefix": True})
    assert set(generator.recommend(ASKED.model_copy(update={"fusion": fusion})).fused["prefix"]) == {best}


def test_the_trace_as_json_names_its_items(generator: Generator) -> None:
    import json

    trace = generator.recommend(ASKED)
    found = json.loads(trace.to_json(generator.dataset.items))
    assert found["fused"][0]["title"] == generator.dataset.items["title"].iat[int(trace.fused["item"].iat[0])]
    assert found["request"]["user"] == "u3"
    assert found["request"]["reading"]["task"]
    assert {"special", "profile", "history", "instruction"} == {row["kind"] for row in found["prompt"]}


# beam search


@pytest.mark.parametrize("beams", [1, 3, 100])
def test_beam_search_against_all_prefixes(beams: int) -> None:
    rng = np.random.default_rng(beams)
    sids = rng.integers(4, size=(40, 3))
    index = PrefixIndex(sids, 2)
    first = np.log(rng.dirichlet(np.ones(4)))
    second = np.log(rng.dirichlet(np.ones(4), size=4))

    def log_probs(prefixes: np.ndarray) -> np.ndarray:
        return first[None] if prefixes.shape[1] == 0 else second[prefixes[:, 0]]

    allowed = rng.random(40) < 0.5
    legal = {tuple(sid[:2]) for sid, keep in zip(sids.tolist(), allowed, strict=True) if keep}
    if beams == 100:
        best = sorted(legal, key=lambda codes: -(first[codes[0]] + second[codes[0], codes[1]]))
    else:  # greedy by level, as a beam is
        heads = sorted({codes[0] for codes in legal}, key=lambda code: -first[code])[:beams]
        pairs = [codes for codes in itertools.product(heads, range(4)) if codes in legal]
        best = sorted(pairs, key=lambda codes: -(first[codes[0]] + second[codes[0], codes[1]]))[:beams]
    found = prefix_beam(index, log_probs, beams, allowed)
    assert [tuple(codes) for codes in index.last.codes[found.rows].tolist()] == best
    np.testing.assert_allclose(found.log_phi, [first[a] + second[a, b] for a, b in best])
    for step in found.considered:
        assert (step.counts > 0).tolist() == step.legal.tolist()


def test_no_legal_item_no_beam() -> None:
    index = PrefixIndex(np.array([[0, 1], [1, 0]]), 2)
    found = prefix_beam(index, lambda prefixes: np.zeros((len(prefixes), 2)), 3, np.zeros(2, bool))
    assert not len(found.rows)


def test_the_index_against_a_dictionary() -> None:
    sids = np.random.default_rng(1).integers(3, size=(30, 4))
    index = PrefixIndex(sids, 3)
    allowed = np.random.default_rng(2).random(30) < 0.4
    for length in (1, 2, 3):
        level = index.levels[length]
        counts = index.legal_counts(length, allowed)
        for row, codes in enumerate(level.codes.tolist()):
            inside = (sids[:, :length] == codes).all(1)
            assert counts[row] == (inside & allowed).sum()
            assert (index.levels[length - 1].codes[level.parent[row]] == codes[:-1]).all()
            assert index.row(tuple(codes)) == row
    assert index.row((9, 9, 9)) is None
    assert index.row((0, 0, 0, 0)) is None, "longer than ℓ: no such prefix here"


def test_a_trace_tells_the_demand_that_was_heard(generator: Generator) -> None:
    trace = generator.recommend(ASKED)
    heard = generator.model.listen([trace.request["reading"]["instruction"]]).demand[0].tolist()
    assert trace.demand == pytest.approx(dict(zip(generator.model.listen.tasks, heard, strict=True)))
    assert json.loads(trace.to_json())["demand"] == pytest.approx(trace.demand)


def test_other_offers_are_another_state(generator: Generator) -> None:
    shopper = generator.shoppers.resolve(ASKED)
    record = generator.records.of(shopper.items, shopper.days, shopper.steps, deals=generator.records.deals_now)
    tokens = generator.runner.tokens(shopper, "whatever is on offer")
    state = generator.runner.prompt_state(tokens, record)
    assert generator.runner.prompt_state(tokens, record) is state
    assert generator.runner.prompt_state(tokens, replace(record, deals=~generator.records.deals_now)) is not state


def test_a_trace_tells_how_many_items_belong_to_what_is_asked(generator: Generator) -> None:
    trace = generator.recommend(ASKED)
    shopper = generator.shoppers.resolve(ASKED)
    own = generator.records.of(shopper.items, shopper.days, shopper.steps, deals=generator.records.deals_now)
    said = generator.model.listen.pools_of(trace.request["reading"]["instruction"])  # type: ignore[attr-defined]
    expected = {task: int(pool.sum()) for task, pool in said.items()}
    expected |= {
        "Discover": int((own.lately == 0).sum()),
        "Replenish": int(own.due.sum()),
        "Deals": int(generator.records.deals_now.sum()),
    }
    assert trace.pools == expected
    assert json.loads(trace.to_json())["pools"] == expected


def test_where_bought_items_are_hidden_the_repeat_prior_has_a_weight_of_its_own(generator: Generator) -> None:
    def fused(seen: str, **changes: float) -> pd.DataFrame:
        fusion = ASKED.fusion.model_copy(update=changes)
        return generator.recommend(ASKED.model_copy(update={"seen": seen, "fusion": fusion})).fused

    equal(fused("hide", repeat_weight=2.0, repeat_hidden=0.25), fused("hide", repeat_weight=0.5))
    equal(fused("allow", repeat_weight=2.0, repeat_hidden=0.25), fused("allow", repeat_weight=2.0))
    hidden, plain = fused("hide", repeat_weight=2.0, repeat_hidden=0.25), fused("hide", repeat_weight=2.0)
    assert not np.allclose(hidden["score"], plain["score"])
