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
    """How an aspect fared: interval by judge and by paired difference to each baseline."""

    aspect: str
    accuracy: Mapping[str, Interval]
    auc: Mapping[str, Interval]
    accuracy_ahead: Mapping[str, Interval]
    auc_ahead: Mapping[str, Interval]

    @property
    def used(self) -> bool:
        """Whether the judge is worth asking about this aspect."""
        better = all(each.low > 0 for each in self.auc_ahead.values())
        return better and not any(each.high < 0 for each in self.accuracy_ahead.values())

    def rows(self) -> list[dict[str, Any]]:
        """Flat rows: aspect · judge · metric · mean · low · high · n · used."""
        metrics = {"PointAcc": self.accuracy, "PairAUC": self.auc}
        ahead = {"PointAcc, student minus": self.accuracy_ahead, "PairAUC, student minus": self.auc_ahead}
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


def measure(models: Mapping[str, Ordinal], train: Labelled, held: Labelled, seed: int = 7) -> list[AspectReport]:
    """Reports of all aspects, on held-out households; the baselines are fitted on `train` as the judge was."""
    reports = []
    for column, aspect in enumerate(ASPECTS):
        judges = {"student": (models[aspect], slice(None))}
        for name, fact in BASELINES.items():
            own = slice(FACTS.index(fact), FACTS.index(fact) + 1)
            judges[name] = (fit(train.facts[:, own], train.levels[:, column]), own)
        accuracy, auc = {}, {}
        for name, (model, own) in judges.items():
            score, wanted = model.score(held.facts[:, own]), held.levels[:, column]
            accuracy[name] = by_household(point_accuracy(model.levels(score), wanted, held.group), held.user)
            auc[name] = by_household(pair_auc(score, wanted, held.group), held.user)
        reports.append(
            AspectReport(
                aspect,
                {name: interval(values, seed=seed) for name, values in accuracy.items()},
                {name: interval(values, seed=seed) for name, values in auc.items()},
                {name: difference(accuracy["student"], accuracy[name], seed=seed) for name in BASELINES},
                {name: difference(auc["student"], auc[name], seed=seed) for name in BASELINES},
            )
        )
    return reports
