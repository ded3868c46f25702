"""One arm: from the shared start to its weights, step by step."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from backend.alignment.a2po import ARMS, statistics
from backend.alignment.policy import Policy, Prepared, rollouts, with_truth
from backend.alignment.rewards import BusinessReward
from backend.data.schema import Dataset
from backend.evaluation import metrics
from backend.evaluation.cases import Case
from backend.judge.aspects import Judge, Situations, holistic
from backend.judge.group_relative import objective
from backend.judge.making import OpenJudge
from backend.judge.teachers import Trusted
from backend.progress import CancelToken
from backend.settings import PolicySettings

K = 10  # length of the lists that arms are measured on
METRICS = ("hr", "ndcg", "recall", "value", "judge", "novelty", "breadth")


class Scorer:
    """The two rewards of rollouts, and how often and how long the judge was asked.

    Args:
        judge: the student with everybody's weights; it measures, and rewards where nobody else does.
        rewarding: who rewards in its place.
        cancel: checked before every question, since an endpoint takes its time.
    """

    def __init__(
        self, dataset: Dataset, business: BusinessReward, judge: OpenJudge, rewarding: Trusted | None = None,
        cancel: CancelToken | None = None,
    ) -> None:  # fmt: skip
        self.business, self.judge, self.rewarding, self.situations = business, judge, rewarding, Situations(dataset)
        self.calls, self.seconds, self.cancel = 0, 0.0, cancel

    def semantic(self, case: Case, items: np.ndarray) -> np.ndarray:
        """r_sem = s_hol of items for a case's household, by who rewards (S-GRec §3.1 B). Shape: (n,) → (n,) between 0 and 1."""
        if self.cancel:
            self.cancel.check()
        began = time.perf_counter()
        found = self._asked(self.rewarding or self.judge.judge, case, items)
        self.calls += len(items)
        self.seconds += time.perf_counter() - began
        return found

    def measured(self, case: Case, items: np.ndarray) -> np.ndarray:
        """Likewise by the student, as arms are measured. Shape: (n,) → (n,)."""
        return self._asked(self.judge.judge, case, items)

    def _asked(self, judge: Judge, case: Case, items: np.ndarray) -> np.ndarray:
        situation = self.situations.before(case.user, case.start, case.instruction)
        weights = self.judge.weights.of(self.judge.evidence.user_facts(situation)[None])[0]
        return holistic(judge.judge(situation, items).expected, weights)

    def paid(self) -> dict[str, float]:
        """What an endpoint has cost so far; empty where none is asked."""
        return self.rewarding.cost() if self.rewarding else {}

    def rewards(self, cases: Sequence[Case], group: Tensor, asked: np.ndarray) -> tuple[Tensor, Tensor]:
        """Business and semantic rewards; the semantic ones are NaN where the judge is not asked.

        Shape:
            group: (trees, G) item rows without padding; asked: (trees,) bool; returns: (trees, G) twice.
        """
        business = [self.business(row, case.targets) for case, row in zip(cases, group.numpy(), strict=True)]
        none = np.full(group.shape[1], np.nan)
        semantic = [self.semantic(case, row) if yes else none for case, row, yes in zip(cases, group.numpy(), asked, strict=True)]
        return torch.from_numpy(np.stack(business)), torch.from_numpy(np.stack(semantic))


@dataclass
class ArmRun:
    """What a run of an arm left behind: its weights, its curve (one row a step), and what it cost."""

    weights: dict[str, Tensor]
    curve: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    judge_calls: int = 0
    judge_seconds: float = 0.0
    paid: dict[str, float] = field(default_factory=dict)  # requests, tokens, dollars of an endpoint


def restore(policy: Policy, weights: dict[str, Tensor]) -> None:
    """Put weights of the trained set back."""
    for name, parameter in policy.trained.items():
        parameter.data.copy_(weights[name])


def weights_of(policy: Policy) -> dict[str, Tensor]:
    """A copy of the trained set."""
    return {name: parameter.detach().clone() for name, parameter in policy.trained.items()}


def train_arm(
    policy: Policy,
    name: str,
    start: dict[str, Tensor],
    batches: Sequence[Prepared],
    scorer: Scorer,
    settings: PolicySettings,
    seed: int,
    on_step: Callable[[int, int], Any] = lambda done, total: None,
    cancel: CancelToken | None = None,
) -> ArmRun:
    """Train an arm from the start; the policy holds its weights afterwards.

    Raises:
        Cancelled: asked to stop.
    """
    restore(policy, start)
    began, calls, judge_seconds, paid = time.perf_counter(), scorer.calls, scorer.seconds, scorer.paid()
    run = ArmRun({})
    if name == "sft":
        run.weights = weights_of(policy)
        return run
    rng = np.random.default_rng((seed, 5))
    asked = [rng.random(len(batch.cases)) < (settings.judged if name != "business only" else 0.0) for batch in batches]
    with torch.no_grad():
        reference = [policy.log_probs(batch)[0] for batch in batches]
    optimizer = torch.optim.AdamW(policy.trained.values(), lr=settings.lr, weight_decay=0.0, betas=(0.9, 0.98))
    order = np.concatenate([rng.permutation(len(batches)) for _ in range(settings.epochs)])
    prefix_of = torch.from_numpy(policy.generator.index.last.of_item)
    for step, number in enumerate(order.tolist()):
        if cancel:
            cancel.check()
        batch = batches[number]
        with torch.no_grad():
            items, prefixes = policy.log_probs(batch)
            group = rollouts(items, prefixes, prefix_of, settings.group, settings.beams)
            if settings.truth:
                group = with_truth(group, items, [case.targets for case in batch.cases])
            valid, safe = group >= 0, group.clamp(min=0)
            business, semantic = scorer.rewards(batch.cases, safe, asked[number])
            old, anchor = items.gather(1, safe), reference[number].gather(1, safe)
            weighed = semantic * settings.semantic_weight if name == "reward sum" else semantic
            advantage = torch.where(valid, ARMS[name](business, weighed), 0.0)
        for _ in range(settings.inner):
            log_prob = policy.log_probs(batch)[0].gather(1, safe)
            found = objective(log_prob, old, anchor, advantage, valid, settings.clip, settings.kl)
            optimizer.zero_grad(set_to_none=True)
            found.loss.backward()
            nn.utils.clip_grad_norm_(policy.trained.values(), 1.0)
            optimizer.step()
        told = statistics(business, semantic)
        run.curve.append(
            {
                "step": step + 1, "loss": float(found.loss.detach()), "kl": found.kl, "clipped": found.clipped,
                "business": float(business.mean()), "semantic": float(np.nanmean(semantic.numpy())) if told.judged else np.nan,
                "dead": told.dead, "judged": told.judged, "agreement": told.agreement, "coefficient": told.coefficient,
            }
        )  # fmt: skip
        on_step(step + 1, len(order))
    run.weights = weights_of(policy)
    run.seconds = time.perf_counter() - began
    run.judge_calls, run.judge_seconds = scorer.calls - calls, scorer.seconds - judge_seconds
    run.paid = {name: value - paid[name] for name, value in scorer.paid().items()}
    return run


@torch.no_grad()
def measure_arm(policy: Policy, batches: Sequence[Prepared], scorer: Scorer, facts: metrics.Catalogue) -> pd.DataFrame:
    """The policy's own lists of ten (the likeliest items, no APF) on held-out baskets: one row a case, one column of `METRICS`."""
    frames = []
    for batch in batches:
        lists = policy.log_probs(batch)[0].topk(min(K, facts.n_items), dim=1).indices.numpy()
        targets = [case.targets for case in batch.cases]
        found = metrics.accuracy(lists, targets, facts.price, (K,)) | metrics.listwise(lists, facts, ks=(K,))
        judge = [float(scorer.measured(case, row).mean()) for case, row in zip(batch.cases, lists, strict=True)]
        frames.append(pd.DataFrame({name: judge if name == "judge" else found[name, K] for name in METRICS}))
    return pd.concat(frames, ignore_index=True)
