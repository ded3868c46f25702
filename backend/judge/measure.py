"""Is a judge any good? PointAcc and PairAUC on held-out households, against cosine similarity and popularity.

- *PointAcc*: share of judged items whose level is the proxy's. A baseline gets thresholds of its own, fitted on the same training
  households, so that it is no straw man.
- *PairAUC*: of two items of one situation with different levels, how often the higher one is scored higher (a tie counts half).
- Both are means over situations, averaged for each household, so that the bootstrap draws households.
- An aspect is **used** only where the judge's PairAUC is above the better baseline's by an interval that excludes zero, and its PointAcc
  is not below by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from backend.evaluation.intervals import Interval, difference, interval
from backend.judge.aspects import ASPECTS, Floats, Ints
from backend.judge.evidence import FACTS
from backend.judge.proxies import Labelled
from backend.judge.student import Ordinal, fit

BASELINES: Mapping[str, str] = {"cosine similarity": "text", "popularity": "popular"}  # name → the one fact that it goes by


@dataclass(frozen=True)
class AspectReport:
    """How an aspect fared: interval by judge (the first is the one in question) and by its paired difference to each other."""

    judge: str
    aspect: str
    accuracy: Mapping[str, Interval]
    auc: Mapping[str, Interval]
    accuracy_ahead: Mapping[str, Interval]
    auc_ahead: Mapping[str, Interval]

    @property
    def used(self) -> bool:
        """Whether the judge is worth asking about this aspect."""
        better = all(self.auc_ahead[name].low > 0 for name in BASELINES)
        return better and not any(self.accuracy_ahead[name].high < 0 for name in BASELINES)

    def rows(self) -> list[dict[str, Any]]:
        """Flat rows: aspect · judge · metric · mean · low · high · n · used."""
        metrics = {"PointAcc": self.accuracy, "PairAUC": self.auc}
        ahead = {f"PointAcc, {self.judge} minus": self.accuracy_ahead, f"PairAUC, {self.judge} minus": self.auc_ahead}
        return [
            {"aspect": self.aspect, "judge": name, "metric": metric, "mean": own.mean, "low": own.low, "high": own.high, "n": own.n,
             "used": self.used}
            for metric, by in {**metrics, **ahead}.items() for name, own in by.items()
        ]  # fmt: skip


def pair_auc(score: Floats, level: Ints, group: Ints) -> Floats:
    """PairAUC of every situation; NaN where all its levels are equal.

    Shape:
        score, level, group: (n,), group rising from 0; returns: (situations,).
    """
    out = np.full(int(group.max(initial=-1)) + 1, np.nan)
    edges = np.searchsorted(group, np.arange(len(out) + 1))
    for number, (low, high) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)):
        wanted = np.sign(level[low:high, None] - level[None, low:high])
        found = np.sign(score[low:high, None] - score[None, low:high])
        above = wanted > 0
        if above.any():
            out[number] = float((0.5 + 0.5 * found[above]).mean())
    return out


def point_accuracy(found: Ints, level: Ints, group: Ints) -> Floats:
    """PointAcc of every situation. Shape: (n,) three times → (situations,)."""
    n = int(group.max(initial=-1)) + 1
    return np.bincount(group, found == level, n) / np.maximum(np.bincount(group, minlength=n), 1)


def by_household(values: Floats, user: Ints) -> Floats:
    """Mean of each household's situations; NaN where it has none that is defined. Shape: (situations,) twice → (households,)."""
    _, place = np.unique(user, return_inverse=True)
    known = np.isfinite(values)
    total, n = np.bincount(place, np.where(known, values, 0.0)), np.bincount(place, known)
    return np.divide(total, n, out=np.full(len(total), np.nan), where=n > 0)


Said = tuple[Floats, Ints]  # score and level of every item; Shape: (n,) twice


def measure(models: Mapping[str, Ordinal], train: Labelled, held: Labelled, seed: int = 7) -> list[AspectReport]:
    """Reports of the student's aspects, on held-out households; the baselines are fitted on `train` as it was."""
    return measure_said("student", by_student(models, held), train, held, {}, seed)


def by_student(models: Mapping[str, Ordinal], held: Labelled) -> dict[str, Said]:
    """What the student says of every aspect."""
    scores = {name: model.score(held.facts) for name, model in models.items()}
    return {name: (scores[name], model.levels(scores[name])) for name, model in models.items()}


def measure_said(
    judge: str, said: Mapping[str, Said], train: Labelled, held: Labelled, others: Mapping[str, Mapping[str, Said]], seed: int = 7
) -> list[AspectReport]:
    """Reports of any judge, beside the baselines and further judges on the same items.

    Args:
        judge: its name; said: by aspect, over the items of `held`.
        train: what the baselines are fitted on.
        others: likewise by further judges; the difference to them is told, and plays no part in `used`.
    """
    reports = []
    for column, aspect in enumerate(ASPECTS):
        told: dict[str, Said] = {judge: said[aspect]}
        for name, fact in BASELINES.items():
            own = FACTS.index(fact)
            model = fit(train.facts[:, own : own + 1], train.levels[:, column])
            score = model.score(held.facts[:, own : own + 1])
            told[name] = score, model.levels(score)
        told |= {name: other[aspect] for name, other in others.items()}
        wanted = held.levels[:, column]
        accuracy = {name: by_household(point_accuracy(level, wanted, held.group), held.user) for name, (_, level) in told.items()}
        auc = {name: by_household(pair_auc(score, wanted, held.group), held.user) for name, (score, _) in told.items()}
        rest = [name for name in told if name != judge]
        reports.append(
            AspectReport(
                judge,
                aspect,
                {name: interval(values, seed=seed) for name, values in accuracy.items()},
                {name: interval(values, seed=seed) for name, values in auc.items()},
                {name: difference(accuracy[judge], accuracy[name], seed=seed) for name in rest},
                {name: difference(auc[judge], auc[name], seed=seed) for name in rest},
            )
        )
    return reports
