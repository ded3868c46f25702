"""The generator as a policy: a distribution over the catalogue, the same that the three steps and the training loss speak of."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from backend.alignment.policy import SMALL, Policy, Prepared, rollouts, with_truth
from backend.data.schema import Dataset
from backend.data.split import split
from backend.errors import RequestError
from backend.evaluation.cases import Case, build_cases
from backend.evaluation.components import record_of, tokens_of
from backend.generation.fusion import fuse, item_priors
from backend.generation.generator import Generator
from backend.generation.logits import nearness
from backend.generation.subset import cosines
from backend.instructions.tasks import registry
from backend.settings import DataSettings, FusionSettings
from tests.small import small_model


def cases_of(dataset: Dataset, n: int = 6) -> list[Case]:
    return build_cases(dataset, split(dataset, DataSettings()).test, registry(dataset), 3)[:n]


@pytest.fixture(scope="module", params=[1, 0])
def policy(tiny_dataset: Dataset, request: pytest.FixtureRequest) -> Policy:
    return Policy(Generator(small_model(tiny_dataset, prefix_levels=request.param), tiny_dataset))


@pytest.fixture(scope="module")
def prepared(policy: Policy, tiny_dataset: Dataset) -> Prepared:
    return policy.prepare(cases_of(tiny_dataset))


def test_it_is_a_distribution_over_the_catalogue(policy: Policy, prepared: Prepared) -> None:
    items, prefixes = policy.log_probs(prepared)
    assert items.shape == (6, 60)
    assert torch.allclose(items.exp().sum(1), torch.ones(6), atol=1e-4)
    of_item = policy.generator.index.last.of_item
    summed = torch.zeros_like(prefixes).index_add(1, torch.from_numpy(of_item), items.exp())
    assert torch.allclose(summed, prefixes.exp(), atol=1e-5), "items of a prefix share its probability"


def test_it_is_what_the_three_steps_say(policy: Policy, prepared: Prepared) -> None:
    """Step 3 with σ = 1 and the model's own τ scores by log π."""
    generator, case = policy.generator, prepared.cases[0]
    settings = FusionSettings(beams=64, per_prefix=64, top=60, apf=False, tau=policy.model.settings.tau)
    state = generator.runner.prompt_state(tokens_of(generator, case), record_of(generator, case))
    log_phi = (
        generator.runner.code_log_probs(state, np.zeros((1, 0), np.int64))[0][policy.codes[:, 0]]
        if policy.model.levels
        else np.zeros(1)
    )
    items, prefixes = policy.log_probs(prepared)
    assert np.allclose(prefixes[0].detach().numpy(), log_phi, atol=1e-4)
    members = generator.index.members
    h, weights = generator.runner.queries(state, policy.codes)
    cos = nearness(cosines(h, generator.runner.soft, members, np.ones(60, bool)), state.known, 0, members)
    priors = item_priors(weights, state.known.terms[0].numpy()[np.maximum(members, 0)])
    score, _, _ = fuse(log_phi, cos, settings, weights[:, 0], *priors)
    real = members >= 0
    assert np.allclose(score[real], items[0].detach().numpy()[members[real]], atol=1e-3)


def test_only_the_small_weights_get_a_gradient(policy: Policy, prepared: Prepared) -> None:
    items, _ = policy.log_probs(prepared)
    F.nll_loss(items, torch.arange(6)).backward()
    moved = {
        name
        for name, parameter in policy.model.named_parameters()
        if parameter.grad is not None and parameter.grad.abs().sum() > 0
    }
    assert moved <= set(policy.trained)
    assert {"query_head.weight", "instruction.gates"} <= moved
    assert all(name.startswith(SMALL) for name in policy.trained)
    policy.model.zero_grad()


def test_all_of_the_model_says_the_same(policy: Policy, prepared: Prepared, tiny_dataset: Dataset) -> None:
    whole = Policy(Generator(small_model(tiny_dataset, prefix_levels=policy.model.levels), tiny_dataset), "all")
    again = whole.prepare(prepared.cases)
    assert again.hidden is None
    assert torch.allclose(whole.log_probs(again)[0], policy.log_probs(prepared)[0], atol=1e-4)
    assert len(whole.trained) > len(policy.trained)


def test_deep_prefixes_are_refused(tiny_dataset: Dataset) -> None:
    with pytest.raises(RequestError, match="prefix levels"):
        Policy(Generator(small_model(tiny_dataset, prefix_levels=2), tiny_dataset))


def test_rollouts_are_the_likeliest_of_the_kept_prefixes() -> None:
    log_prob = torch.log(torch.tensor([[0.1, 0.2, 0.25, 0.15, 0.3]]))
    prefix_of = torch.tensor([0, 0, 1, 1, 2])
    log_phi = torch.log(torch.tensor([[0.3, 0.4, 0.3001]]))
    assert rollouts(log_prob, log_phi, prefix_of, 3, 3).tolist() == [[4, 2, 1]]
    assert rollouts(log_prob, log_phi, prefix_of, 4, 2).tolist() == [[4, 2, 3, -1]]
    assert rollouts(log_prob, log_phi, prefix_of, 9, 1).tolist() == [[2, 3, -1, -1, -1]]


def test_rollouts_are_unique_and_valid(policy: Policy, prepared: Prepared) -> None:
    items, prefixes = policy.log_probs(prepared)
    group = rollouts(items, prefixes, torch.from_numpy(policy.generator.index.last.of_item), 16, 20)
    for row in group.tolist():
        assert len(set(row)) == 16
        assert all(0 <= item < 60 for item in row)


def test_the_truth_joins_a_group_that_lacks_it() -> None:
    log_prob = torch.log(torch.tensor([[0.1, 0.2, 0.3, 0.4]] * 3))
    group = torch.tensor([[3, 2], [3, 2], [3, 2]])
    found = with_truth(group, log_prob, [np.array([0, 1]), np.array([2]), np.zeros(0, np.int64)])
    assert found.tolist() == [[3, 1], [3, 2], [3, 2]]
