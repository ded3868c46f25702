"""A2PO: what a group of rollouts says about which of them should become more likely (S-GRec eq. 6-7).

- A *group* is the rollouts of one context. Business and semantic rewards are normalised inside it, each by itself, so that neither
  drowns the other by its unit.
- The semantic advantage may only strengthen what business wants: it passes a *gate* (same sign), and is scaled by a *magnitude*
  (how much the smaller of the two is of the larger). Hence |λ·A_sem| ≤ |A_biz| and sign A = sign A_biz, whatever the judge says.
- All arms of the comparison are one table of functions over the two rewards, so an arm differs from another in its advantage alone.
- The judge is asked about a share of the contexts only; elsewhere the semantic reward is NaN and A = A_biz.

Nothing here knows a model: rewards in, advantages out. The objective that takes them is `judge.group_relative`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.judge.group_relative import normalised

EPSILON = 1e-6  # ε of eq. 7


def gate(business: Tensor, semantic: Tensor) -> Tensor:
    """1 where both advantages have one sign, else 0; an advantage of nought agrees with nought alone (S-GRec eq. 7, first factor)."""
    return (torch.sign(business) == torch.sign(semantic)).float()


def magnitude(business: Tensor, semantic: Tensor, epsilon: float = EPSILON) -> Tensor:
    """min(|A_biz|, |A_sem|) / (max(|A_biz|, |A_sem|) + ε): between 0 and 1 (S-GRec eq. 7, second factor)."""
    first, second = business.abs(), semantic.abs()
    return torch.minimum(first, second) / (torch.maximum(first, second) + epsilon)


def coefficient(business: Tensor, semantic: Tensor, epsilon: float = EPSILON) -> Tensor:
    """λ: gate times magnitude (S-GRec eq. 7)."""
    return gate(business, semantic) * magnitude(business, semantic, epsilon)


# from the two rewards of a group to its advantages; Shape: (…, G), (…, G) → (…, G)
Arm = Callable[[Tensor, Tensor], Tensor]


def _sft(business: Tensor, semantic: Tensor) -> Tensor:
    """No advantage, so no step: the model that all other arms start from."""
    return torch.zeros_like(business, dtype=torch.float32)


def _business(business: Tensor, semantic: Tensor) -> Tensor:
    """A_biz alone; the judge is never heard."""
    return normalised(business)


def _reward_sum(business: Tensor, semantic: Tensor) -> Tensor:
    """Rewards are added as they are and then normalised: whichever has the larger unit wins."""
    return normalised(business + torch.nan_to_num(semantic, nan=0.0))


def _weighed(weight: Callable[[Tensor, Tensor], Tensor | float]) -> Arm:
    """A_biz + weight · A_sem."""

    def advantage(business: Tensor, semantic: Tensor) -> Tensor:
        first, second = normalised(business), normalised(semantic)
        return first + weight(first, second) * second

    return advantage


ARMS: Mapping[str, Arm] = {
    "sft": _sft,
    "business only": _business,
    "reward sum": _reward_sum,
    "advantage sum": _weighed(lambda business, semantic: 1.0),
    "gate only": _weighed(gate),
    "magnitude only": _weighed(magnitude),
    "a2po": _weighed(coefficient),
}


@dataclass(frozen=True)
class GroupStatistics:
    """What the groups of a step looked like; shares are over the groups (or rollouts) that they speak of, NaN where there are none.

    Attributes:
        groups: how many; dead: share without any business variance, hence without a business gradient; judged: share that was judged;
        agreement: share of the judged rollouts with A_biz ≠ 0 whose advantages have one sign; coefficient: their mean λ.
    """

    groups: int
    dead: float
    judged: float
    agreement: float
    coefficient: float


def statistics(business: Tensor, semantic: Tensor) -> GroupStatistics:
    """Statistics of groups. Shape: (groups, G), twice, as the arms take them."""
    first, second = normalised(business), normalised(semantic)
    judged = ~torch.isnan(semantic).any(-1)  # (groups,)
    alive = judged[:, None] & (first != 0)
    return GroupStatistics(
        groups=len(first),
        dead=float((first == 0).all(-1).float().mean()),
        judged=float(judged.float().mean()),
        agreement=float(gate(first, second)[alive].mean()),
        coefficient=float(coefficient(first, second)[alive].mean()),
    )
