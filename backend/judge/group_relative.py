"""Group-relative policy optimisation: what PSJ-B's weights and A2PO have in common (GRPO; S-GRec §PSJ-B, eq. 6).

- A *group* is several rollouts of one context. A rollout is worth what it is worth beside its group: no value model.
- A reward that is the same for the whole group has no advantage: zero, not a division by nothing.
- Log-probabilities and advantages in, a loss out; nothing here knows a model.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_FAR = 80.0  # nats; e to more than that is infinite in float32, and nought times infinite is no number
_FLAT = 1e-8  # a standard deviation below this share of the largest reward is rounding, not a difference


def normalised(reward: Tensor) -> Tensor:
    """Rewards inside their group: (r - mean)/std, population std; zero where the group's rewards are all equal or unknown (S-GRec eq. 6).

    Shape:
        reward: (…, G), NaN somewhere in a group that was not judged; returns: (…, G).
    """
    reward = torch.where(torch.isnan(reward).any(-1, keepdim=True), 0.0, reward.double())
    away = reward - reward.mean(-1, keepdim=True)
    std = away.square().mean(-1, keepdim=True).sqrt()
    flat = std <= _FLAT * reward.abs().amax(-1, keepdim=True)
    return torch.where(flat, 0.0, away / torch.where(flat, 1.0, std)).float()


@dataclass(frozen=True)
class Objective:
    """The loss of a step, and what it is made of."""

    loss: Tensor  # to be minimised
    kl: float  # mean estimate of KL(policy ‖ reference), nats
    clipped: float  # share of the rollouts whose ratio is clipped


def objective(
    log_prob: Tensor, old: Tensor, reference: Tensor, advantage: Tensor, valid: Tensor, clip: float = 0.2, kl_weight: float = 0.01
) -> Objective:
    """-mean[ min(ρA, clip(ρ, 1 ± ε)A) - β·KL ], ρ = π/π_old (S-GRec §A2PO; KL as GRPO estimates it, e^d - d - 1 with d = log π_ref - log π).

    The estimate is never negative and vanishes where policy and reference agree.

    Args:
        old: of the policy that made the rollouts; reference: of the model that training began with; both without gradient.
        clip: ε; kl_weight: β.

    Shape:
        log_prob, old, reference, advantage: (groups, G); valid: (groups, G) bool, False where a group has fewer rollouts.
    """
    n = valid.sum().clamp(min=1)
    ratio = torch.exp(torch.where(valid, log_prob - old, 0.0))
    inside = ratio.clamp(1 - clip, 1 + clip)
    gain = torch.minimum(ratio * advantage, inside * advantage)
    away = torch.where(valid, reference - log_prob, 0.0).clamp(max=_FAR)
    kl = torch.exp(away) - away - 1.0
    loss = -(torch.where(valid, gain - kl_weight * kl, 0.0)).sum() / n
    held = (ratio * advantage > inside * advantage) & valid
    return Objective(loss, float(kl.detach().sum() / n), float(held.sum() / n))
