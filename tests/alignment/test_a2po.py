"""Advantages and the clipped objective: hand-computed cases, and what must hold for any rewards."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from backend.alignment.a2po import ARMS, EPSILON, coefficient, gate, magnitude, statistics
from backend.judge.group_relative import normalised, objective
from backend.settings import PolicySettings

NAN = float("nan")


def close(left: Tensor, right: list[float] | list[list[float]], tolerance: float = 1e-5) -> bool:
    return torch.allclose(left.float(), torch.tensor(right, dtype=torch.float32), atol=tolerance)


def test_rewards_are_normalised_inside_their_own_group() -> None:
    # mean 2, population variance (1 + 1 + 1 + 9)/4 = 3; the second group is the first times 100 plus 5: the same advantages
    own = [-1 / math.sqrt(3), -1 / math.sqrt(3), -1 / math.sqrt(3), 3 / math.sqrt(3)]
    assert close(normalised(torch.tensor([[1.0, 1, 1, 5], [105, 105, 105, 505]])), [own, own])


@pytest.mark.parametrize("group", [[0.0] * 3, [7.0] * 3, [1e6] * 3, [0.1 + 0.2, 0.3, 0.3], [NAN] * 3, [NAN, 1.0, 2.0]])
def test_a_group_without_variance_has_no_advantage(group: list[float]) -> None:
    assert close(normalised(torch.tensor(group, dtype=torch.float64)), [0.0] * 3, 0.0)


def test_the_coefficient_by_hand() -> None:
    business, semantic = torch.tensor([2.0, 2.0, -1.0, -1.0, 0.0, 0.0]), torch.tensor([1.0, -1.0, -4.0, 4.0, 1.0, 0.0])
    assert close(gate(business, semantic), [1, 0, 1, 0, 0, 1])
    assert close(magnitude(business, semantic, 0.0)[:5], [0.5, 0.5, 0.25, 0.25, 0.0])
    assert close(coefficient(business, semantic), [0.5, 0, 0.25, 0, 0, 0])
    assert float(magnitude(torch.tensor(1.0), torch.tensor(1.0), 1.0)) == 0.5, "ε stands in the denominator"
    assert float(magnitude(torch.tensor(0.0), torch.tensor(0.0))) == 0.0, "ε keeps nought by nought finite"


def test_every_arm_by_hand() -> None:
    # A_biz = (-1, -1, 1, 1); semantic rewards have mean 2 and std √2.5
    business, semantic = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[3.0, 0, 1, 4]])
    a = [1 / math.sqrt(2.5), -2 / math.sqrt(2.5), -1 / math.sqrt(2.5), 2 / math.sqrt(2.5)]
    assert close(ARMS["sft"](business, semantic), [[0.0] * 4])
    assert close(ARMS["business only"](business, semantic), [[-1.0, -1, 1, 1]])
    # sums (3, 0, 3, 6): mean 3, std √4.5
    assert close(ARMS["reward sum"](business, semantic), [[0, -3 / math.sqrt(4.5), 0, 3 / math.sqrt(4.5)]])
    assert close(ARMS["advantage sum"](business, semantic), [[-1 + a[0], -1 + a[1], 1 + a[2], 1 + a[3]]])
    assert close(ARMS["gate only"](business, semantic), [[-1, -1 + a[1], 1, 1 + a[3]]])
    small, large = 1 / math.sqrt(2.5), math.sqrt(2.5) / 2  # min/max of 1 and |A_sem|
    assert close(
        ARMS["magnitude only"](business, semantic),
        [[-1 + small * a[0], -1 + large * a[1], 1 + small * a[2], 1 + large * a[3]]],
    )
    assert close(ARMS["a2po"](business, semantic), [[-1, -2, 1, 2]]), "λ·A_sem = min/max·A_sem = ±1 where |A_sem| > |A_biz| = 1"


def test_all_arms_run_unless_told_otherwise() -> None:
    assert PolicySettings().arms == tuple(ARMS)


@pytest.mark.parametrize("arm", [name for name in ARMS if name != "sft"])
def test_without_a_judge_every_arm_is_business_alone(arm: str) -> None:
    business = torch.tensor([[0.0, 1, 2], [3, 3, 9]])
    assert torch.allclose(ARMS[arm](business, torch.full((2, 3), NAN)), normalised(business), atol=1e-6)


rewards = arrays("float64", (5, 6), elements=st.floats(-1e3, 1e3, width=32)).map(torch.from_numpy)


@settings(deadline=None, max_examples=80)
@given(rewards, rewards)
def test_a2po_never_overrules_business(business: Tensor, semantic: Tensor) -> None:
    first, second = normalised(business), normalised(semantic)
    push = coefficient(first, second) * second
    assert (push.abs() <= first.abs() * (1 + 1e-6)).all(), "|λ A_sem| ≤ |A_biz|"
    both = ARMS["a2po"](business, semantic)
    assert torch.equal(torch.sign(both), torch.sign(first)), "sign A = sign A_biz"
    assert (both.abs() >= first.abs() * (1 - 1e-6)).all(), "agreement strengthens, disagreement changes nothing"
    assert ((coefficient(first, second) >= 0) & (coefficient(first, second) <= 1)).all()
    assert (both[(first == 0).all(-1)] == 0).all(), "no business variance, no gradient"


@settings(deadline=None, max_examples=60)
@given(rewards, st.floats(0.01, 100), st.floats(-50, 50))
def test_advantages_know_no_unit(reward: Tensor, scale: float, shift: float) -> None:
    own = normalised(reward)
    assert own.isfinite().all()
    assert torch.allclose(own.mean(-1), torch.zeros(5), atol=1e-4)
    spread = reward.amax(-1) - reward.amin(-1)
    lively = spread > 1e-3 * (1 + reward.abs().amax(-1))
    assert torch.allclose(own.square().mean(-1)[lively], torch.ones(int(lively.sum())), atol=1e-3)
    assert torch.allclose(normalised(scale * reward + shift)[lively], own[lively], atol=1e-3)


@settings(deadline=None, max_examples=40)
@given(rewards, rewards, st.permutations(range(6)))
def test_the_order_of_a_group_does_not_matter(business: Tensor, semantic: Tensor, order: list[int]) -> None:
    for arm in ARMS.values():
        assert torch.allclose(arm(business, semantic)[:, order], arm(business[:, order], semantic[:, order]), atol=1e-4)


def test_statistics_by_hand() -> None:
    business = torch.tensor([[0.0, 0, 2, 2], [1, 1, 1, 1], [0, 0, 2, 2], [5, 5, 5, 5]])
    semantic = torch.tensor([[3.0, 0, 1, 4], [0, 1, 2, 3], [NAN] * 4, [NAN] * 4])
    found = statistics(business, semantic)
    assert (found.groups, found.dead, found.judged, found.agreement) == (4, 0.5, 0.5, 0.5)
    assert found.coefficient == pytest.approx((math.sqrt(2.5) / 2 + math.sqrt(2.5) / 2) / 4, abs=1e-4)
    assert math.isnan(statistics(business[1:2], semantic[1:2]).agreement), "nothing to agree with"


# the objective


def loss_of(log_prob: list[float], old: list[float], advantage: list[float], **more: float) -> tuple[float, float, float, Tensor]:
    policy = torch.tensor([log_prob], requires_grad=True)
    ones = torch.ones(1, len(old), dtype=torch.bool)
    found = objective(policy, torch.tensor([old]), torch.tensor([old]), torch.tensor([advantage]), ones, **more)
    found.loss.backward()
    assert policy.grad is not None
    return float(found.loss.detach()), found.kl, found.clipped, policy.grad[0]


def test_at_the_start_the_gradient_is_the_advantage() -> None:
    loss, kl, clipped, gradient = loss_of([-1.0, -2.0], [-1.0, -2.0], [1.0, -1.0])
    assert (loss, kl, clipped) == (0.0, 0.0, 0.0)
    assert close(gradient, [-0.5, 0.5])


def test_clipping_by_hand() -> None:
    up, down = math.log(1.5), math.log(0.5)
    loss, _, clipped, gradient = loss_of([up, down, up, down], [0.0] * 4, [1.0, 1.0, -1.0, -1.0], clip=0.2, kl_weight=0.0)
    # gains: min(1.5, 1.2), min(.5, .8), min(-1.5, -1.2), min(-.5, -.8)
    assert loss == pytest.approx(-(1.2 + 0.5 - 1.5 - 0.8) / 4)
    assert clipped == 0.5, "those that moved far enough already"
    assert close(gradient, [0.0, -0.5 / 4, 1.5 / 4, 0.0])


def test_kl_by_hand() -> None:
    loss, kl, _, _ = loss_of([-1.0], [0.0], [0.0], kl_weight=0.5)
    assert kl == pytest.approx(math.e - 2)  # d = 1: e - 1 - 1
    assert loss == pytest.approx(0.5 * (math.e - 2))


def test_padding_counts_for_nothing() -> None:
    policy = torch.tensor([[-1.0, float("-inf")]], requires_grad=True)
    valid = torch.tensor([[True, False]])
    old = torch.tensor([[-1.5, float("-inf")]])
    found = objective(policy, old, old, torch.tensor([[1.0, 0.0]]), valid)
    found.loss.backward()
    alone = objective(policy[:, :1].detach(), old[:, :1], old[:, :1], torch.ones(1, 1), valid[:, :1])
    assert float(found.loss.detach()) == pytest.approx(float(alone.loss))
    assert policy.grad is not None
    assert policy.grad.isfinite().all()


def test_epsilon_is_small() -> None:
    assert 0 < EPSILON <= 1e-6


@pytest.mark.parametrize("pull", [0.0, 0.02])
def test_a_policy_far_from_its_start_has_a_finite_loss(pull: float) -> None:
    far, near = torch.tensor([[-400.0, -1.0]], requires_grad=True), torch.tensor([[-1.0, -1.0]])
    found = objective(far, far.detach(), near, torch.tensor([[1.0, -1.0]]), torch.ones(1, 2, dtype=torch.bool), kl_weight=pull)
    found.loss.backward()
    assert torch.isfinite(found.loss)
    assert far.grad is not None
    assert torch.isfinite(far.grad).all()
