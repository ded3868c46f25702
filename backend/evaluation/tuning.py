"""Choosing a baseline's settings on the validation baskets.

- The score of a setting is the mean NDCG@10 over all (task, view) pairs of the cases: like the model, a baseline gets one setting
  for every question, not one for each column of the table.
- Every trial is kept, so a result can show what was tried and how much it mattered.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backend.data.schema import Dataset
from backend.data.split import Split
from backend.evaluation.baselines import Recommender, fit, known
from backend.evaluation.cases import Case
from backend.evaluation.metrics import accuracy
from backend.evaluation.views import VIEWS, view_cases
from backend.progress import CancelToken, Progress, Report, silent


@dataclass(frozen=True)
class Tuned:
    """What was chosen for a baseline, by which score, out of which trials."""

    name: str
    settings: dict[str, Any]
    score: float  # mean NDCG@10 over (task, view) on validation
    recommender: Recommender  # fitted with these settings
    trials: list[dict[str, Any]]  # {"settings", "score", "parts": {"task/view": NDCG@10}, "seconds"}


def tune(
    name: str,
    dataset: Dataset,
    split: Split,
    cases: Sequence[Case],
    grid: Sequence[Mapping[str, Any]] | None = None,
    views: Mapping[str, Sequence[str]] = VIEWS,
    report: Report = silent,
    cancel: CancelToken | None = None,
) -> Tuned:
    """Try every setting of a small grid on validation cases and keep the best; ties go to the earlier one.

    Args:
        name: a name in `BASELINES`.
        dataset: the tables.
        split: says which events are for training.
        cases: *validation* cases.
        grid: keyword arguments to try; None = the baseline's own `GRID`.
        views: which views of which task count.
        report: told of each trial.
        cancel: checked before each trial.

    Raises:
        RequestError: unknown name.
        ValueError: an empty grid.
    """
    settings = [dict(entry) for entry in (grid if grid is not None else known(name).GRID)]
    trials: list[dict[str, Any]] = []
    best: tuple[float, dict[str, Any], Recommender] | None = None
    for done, entry in enumerate(settings):
        if cancel is not None:
            cancel.check()
        began = time.perf_counter()
        recommender = fit(name, dataset, split, entry, cancel=cancel)
        parts = ndcg_by_view(recommender, cases, views)
        score = float(np.mean(list(parts.values()))) if parts else 0.0
        if best is None or score > best[0]:
            best = score, entry, recommender
        trials.append({"settings": entry, "score": score, "parts": parts, "seconds": time.perf_counter() - began})
        report(Progress("tuning", done + 1, len(settings), f"{name} {entry}", {"ndcg@10": score}))
    if best is None:
        raise ValueError(f"{name}: the grid is empty")
    return Tuned(name, best[1], best[0], best[2], trials)


def ndcg_by_view(
    recommender: Recommender, cases: Sequence[Case], views: Mapping[str, Sequence[str]] = VIEWS, k: int = 10
) -> dict[str, float]:
    """Mean NDCG@K of each "task/view"."""
    parts = {}
    for task, view, chosen in view_cases(cases, views):
        lists = recommender.recommend(chosen, k)
        price = np.zeros(int(lists.max(initial=0)) + 1)  # money plays no part here
        values = accuracy(lists, [case.targets for case in chosen], price, (k,))["ndcg", k]
        parts[f"{task}/{view}"] = float(np.nanmean(values))
    return parts
