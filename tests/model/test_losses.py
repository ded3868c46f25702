"""L_NTP and L_ID against naive loops over one target at a time."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from backend.data.record import Record
from backend.data.schema import Dataset
from backend.data.split import split
from backend.instructions.tasks import registry
from backend.model.batch import Known
from backend.model.examples import Sampler
from backend.model.instruction import GATES, Wish
from backend.model.priors import TERMS
from backend.model.sigma import SigmaModel
from backend.pipeline import training_contexts
from backend.settings import DataSettings, TrainSettings
from backend.tokenization.item_store import NAMED
from backend.tokenization.prefixes import prefix_members
from tests.small import DEMANDS, FakeEncoder, fake_ground, small_model

TASKS = ("JustForYou", "Category", "Query", "Discover")


def sampler_of(dataset: Dataset, model: SigmaModel, **changes: object) -> Sampler:
    settings = TrainSettings(**{"contexts": 64, "batch": 8, "bf16": False, **changes, "tasks": TASKS})  # type: ignore[arg-type]
    contexts = training_contexts(split(dataset, DataSettings()).train, settings, 7)
    tasks = registry(dataset)
    return Sampler(dataset, contexts, [tasks[name] for name in settings.tasks], model, model.settings, settings, 7)


@pytest.mark.parametrize(("levels", "dense"), [(0, False), (1, False), (2, False), (1, True), (2, True)])
def test_losses_against_naive_loops(tiny_dataset: Dataset, levels: int, dense: bool) -> None:
    model = small_model(tiny_dataset, prefix_levels=levels).eval()
    sampler = sampler_of(tiny_dataset, model, dense=dense)
    batch, targets = sampler.batch(range(6))
    found = model.losses(batch, targets, id_dropout=0.0)
    plans = [sampler.plan(number) for number in range(6)]
    with torch.inference_mode():
        ntp, ntp_weight, loss, weight_of_all = 0.0, 0.0, 0.0, 0.0
        demands = [[branch.demand for branch in plan.branches] for plan in plans]
        everything = naive_known(model, [plan.record for plan in plans])
        words = [
            naive_wish(model, branch.text, torch.eye(DEMANDS)[branch.demand], plan.record).words[0]
            for plan in plans
            for branch in plan.branches
        ]
        assert torch.equal(batch.said.demand.argmax(1), torch.tensor([one for tree in demands for one in tree]))
        hidden = model.encode(batch, everything.soft, torch.stack(words))
        prefixes = [tuple(sid) for sid in model.store.sids[:, :levels].tolist()]

        def known_at(tree: int, row: int) -> Known:
            """What may be known there; at a history position (branch 0) neither instruction nor what gives its answer away."""
            number = int(batch.branch[tree, row])
            if number:
                branch = plans[tree].branches[number - 1]
                wish = naive_wish(model, branch.text, torch.eye(DEMANDS)[branch.demand], plans[tree].record)
                return Known(everything.soft, wish, everything.terms[[tree]], everything.taste[[tree]])
            first = plans[tree].branches[0].text
            wish = naive_wish(model, first, torch.eye(DEMANDS)[demands[tree][0]], plans[tree].record)  # as sure as there
            silent = replace(wish, words=0 * wish.words, named=0 * wish.named)
            return Known(everything.soft, silent, 0 * everything.terms[[tree]], 0 * everything.taste[[tree]])

        for (tree, row), code, item, weight in zip(
            targets.code_at.tolist(), targets.code.tolist(), targets.code_item.tolist(), targets.code_weight.tolist(), strict=True
        ):
            level = code // model.codes
            logits = naive_code_logits(model, hidden[tree, row], known_at(tree, row), prefixes[item][:level])
            ntp -= weight * float(torch.log_softmax(logits, -1)[code % model.codes])
            ntp_weight += weight
        for (tree, row), item, weight, also in zip(
            targets.query_at.tolist(), targets.item.tolist(), targets.query_weight.tolist(), targets.also.tolist(), strict=True
        ):
            negatives = [
                other
                for other in range(len(prefixes))
                if other != item and prefixes[other] == prefixes[item] and other not in also
            ]
            every = naive_item_logits(model, hidden[tree, row], known_at(tree, row))
            logits = torch.stack([every[other] for other in (item, *negatives)])
            loss -= weight * float(torch.log_softmax(logits, -1)[0])
            weight_of_all += weight
    assert found.id == pytest.approx(loss / weight_of_all, rel=1e-3)
    assert found.ntp == pytest.approx(ntp / ntp_weight if levels else 0.0, rel=1e-3)
    assert float(found.total.detach()) == pytest.approx(found.ntp + found.id, rel=1e-5)


def naive_known(model: SigmaModel, records: list[Record], text: str = "", demand: torch.Tensor | None = None) -> Known:
    """Terms and taste in loops over trees and items, and what one instruction asks for."""
    n = len(model.store)
    soft = model.soft_tokens()
    terms, taste = torch.zeros(len(records), n, DEMANDS + len(TERMS)), torch.zeros(len(records), soft.shape[1])
    statistics = torch.from_numpy(model.store.statistics)
    for tree, record in enumerate(records):
        terms[tree, :, -4], terms[tree, :, -3] = torch.from_numpy(record.familiar), torch.from_numpy(record.lately)
        terms[tree, :, -2], terms[tree, :, -1] = statistics[:, 0], torch.from_numpy(model.store.trend.table[record.week])
        liked = torch.zeros(soft.shape[1])
        for item, own in zip(record.items.tolist(), torch.from_numpy(record.own), strict=True):
            seen = torch.cat([own, statistics[item], terms[tree, item, -4:-3]])
            hidden = torch.nn.functional.gelu(model.priors.hidden(seen))
            terms[tree, item, :DEMANDS] = own[0] + model.priors.again(hidden)
            liked += own[0] * torch.nn.functional.softplus(model.priors.taste(hidden)[0]) * soft[item]
        liked = model.taste_map(liked)
        taste[tree] = liked / liked.norm().clamp(min=1e-12)
    return Known(soft, naive_wish(model, text, torch.eye(DEMANDS)[0] if demand is None else demand, records[0]), terms, taste)


def naive_pool(model: SigmaModel, text: str, demand: torch.Tensor, record: Record) -> torch.Tensor:
    """How surely each item is asked for at all, demand by demand and item by item. Shape: (n_items,)."""
    said = model.listen.pools_of(text)  # type: ignore[attr-defined]
    out = torch.zeros(len(model.store))
    for share, task in zip(demand.tolist(), TASKS, strict=True):
        for item in range(len(model.store)):
            inside = True
            if task in said:
                inside = bool(said[task][item])
            if task == "Discover" and not record.lately.all():
                inside = record.lately[item] == 0
            out[item] += share * inside
    return out


def naive_wish(model: SigmaModel, text: str, demand: torch.Tensor, record: Record) -> Wish:
    """What one instruction of a household asks for, name by name and item by item."""
    own, store = model.instruction, model.store
    grounded, sentence = fake_ground([text])[0], torch.from_numpy(FakeEncoder().encode([text])[0])
    both = torch.cat([grounded, sentence])
    gates = {name: 4 * float(demand @ own.gates[:, place]) for place, name in enumerate(GATES)}

    def positive(name: str) -> float:
        return math.log1p(math.exp(gates[name]))

    near = {name: positive(name) if model.settings.soft_token else 0.0 for name in ("soft token", *NAMED, "pool")}
    sure = sum(near.values())
    named = near["pool"] / max(sure, 1e-6) * naive_pool(model, text, demand, record)
    for place, name in enumerate(NAMED):
        asked = torch.nn.functional.normalize(sentence + own.asks[place](both), dim=0)
        for item, row in enumerate(store.name_of[:, place].tolist()):
            if row >= 0:
                named[item] += near[name] / max(sure, 1e-6) * float(asked @ torch.from_numpy(store.names[row]))
    again = [positive("again") * float(share) for share in demand]
    weights = torch.tensor([[sure, *again, gates["familiar"], gates["lately"], gates["popularity"], gates["trend"]]])
    words = torch.nn.functional.normalize(model.fuse.of_text(grounded[None])[0] + own.add(both), dim=0)
    pulls = torch.tensor([[positive("taste"), positive("words")]])
    return Wish(words[None], pulls, weights, torch.tensor([[near["soft token"] / max(sure, 1e-6)]]), named[None])


def naive_item_logits(model: SigmaModel, state: torch.Tensor, known: Known, repeat: bool = True) -> torch.Tensor:
    """sureness · nearness/τ + Σ weight · term at one state of one tree, item by item. Shape: (n_items,)."""
    wish = known.wish
    h = model.query_vectors(state, known.taste[0], wish.words[0], wish.pulls[0])
    sure, *weights = wish.weights[0].double().tolist()
    out = []
    for row, (item, terms) in enumerate(zip(known.soft, known.terms[0].double().tolist(), strict=True)):
        near = float(wish.share[0]) * float(h @ item) + float(wish.named[0, row])
        popular = weights[-2] * terms[-2] + weights[-1] * terms[-1]
        logit = sure * near / model.settings.tau + popular
        if repeat:
            logit += sum(weight * term for weight, term in zip(weights[:-2], terms[:-2], strict=True))
        out.append(logit)
    return torch.tensor(out, dtype=torch.float64)


def naive_code_logits(
    model: SigmaModel, state: torch.Tensor, known: Known, prefix: tuple[int, ...], repeat: bool = True
) -> torch.Tensor:
    """What the head says of each code, plus the log of the summed exponentials of the items behind it. Shape: (codes,)."""
    level, sids = len(prefix), model.store.sids
    items = naive_item_logits(model, state, known, repeat).tolist()
    head = model.code_head(state)[level * model.codes : (level + 1) * model.codes].tolist()
    out = []
    for code in range(model.codes):
        behind = [items[i] for i in range(len(sids)) if tuple(sids[i, : level + 1]) == (*prefix, code)]
        out.append(head[code] + (math.log(sum(math.exp(each) for each in behind)) if behind else -60.0))
    return torch.tensor(out, dtype=torch.float64)


def test_the_record_of_a_sample_is_the_households_own(tiny_dataset: Dataset) -> None:
    model = small_model(tiny_dataset, history_items=60)
    sampler = sampler_of(tiny_dataset, model)
    for number in range(20):
        plan = sampler.plan(number)
        before = sampler.histories.slice(int(sampler.user[number]), int(sampler.start[number]))
        assert set(plan.record.items.tolist()) <= set(before.tolist())
        if len(plan.history) == len(np.unique(before)):
            assert set(plan.record.items.tolist()) == set(before.tolist())


def test_a_sample_knows_the_offers_of_its_week(tiny_dataset: Dataset) -> None:
    events = tiny_dataset.events
    cut = np.random.default_rng(1).random((60, tiny_dataset.n_items)) < 0.4
    week = (events["time"].dt.normalize() - events["time"].min().normalize()).dt.days.to_numpy() // 7
    dataset = replace(tiny_dataset, events=events.assign(discount=np.where(cut[week, events["item"]], 0.5, 0.0)))
    sampler = sampler_of(dataset, small_model(dataset))
    seen = 0
    for number in range(20):
        user, start = int(sampler.user[number]), int(sampler.start[number])
        others = dataset.events[(week == week[start]) & (events["user"] != user).to_numpy()]
        lines = others.groupby("item")["discount"].agg(["size", lambda own: (own > 0).sum()])
        expected = lines.index[(lines["size"] >= 3) & (lines.iloc[:, 1] * 2 >= lines["size"])]
        offered = sampler.plan(number).record.deals
        assert offered is not None
        assert np.flatnonzero(offered).tolist() == expected.tolist()
        seen += len(expected)
    assert seen


def test_where_many_tasks_have_a_label_some_are_drawn(tiny_dataset: Dataset) -> None:
    model = small_model(tiny_dataset)
    whole, some = sampler_of(tiny_dataset, model), sampler_of(tiny_dataset, model, branches=2)
    seen: set[int] = set()
    for number in range(40):
        every = [(branch.text, branch.demand) for branch in whole.plan(number).branches]
        drawn = [(branch.text, branch.demand) for branch in some.plan(number).branches]
        assert len(drawn) == min(2, len(every))
        assert drawn == [each for each in every if each in drawn], "in the tasks' order, worded as without the draw"
        seen |= {demand for _, demand in drawn}
        assert 0 in {demand for _, demand in drawn}, "what most people ask is always trained"
    assert seen == set(range(len(TASKS))), "no task is left out for good"


def test_a_task_without_a_label_gives_no_branch_and_targets_share_one_weight(tiny_dataset: Dataset) -> None:
    model = small_model(tiny_dataset)
    sampler = sampler_of(tiny_dataset, model, targets=3)
    for number in range(20):
        sample = sampler.sample(sampler.plan(number))
        branches = sorted(set(sample.tokens.branch) - {0})
        assert branches == list(range(1, len(branches) + 1))
        assert sum(sample.query_weights) == pytest.approx(len(branches))
        for row, item in zip(sample.query_rows, sample.items, strict=True):
            assert sample.tokens.branch[row] > 0
            assert item not in sample.also[sample.query_rows.index(row)]


def test_a_sample_depends_on_seed_and_number_alone(tiny_dataset: Dataset) -> None:
    model = small_model(tiny_dataset)
    first, second = sampler_of(tiny_dataset, model), sampler_of(tiny_dataset, model)
    second.sample(second.plan(3))
    assert first.sample(first.plan(11)).tokens == second.sample(second.plan(11)).tokens
    assert first.sample(first.plan(11, epoch=1)).tokens != first.sample(first.plan(11)).tokens


def test_the_history_of_a_sample_is_older_than_its_basket(tiny_dataset: Dataset) -> None:
    """No leakage: nothing of the target basket stands in the prompt unless it was bought before."""
    model = small_model(tiny_dataset, history_items=60)
    sampler = sampler_of(tiny_dataset, model)
    for number in range(30):
        tokens = sampler.sample(sampler.plan(number)).tokens
        before = set(sampler.histories.slice(int(sampler.user[number]), int(sampler.start[number])).tolist())
        assert {value for kind, value in zip(tokens.kind, tokens.value, strict=True) if kind == 3} <= before


def test_prefix_members_against_a_dictionary() -> None:
    prefixes = np.random.default_rng(0).integers(3, size=(40, 2))
    members, row = prefix_members(prefixes)
    for item, prefix in enumerate(prefixes):
        expected = [other for other in range(40) if (prefixes[other] == prefix).all()]
        assert [other for other in members[row[item]] if other >= 0] == expected
    everything, zero = prefix_members(prefixes[:, :0])
    assert everything.tolist() == [list(range(40))]
    assert not zero.any()


def test_a_cold_item_joins_with_its_vectors_alone(tiny_dataset: Dataset) -> None:
    model = small_model(tiny_dataset).eval()
    n = tiny_dataset.n_items
    rng = np.random.default_rng(1)
    with torch.inference_mode():
        before = model.soft_tokens()
        model.set_store(model.store.add(rng.normal(size=(2, 12)).astype(np.float32), rng.integers(6, size=(2, 4))))
        after = model.soft_tokens()
    assert after.shape == (n + 2, before.shape[1])
    torch.testing.assert_close(after[:n], before)
    torch.testing.assert_close(after.norm(dim=1), torch.ones(n + 2))


def test_a_sample_sees_the_newest_trend_that_had_ended(tiny_dataset: Dataset) -> None:
    model = small_model(tiny_dataset)
    sampler = sampler_of(tiny_dataset, model)
    rows = set()
    for number in range(40):
        day = sampler.histories.days[int(sampler.start[number])]
        week = sampler.plan(number).record.week
        ended = [model.store.trend.end - 7 * row for row in range(len(model.store.trend.table))]
        assert ended[week] <= day or week == len(ended) - 1
        assert week == 0 or ended[week - 1] > day
        rows.add(week)
    assert len(rows) > 2, "baskets of several weeks"
