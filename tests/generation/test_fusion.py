"""Adaptive probabilistic fusion: against the formula computed naively over the whole catalogue, and its properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.data.record import Record
from backend.data.schema import Dataset
from backend.generation import subset
from backend.generation.fusion import fuse, item_log_probs, sigma
from backend.generation.generator import Generator
from backend.generation.request import Request
from backend.generation.trace import Trace
from backend.model.batch import Known
from backend.model.instruction import GATES
from backend.model.loading import LIKELY
from backend.model.prompt import QUERY, SID, SPECIAL, Tokens
from backend.settings import FusionSettings
from tests.generation.conftest import Make
from tests.model.test_losses import naive_code_logits, naive_known
from tests.small import small_model, words_of

EVERYTHING = {"beams": 4096, "per_prefix": 10_000, "top": 1000}
PAPER = {"repeat_weight": 0.0, "popularity_weight": 0.0}  # the paper's formula alone, without our priors


@torch.inference_mode()
def naive_hidden(generator: Generator, tokens: Tokens, codes: tuple[int, ...], query: bool) -> torch.Tensor:
    """Hidden state of the last token of the prompt with a prefix (and `<q>`) behind it; no cache, no tree, no batch."""
    line = Tokens(**{name: list(getattr(tokens, name)) for name in vars(tokens)})
    position = max(line.position) + 1
    for level, code in enumerate(codes):
        line.append(SID, level * generator.model.codes + code, 1, 1, position + level)
    if query:
        line.append(SPECIAL, QUERY, 1, 1, position + len(codes))
    batch = generator.model.collate([line])
    return generator.model.encode(batch, generator.model.soft_tokens(), words_of(generator.model, batch))[0, -1]


@torch.inference_mode()
def naive_readings(generator: Generator, tokens: Tokens, instruction: str, record: Record) -> Known:
    """The likeliest reading, with log Σ P(d) P(i|d) − log P(i|d*) of every item as nearness."""
    model = generator.model
    heard = model.listen([instruction]).demand[0].tolist()
    top = max(range(len(heard)), key=lambda demand: heard[demand])
    state = naive_hidden(generator, tokens, (), query=False)
    shares, each = {}, {}
    for demand, share in enumerate(heard):
        if demand != top and share < LIKELY:
            continue
        known = naive_known(model, [record], instruction, torch.eye(len(heard))[demand])
        wish = known.wish
        h = model.query_vectors(state, known.taste[0], wish.words[0], wish.pulls[0]).ravel()
        sure, *of_terms = wish.weights[0].tolist()
        logits = []
        for item in range(len(model.store)):
            near = float(wish.share[0]) * float(h @ known.soft[item]) + float(wish.named[0, item])
            prior = sum(weight * float(term) for weight, term in zip(of_terms, known.terms[0, item], strict=True))
            logits.append(sure * near / model.settings.tau + prior)
        shares[demand], each[demand] = share, torch.softmax(torch.tensor(logits), 0)
    known = naive_known(model, [record], instruction, torch.eye(len(heard))[top])
    sure = float(known.wish.weights[0, 0])
    if sure:  # else the model has no nearness
        mixed = sum(share / sum(shares.values()) * each[demand] for demand, share in shares.items())
        known.wish.named = known.wish.named + (torch.log(mixed) - torch.log(each[top])) * model.settings.tau / sure
    return known


@torch.inference_mode()
def naive_fusion(generator: Generator, request: Request, allowed: set[int]) -> dict[int, float]:
    """P(v_i|T) = φ_k · exp(s·cos σ/τ + priors) / Σ exp(s·cos σ/τ + priors), in loops over every prefix and every item (SIGMA eq. APF).

    With both prior weights 0 and a sureness s of 1 this is the paper's formula.
    """
    model, fusion = generator.model, request.fusion
    shopper = generator.shoppers.resolve(request)
    instruction = generator.read(request.instruction).instruction
    tokens = generator.runner.tokens(shopper, instruction)
    record = generator.records.of(shopper.items, shopper.days, shopper.steps)
    known = naive_readings(generator, tokens, instruction, record)
    soft, terms = known.soft, known.terms[0]
    members: dict[tuple[int, ...], list[int]] = {}
    for item in sorted(allowed):
        members.setdefault(tuple(model.store.sids[item, : model.levels].tolist()), []).append(item)
    phi: dict[tuple[int, ...], float] = {}
    for prefix in members:
        phi[prefix] = 1.0
        for level in range(model.levels):
            state = naive_hidden(generator, tokens, prefix[:level], query=False)
            logits = naive_code_logits(model, state, known, prefix[:level])
            if (
                level == 0
            ):  # the weight moves the logits between "as if nothing were known of the household's receipts" and the whole
                bare = naive_code_logits(model, state, known, (), repeat=False)
                logits = bare + fusion.repeat_weight * (logits - bare)
            phi[prefix] *= float(torch.softmax(logits, -1)[prefix[level]])
    values = list(phi.values())
    if fusion.sigma_domain == "renormalised":
        values = [value / sum(values) for value in values]
    if fusion.sigma_domain == "log":
        values = [math.log(value) for value in values]
    mean = sum(values) / len(values)
    spread = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values)) if len(values) > 1 else 1.0
    if not fusion.apf:
        spread = 1.0
    scores: dict[int, float] = {}
    for prefix, items in members.items():
        state = naive_hidden(generator, tokens, prefix, query=True)
        wish = known.wish
        h = model.query_vectors(state, known.taste[0], wish.words[0], wish.pulls[0]).ravel()
        sure, *of_terms, popularity, lately = wish.weights[0].tolist()
        weights = {}
        for item in items:
            near = float(wish.share[0]) * float(h @ soft[item]) + float(wish.named[0, item])
            repeat = sum(weight * float(term) for weight, term in zip(of_terms, terms[item, :-2], strict=True))
            popular = popularity * float(terms[item, -2]) + lately * float(terms[item, -1])
            weights[item] = math.exp(
                sure * near * spread / fusion.tau + fusion.repeat_weight * repeat + fusion.popularity_weight * popular
            )
        total = sum(weights.values())
        for item in items:
            scores[item] = phi[prefix] * weights[item] / total
    return scores


def same_list(trace: Trace, naive: dict[int, float]) -> None:
    """The same items with the same scores in the same order, but for items that are as good as tied."""
    found = dict(zip(trace.fused["item"], trace.fused["score"], strict=True))
    assert found.keys() == naive.keys()
    for item, probability in naive.items():
        assert found[item] == pytest.approx(math.log(probability), abs=2e-3)
    listed = trace.fused["item"].tolist()
    for place, item in enumerate(sorted(naive, key=lambda item: -naive[item])):
        assert listed[place] == item or naive[listed[place]] == pytest.approx(naive[item], rel=4e-3)
    assert sum(np.exp(list(found.values()))) == pytest.approx(kept_mass(trace), rel=1e-3), (
        "the lists add up to the mass of the beams"
    )


def kept_mass(trace: Trace) -> float:
    """Σ φ over the kept prefixes."""
    kept = trace.prefixes[trace.prefixes["kept"]]
    return float(kept.loc[kept["level"] == kept["level"].max(), "probability"].sum())


@pytest.mark.parametrize("domain", ["probability", "renormalised", "log"])
@pytest.mark.parametrize("levels", [0, 1, 2])
@pytest.mark.parametrize("apf", [True, False])
def test_the_fused_list_is_brute_force_apf_over_the_whole_catalogue(make: Make, levels: int, domain: str, apf: bool) -> None:
    fusion = FusionSettings(apf=apf, sigma_domain=domain, **EVERYTHING, **PAPER)  # type: ignore[arg-type]
    generator, request = make(prefix_levels=levels), Request(user="u2", instruction="pizza", fusion=fusion)
    same_list(generator.recommend(request), naive_fusion(generator, request, set(range(60))))


@pytest.mark.parametrize("levels", [0, 1, 2])
def test_with_our_priors_too(make: Make, levels: int) -> None:
    fusion = FusionSettings(repeat_weight=1.0, popularity_weight=0.5, **EVERYTHING)  # type: ignore[arg-type]
    generator, request = make(prefix_levels=levels), Request(user="u2", instruction="pizza", fusion=fusion)
    same_list(generator.recommend(request), naive_fusion(generator, request, set(range(60))))


def test_with_a_filter_too(generator: Generator) -> None:
    fusion = FusionSettings(**EVERYTHING)  # type: ignore[arg-type]
    request = Request(user="u2", instruction="pizza", category="Grocery", fusion=fusion)
    allowed = set(np.flatnonzero(generator.dataset.items["department"] == "Grocery").tolist())
    trace = generator.recommend(request)
    assert set(trace.fused["item"]) == allowed
    same_list(trace, naive_fusion(generator, request, allowed))


def test_sigma_by_hand() -> None:
    phi = np.array([0.5, 0.3, 0.1])
    log_phi = np.log(phi)
    assert sigma(log_phi, "probability") == pytest.approx(np.std(phi))
    assert sigma(log_phi, "renormalised") == pytest.approx(np.std(phi / phi.sum()))
    assert sigma(log_phi, "log") == pytest.approx(np.std(log_phi))
    padded = np.concatenate([log_phi, [-np.inf, -np.inf]])
    for domain in ("probability", "renormalised", "log"):
        assert sigma(padded, domain) == pytest.approx(float(sigma(log_phi, domain))), "absent beams do not count"
        assert sigma(log_phi[:1], domain) == 1.0, "one prefix has no spread"
        assert sigma(np.log([0.2, 0.2, 0.2]), domain) == pytest.approx(0.0)
    batch = np.stack([padded, np.log([0.1, 0.2, 0.3, 0.2, 0.1])])
    np.testing.assert_allclose(sigma(batch, "log"), [sigma(batch[0], "log"), sigma(batch[1], "log")])


logs = st.floats(-12, 0)
cosines = st.floats(-1, 1)


@st.composite
def beams_and_cosines(draw: st.DrawFn) -> tuple[list[float], list[list[float]]]:
    k = draw(st.integers(1, 5))
    rows = st.lists(cosines, min_size=4, max_size=4)
    return draw(st.lists(logs, min_size=k, max_size=k)), draw(st.lists(rows, min_size=k, max_size=k))


@settings(deadline=None, max_examples=100)
@given(beams_and_cosines(), st.sampled_from(["probability", "renormalised", "log"]), st.floats(0.01, 1))
def test_apf_never_reorders_items_inside_a_prefix(beams: tuple[list[float], list[list[float]]], domain: str, tau: float) -> None:
    log_phi, cos = np.array(beams[0]), np.array(beams[1])
    settings_of = FusionSettings(sigma_domain=domain, tau=tau)  # type: ignore[arg-type]
    score, log_item, _ = fuse(log_phi, cos, settings_of)
    plain, _, _ = fuse(log_phi, cos, settings_of.model_copy(update={"apf": False}))
    for row in range(len(log_phi)):
        by_cos = np.argsort(cos[row])
        for each in (score[row], plain[row], log_item[row]):
            assert (np.diff(each[by_cos]) >= -1e-9).all()
        assert np.exp(log_item[row]).sum() == pytest.approx(1.0)


def test_illegal_items_get_no_probability() -> None:
    cos = np.array([[0.3, -np.inf, 0.1], [-np.inf, -np.inf, -np.inf]])
    log_item = item_log_probs(cos, np.array([10.0]))
    assert np.exp(log_item[0]).sum() == pytest.approx(1.0)
    assert not np.isfinite(log_item[1]).any()
    score, _, _ = fuse(np.array([-0.1, -2.0]), cos, FusionSettings(repeat_weight=5.0), np.array([2.0, 1.0]), np.full((2, 3), 9.0))
    assert np.isfinite(score).tolist() == [[True, False, True], [False, False, False]]


def test_weights_are_exponents_and_priors_are_logits() -> None:
    log_phi, cos = np.log([0.6, 0.4]), np.array([[0.5, 0.1], [0.9, -0.2]])
    repeat, popularity = np.array([[0.0, 1.0], [2.0, 0.0]]), np.array([[1.0, -1.0], [0.5, 0.0]])
    setting = FusionSettings(prefix_weight=2.0, item_weight=0.5, repeat_weight=1.5, popularity_weight=-0.3, tau=0.2)
    sure = np.array([0.5, 3.0])
    score, log_item, spread = fuse(log_phi, cos, setting, sure, repeat, popularity)
    logits = sure[:, None] * cos * np.std(log_phi) / 0.2 + 1.5 * repeat - 0.3 * popularity
    expected = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    assert spread == pytest.approx(np.std(log_phi))
    np.testing.assert_allclose(log_item, expected)
    np.testing.assert_allclose(score, 2 * log_phi[:, None] + 0.5 * expected)


def test_a_batch_of_requests_runs_the_same_code() -> None:
    rng = np.random.default_rng(0)
    log_phi, cos = np.log(rng.random((3, 4))), rng.uniform(-1, 1, (3, 4, 5))
    score, _, spread = fuse(log_phi, cos, FusionSettings())
    for row in range(3):
        alone, _, own = fuse(log_phi[row], cos[row], FusionSettings())
        np.testing.assert_allclose(score[row], alone)
        assert spread[row] == pytest.approx(float(own))


def test_with_a_silent_head_prefixes_and_items_are_one_flat_softmax(make: Make, tiny_dataset: Dataset) -> None:
    """A decoder that says nothing: whatever the prefix length, items rank as their own logits do."""
    logs = []
    same = small_model(tiny_dataset, seed=5, prefix_levels=1).state_dict()
    for levels in (0, 1, 2):
        model = small_model(tiny_dataset, seed=5, prefix_levels=levels)
        own = model.state_dict()
        model.load_state_dict({**own, **{name: value for name, value in same.items() if value.shape == own[name].shape}})
        for head in (model.code_head, model.query_head):
            torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(model.code_head.bias)
        fusion = FusionSettings(apf=False, tau=model.settings.tau, **EVERYTHING)  # type: ignore[arg-type]
        fused = make(model=model).recommend(Request(user="u1", instruction="pizza", fusion=fusion)).fused
        logs.append(fused.set_index("item")["score"].sort_index())
    for other in logs[1:]:
        np.testing.assert_allclose(other, logs[0], atol=2e-3)


def test_uniform_logits_give_uniform_prefixes(make: Make, tiny_dataset: Dataset) -> None:
    """A mock model that knows nothing: φ is a prefix's share of the catalogue, and every item is equally likely."""
    model = small_model(tiny_dataset, seed=5)
    for head in (model.code_head, model.query_head):
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
    with torch.no_grad():  # nearness counts nothing, and no term weighs anything
        model.instruction.gates[:, : GATES.index("familiar")] = -100.0
        model.instruction.gates[:, GATES.index("familiar") :] = 0.0
    trace = make(model=model).recommend(Request(user="u1", instruction="pizza", fusion=FusionSettings(**EVERYTHING)))  # type: ignore[arg-type]
    sizes = np.bincount(model.store.sids[:, 0], minlength=model.codes)
    for codes, probability in zip(trace.prefixes["codes"], trace.prefixes["probability"], strict=True):
        assert probability == pytest.approx(sizes[codes[0]] / sizes.sum(), rel=1e-4)
    for item, probability in zip(trace.fused["item"], trace.fused["p_item"], strict=True):
        assert probability == pytest.approx(1 / sizes[model.store.sids[item, 0]], rel=1e-4)


def test_the_best_of_each_prefix() -> None:
    score = np.random.default_rng(3).uniform(-1, 1, (4, 50))
    score[1, 5:] = -np.inf
    rows, columns = subset.best_of_each(score, 7)
    for row in range(4):
        expected = sorted(range(50), key=lambda column: -score[row, column])[: 5 if row == 1 else 7]
        assert set(columns[rows == row]) == set(expected)
