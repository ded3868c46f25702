"""The first judge: a small student that reads levels off the evidence (ours; S-GRec's own judge is a language model).

- One *additive* ordinal model for each aspect: f = Σ_j g_j(fact_j), each g_j piecewise linear between a few knots, and P(level ≥ k) =
  sigmoid(f - θ_k) with rising thresholds. A few hundred numbers, microseconds an item.
- Additive, so that a reason is not a story told afterwards: g_j(fact_j) is exactly what that fact contributed.
- Fitted on proxies (`judge.proxies`), by cumulative logistic loss, with a penalty on bends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from backend.judge.aspects import ASPECTS, LEVELS, WORDS, Floats, Ints, Judgement, Situation
from backend.judge.evidence import FACTS, Evidence

KNOTS = 8
_BEND = 1e-3  # penalty on the second differences of a g_j
_SIZE = 1e-4  # penalty on its values
_STEPS = 60
_REASONS = 2  # facts that a reason cites


@dataclass(frozen=True)
class Ordinal:
    """One aspect's model.

    Shape:
        knots, values: (facts, KNOTS); thresholds: (LEVELS - 1,) rising; middle: (facts,) mean contribution in training.
    """

    knots: Floats
    values: Floats
    thresholds: Floats
    middle: Floats

    def contributions(self, facts: Floats) -> Floats:
        """g_j of every fact. Shape: (n, facts) → (n, facts)."""
        columns = [np.interp(facts[:, j], self.knots[j], self.values[j]) for j in range(facts.shape[1])]
        return np.stack(columns, axis=1) if columns else np.zeros(facts.shape)

    def score(self, facts: Floats) -> Floats:
        """f. Shape: (n, facts) → (n,)."""
        return self.contributions(facts).sum(1)

    def levels(self, score: Floats) -> Ints:
        """The median level. Shape: (n,) → (n,)."""
        return (score[:, None] > self.thresholds).sum(1)

    def expected(self, score: Floats) -> Floats:
        """Σ_k P(level ≥ k). Shape: (n,) → (n,), between 0 and LEVELS - 1."""
        return (1.0 / (1.0 + np.exp(np.clip(self.thresholds - score[:, None], -60, 60)))).sum(1)

    def arrays(self) -> dict[str, Floats]:
        """As a stage stores it."""
        return {"knots": self.knots, "values": self.values, "thresholds": self.thresholds, "middle": self.middle}


def fit(facts: Floats, levels: Ints) -> Ordinal:
    """Fit one aspect.

    Shape:
        facts: (n, facts); levels: (n,) between 0 and LEVELS - 1.
    """
    n, width = facts.shape
    knots = np.quantile(facts, np.linspace(0, 1, KNOTS), axis=0).T  # (facts, KNOTS)
    knots = knots + np.arange(KNOTS) * 1e-6 * (1 + np.abs(knots).max(1, keepdims=True))  # distinct, where many facts are alike
    basis = torch.from_numpy(np.concatenate([_hats(facts[:, j], knots[j]) for j in range(width)], axis=1)).float()
    wanted = torch.from_numpy((levels[:, None] >= np.arange(1, LEVELS)).astype(np.float32))  # (n, LEVELS - 1)
    values = torch.zeros(width, KNOTS, requires_grad=True)
    base = torch.tensor([-1.0, 0.0, 0.0], requires_grad=True)  # first threshold, and the softplus of each step to the next
    optimizer = torch.optim.LBFGS([values, base], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def thresholds() -> torch.Tensor:
        return torch.cat([base[:1], base[:1] + torch.cumsum(F.softplus(base[1:]), 0)])

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        score = basis @ values.reshape(-1)
        loss = F.binary_cross_entropy_with_logits(score[:, None] - thresholds(), wanted)
        bends = values[:, 2:] - 2 * values[:, 1:-1] + values[:, :-2]
        loss = loss + _BEND * bends.square().sum() + _SIZE * values.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    own = values.detach().double().numpy()
    middle = (basis.double().numpy().reshape(n, width, KNOTS) * own).sum(2).mean(0)
    return Ordinal(knots, own, thresholds().detach().double().numpy(), middle)


def _hats(column: Floats, knots: Floats) -> Floats:
    """Weight of each knot, as linear interpolation has it. Shape: (n,) → (n, KNOTS)."""
    return np.stack([np.interp(column, knots, np.eye(KNOTS)[k]) for k in range(KNOTS)], axis=1)


class StudentJudge:
    """A judge of fitted aspects.

    Args:
        evidence: facts of items and households.
        aspects: the models; an aspect that is missing is not used.
    """

    name = "student"

    def __init__(self, evidence: Evidence, aspects: Mapping[str, Ordinal]) -> None:
        self.evidence, self.aspects = evidence, dict(aspects)

    def judge(self, situation: Situation, items: Ints, reasons: bool = False) -> Judgement:
        """Levels of items, and why. Shape: items (n,) rows."""
        facts = self.evidence.facts(situation, items)
        levels = np.full((len(items), len(ASPECTS)), -1, np.int64)
        expected = np.full((len(items), len(ASPECTS)), np.nan)
        said: list[dict[str, str]] = [{} for _ in range(len(items) if reasons else 0)]
        for column, name in enumerate(ASPECTS):
            model = self.aspects.get(name)
            if model is None:
                continue
            given = model.contributions(facts)
            score = given.sum(1)
            levels[:, column], expected[:, column] = model.levels(score), model.expected(score)
            for row, sentences in enumerate(said):
                away = given[row] - model.middle
                sentences[name] = self._reason(situation, int(items[row]), facts[row], away, name, int(levels[row, column]))
        return Judgement(levels, expected, list(said))

    def _reason(self, situation: Situation, item: int, facts: Floats, away: Floats, aspect: str, level: int) -> str:
        """The level in a word, and the facts that moved it furthest from the ordinary."""
        order = np.argsort(-np.abs(away), kind="stable")
        clauses = dict.fromkeys(self.evidence.cite(FACTS[j], float(facts[j]), situation, item) for j in order[: _REASONS + 1])
        return f"{WORDS[aspect][level]}: {'; '.join(list(clauses)[:_REASONS])}"


def models_of(arrays: Mapping[str, np.ndarray], names: Sequence[str] = ASPECTS) -> dict[str, Ordinal]:
    """Models from stored arrays ("aspect.knots" …)."""
    fields = ("knots", "values", "thresholds", "middle")
    found = [name for name in names if f"{name}.knots" in arrays]
    return {name: Ordinal(*(arrays[f"{name}.{part}"].astype(np.float64) for part in fields)) for name in found}
