"""The fusion lab: every move of a knob re-ranks all evaluation examples, with intervals against a reference.

- A *part* is a task in one of its views ("JustForYou", "JustForYou, new items" …), as in the result tables.
- Lists come from `rescoring`, their figures from `metrics`, the intervals from `intervals` with resamples that are drawn once: all parts of a
  split, all metrics and all settings share them, which is what makes differences paired.
- Scores are kept for the settings visited last, so that going back costs nothing. Nothing here changes after it was made but that store,
  hence one lab serves all sessions.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from backend.evaluation import metrics
from backend.evaluation.intervals import Interval, intervals, resample_counts
from backend.evaluation.lab_cases import LabCases
from backend.evaluation.rescoring import Lists, rescore, spacing
from backend.evaluation.views import VIEWS
from backend.settings import LabSettings

METRICS = ("ndcg", "hr", "recall", "value", "breadth", "diversity", "coverage", "novelty")  # in the order in which they are shown
RESAMPLES = 1000
MEAN = "Mean of the tasks"  # a part of its own: every task's mean counts the same
_KEPT = 256


@dataclass(frozen=True)
class Scores:
    """What one setting gives on one split.

    values: {metric: Shape: (q,)}, one figure a question (coverage has none); coverage: {part: share of the catalogue}.
    """

    setting: LabSettings
    lists: Lists
    values: Mapping[str, np.ndarray]
    coverage: Mapping[str, float]
    milliseconds: float


class FusionLab:
    """The examples of one split.

    Args:
        cases: stored terms.
        facts: of the items, for the metrics.
        price: log price of every item, around nought (`data.prices.log_price`).
        seed: of the bootstrap.
    """

    def __init__(self, cases: LabCases, facts: metrics.Catalogue, price: np.ndarray, seed: int = 7) -> None:
        self.cases, self.facts, self.price, self.seed = cases, facts, price, seed
        self.vectors = facts.vectors if facts.vectors is not None else np.zeros((facts.n_items, 1), np.float32)
        self._plain = metrics.Catalogue(
            facts.category, facts.price, facts.surprise, facts.tail
        )  # diversity has its own, quicker way
        self._kept: OrderedDict[LabSettings, Scores] = OrderedDict()
        self._averaged: OrderedDict[LabSettings, pd.DataFrame] = OrderedDict()
        self._lock = threading.Lock()
        tasks = cases.cases["task"].to_numpy()
        rows, hide, self.parts = [], [], {}
        place = 0
        for task in dict.fromkeys(tasks.tolist()):
            own = np.flatnonzero(tasks == task)
            for view in VIEWS.get(task, ("all",)):
                chosen = own if view == "all" else own[self._new_targets[own] > 0]
                if len(chosen):
                    self.parts[task if view == "all" else f"{task}, new items"] = slice(place, place + len(chosen))
                    place += len(chosen)
                    rows.append(chosen)
                    hide.append(np.full(len(chosen), view != "all"))
        self.rows = np.concatenate(rows) if rows else np.zeros(0, np.int64)  # (q,) case of each question
        self.hide = np.concatenate(hide) if hide else np.zeros(0, bool)  # (q,) whether bought items are hidden

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def _new_targets(self) -> np.ndarray:
        return np.add.reduceat(np.append(~self.cases.target_bought, False).astype(int), self.cases.target_offsets[:-1])

    @cached_property
    def targets(self) -> list[np.ndarray]:
        """What each question is measured against: q arrays of item rows."""
        stored, out = self.cases, []
        for row, hidden in zip(self.rows.tolist(), self.hide.tolist(), strict=True):
            own = slice(stored.target_offsets[row], stored.target_offsets[row + 1])
            out.append(stored.target[own][~stored.target_bought[own]] if hidden else stored.target[own])
        return out

    @cached_property
    def _wanted(self) -> np.ndarray:
        """Whether each candidate is among its case's targets, and False behind the last, for an empty place (-1). Shape: (m + 1,).

        It serves both views: where bought items are hidden, no list holds one.
        """
        stored = self.cases
        every, width = np.arange(len(stored)), self.facts.n_items
        own = np.repeat(every, np.diff(stored.offsets[:: stored.beams])) * width + stored.item
        wanted: np.ndarray = np.isin(own, np.repeat(every, np.diff(stored.target_offsets)) * width + stored.target)
        return np.append(wanted, False)

    def score(self, setting: LabSettings) -> Scores:
        """Re-rank every question and measure the lists."""
        with self._lock:
            if setting in self._kept:
                self._kept.move_to_end(setting)
                return self._kept[setting]
        began = time.perf_counter()
        lists = rescore(self.cases, self.rows, self.hide, setting, self.price, self.vectors)
        items, n = lists.items(self.cases), setting.top
        accuracy = metrics.accuracy(items, self.targets, self.facts.price, (n,), self._wanted[lists.at])
        measured = accuracy | metrics.listwise(items, self._plain, None, (n,))
        values = {name: measured[name, n] for name in METRICS if (name, n) in measured}
        if self.facts.vectors is not None:
            values["diversity"] = spacing(items, self.vectors)
        coverage = {part: metrics.coverage(items[own], self.facts.n_items, n) for part, own in self.parts.items()}
        found = Scores(setting, lists, values, coverage, 1000 * (time.perf_counter() - began))
        with self._lock:
            self._kept[setting] = found
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return found

    def means(self, scores: Scores) -> pd.DataFrame:
        """Mean of every metric (columns) on every part (rows), `MEAN` last; kept like the scores, and not to be changed."""
        with self._lock:
            if scores.setting in self._averaged:
                return self._averaged[scores.setting]
        found = self._means(scores)
        with self._lock:
            self._averaged[scores.setting] = found
            while len(self._averaged) > _KEPT:
                self._averaged.popitem(last=False)
        return found

    def _means(self, scores: Scores) -> pd.DataFrame:
        table = np.stack([scores.values[name] for name in scores.values], 1)  # (questions, metrics)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a metric that no question of a part has is NaN there
            means = [np.nanmean(table[own], 0) for own in self.parts.values()]
        frame = pd.DataFrame(means, index=list(self.parts), columns=list(scores.values))
        frame["coverage"] = [scores.coverage[part] for part in self.parts]
        frame = frame[[name for name in METRICS if name in frame]]
        frame.loc[MEAN] = frame.mean()
        return frame

    def compare(self, now: Scores, reference: Scores) -> pd.DataFrame:
        """Every metric on every part against a reference.

        Returns:
            part · metric · value · low · high · reference · diff · diff_low · diff_high · n; coverage has no intervals (it belongs to
            all lists together).
        """
        rows: list[list[object]] = []
        for part, own in self.parts.items():
            names = list(now.values)
            ours = np.stack([now.values[name][own] for name in names], 1)
            theirs = np.stack([reference.values[name][own] for name in names], 1)
            found = self._intervals(np.concatenate([ours, ours - theirs], 1))
            for place, name in enumerate(names):
                value, diff = found[place], found[len(names) + place]
                base = float(np.nanmean(theirs[:, place])) if np.isfinite(theirs[:, place]).any() else np.nan
                rows.append([part, name, value.mean, value.low, value.high, base, diff.mean, diff.low, diff.high, value.n])
            value_, base_ = now.coverage[part], reference.coverage[part]
            rows.append([part, "coverage", value_, np.nan, np.nan, base_, value_ - base_, np.nan, np.nan, ours.shape[0]])
        columns = ["part", "metric", "value", "low", "high", "reference", "diff", "diff_low", "diff_high", "n"]
        return pd.DataFrame(rows, columns=columns)

    def _intervals(self, columns: np.ndarray) -> list[Interval]:
        n = len(columns)
        with self._lock:
            if n not in self._counts:
                self._counts[n] = resample_counts(n, RESAMPLES, self.seed).astype(np.float32)
        return intervals(columns, counts=self._counts[n])

    @cached_property
    def _counts(self) -> dict[int, np.ndarray]:
        return {}

    def questions(self, part: str) -> np.ndarray:
        """Questions of a part: their numbers."""
        own = self.parts[part]
        return np.arange(own.start, own.stop)


def moved(lab: FusionLab, before: Scores, after: Scores, part: str) -> np.ndarray:
    """Share of each question's list that changed, for the questions of a part. Shape: (questions of the part,)."""
    own = lab.parts[part]
    ours, theirs = after.lists.items(lab.cases)[own], before.lists.items(lab.cases)[own]
    width = min(ours.shape[1], theirs.shape[1])
    same: np.ndarray = (ours[:, :width, None] == theirs[:, None, :width]) & (ours[:, :width, None] >= 0)
    return np.asarray(1 - np.any(same, axis=2).mean(1))


def front(points: npt.ArrayLike) -> np.ndarray:
    """Which points no other point beats in every coordinate (larger is better). Shape: (n, objectives) → (n,) bool."""
    table = np.asarray(points, float)
    if not len(table):
        return np.zeros(0, bool)
    beaten: np.ndarray = np.all(table[None] >= table[:, None], axis=2) & np.any(table[None] > table[:, None], axis=2)
    return np.asarray(~np.any(beaten, axis=1))
