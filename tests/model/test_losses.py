"""L_NTP and L_ID against naive loops over one target at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.data.schema import Dataset
from backend.data.split import split
from backend.instructions.tasks import registry
from backend.model.examples import Sampler
from backend.model.sigma import SigmaModel
from backend.pipeline import training_contexts
from backend.settings import DataSettings, TrainSettings
from backend.tokenization.prefixes import prefix_members
from tests.small import fake_ground, small_model

TAU = 0.1
TASKS = ("JustForYou", "Category", "Query", "Discover")


def sampler_of(dataset: Dataset, model: SigmaModel, **changes: object) -> Sampler:
    settings = TrainSettings(**{"contexts": 64, "batch": 8, "bf16": False, **changes})  # type: ignore[arg-type]
    contexts = training_contexts(split(dataset, DataSettings()).train, settings, 7)
    tasks = registry(dataset)
    return Sampler(dataset, contexts, [tasks[name] for name in settings.tasks], model, model.settings, settings, 7)


@pytest.mark.parametrize(("levels", "dense"), [(0, False), (1, False), (2, False), (1, True), (2, True)])
def test_losses_against_naive_loops(tiny_dataset: Dataset, levels: int, dense: bool) -> None:
    model = small_model(tiny_dataset, prefix_levels=levels).eval()
    sampler = sampler_of(tiny_dataset, model, dense=dense)
    batch, targets = sampler.batch(range(6))
    found = model.losses(batch, targets, TAU, id_dropout=0.0)
    with torch.inference_mode():
        ntp, ntp_weight, loss, weight_of_all = 0.0, 0.0, 0.0, 0.0
        soft = model.soft_tokens()
        hidden = model.encode(batch, soft, model.words(batch))
        nothing = torch.zeros(tiny_dataset.n_items)
        for (tree, row), code, weight in zip(
            targets.code_at.tolist(), targets.code.tolist(), targets.code_weight.tolist(), strict=True
        ):
            level = code // model.codes
            logits = model.code_head(hidden[tree, row])[level * model.codes : (level + 1) * model.codes].double()
            if level == 0:
                repeat = targets.repeat[tree] if batch.branch[tree, row] else nothing
                logits = logits + naive_prefix_prior(model, hidden[tree, row], repeat)
            ntp -= weight * float(torch.log_softmax(logits, -1)[code % model.codes])
            ntp_weight += weight
        prefixes = [tuple(sid) for sid in model.store.sids[:, :levels].tolist()]
        plans = [sampler.plan(number) for number in range(6)]
        for (tree, row), item, weight, also in zip(
            targets.query_at.tolist(), targets.item.tolist(), targets.query_weight.tolist(), targets.also.tolist(), strict=True
        ):
            state = hidden[tree, row]
            branch = int(batch.branch[tree, row])  # 0: a history position, which sees no instruction and not its own answer
            repeat = targets.repeat[tree] if branch else nothing
            words = model.fuse.of_text(fake_ground([plans[tree].branches[branch - 1].text]))[0] if branch else None
            h = model.query_vectors(state, words)
            repeat_weight, popularity_weight = model.item_priors(state).tolist()
            negatives = [
                other
                for other in range(len(prefixes))
                if other != item and prefixes[other] == prefixes[item] and other not in also
            ]
            logits = torch.stack(
                [
                    h @ soft[other] / TAU
                    + repeat_weight * repeat[other]
                    + popularity_weight * float(model.store.statistics[other, 0])
                    for other in (item, *negatives)
                ]
            ).double()
            loss -= weight * float(torch.log_softmax(logits, -1)[0])
            weight_of_all += weight
    assert found.id == pytest.approx(loss / weight_of_all, rel=1e-3)
    assert found.ntp == pytest.approx(ntp / ntp_weight if levels else 0.0, rel=1e-3)
    assert float(found.total.detach()) == pytest.approx(found.ntp + found.id, rel=1e-5)


def naive_prefix_prior(model: SigmaModel, state: torch.Tensor, repeat: torch.Tensor) -> torch.Tensor:
    """softplus(gate) · log(1 + the code's share of past purchases), code by code."""
    gate = torch.nn.functional.softplus(4.0 * model.prefix_gate(state))
    shares = [
        sum(float(torch.expm1(repeat[item])) for item in np.flatnonzero(model.store.sids[:, 0] == code))
        for code in range(model.codes)
    ]
    return gate * torch.log1p(torch.tensor(shares)).double()


def test_the_repeat_prior_of_a_sample_is_the_households_own(tiny_dataset: Dataset) -> None:
    model = small_model(tiny_dataset, history_items=60)
    sampler = sampler_of(tiny_dataset, model)
    for number in range(20):
        plan = sampler.plan(number)
        before = sampler.histories.slice(int(sampler.user[number]), int(sampler.start[number]))
        assert set(np.flatnonzero(plan.repeat)) <= set(before.tolist())
        if len(plan.history) == len(np.unique(before)):
            assert set(np.flatnonzero(plan.repeat)) == set(before.tolist())


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
