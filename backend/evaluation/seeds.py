"""Several trainings of one system as one line of a table: means over seeds, household by household.

- Each household's figure is the mean over the seeds; intervals and paired differences are then taken over households as everywhere. They
  tell how sure the mean of *these* trainings is; how much one training differs from the next stands beside them as the figure of each seed.
- With one seed the figures are the run's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from backend.evaluation.protocol import DIFFERENCE_COLUMNS, RESULT_COLUMNS, Evaluation, difference_rows, result_rows
from backend.frames import records

_KEPT = ("hr", "ndcg", "recall", "constraint", "breadth")


def over_seeds(
    measured: Evaluation, systems: Mapping[str, Sequence[str]], reference: str, ks: Sequence[int] = (10, 20)
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Results and paired differences from the reference, of systems that stand for one or several recommenders of a run.

    Args:
        systems: name → the recommenders whose mean it is.
        reference: a name among them.

    Returns:
        frames like `Evaluation.results` and `Evaluation.differences`.
    """
    about = measured.about
    columns = [f"{metric}@{k}" for metric in _KEPT for k in ks if f"{metric}@{k}" in measured.examples]
    keys = [(metric, int(k)) for metric, k in (column.split("@") for column in columns)]
    results: list[list[Any]] = []
    differences: list[list[Any]] = []
    for (task, view), part in measured.examples.groupby(["task", "view"], sort=False):
        own = {name: each[columns].to_numpy(float).T for name, each in part.groupby("recommender", sort=False)}  # (columns, n)
        values = {
            name: dict(zip(keys, np.mean([own[one] for one in members], axis=0), strict=True))
            for name, members in systems.items()
        }
        everyone = np.ones(len(part) // len(own), bool)
        results += result_rows(values, everyone, [str(task), str(view), "all"], about["resamples"], about["seed"])
        differences += difference_rows(values, reference, [str(task), str(view)], about["resamples"], about["seed"])
    return pd.DataFrame(results, columns=RESULT_COLUMNS), pd.DataFrame(differences, columns=DIFFERENCE_COLUMNS)


def each_seed(measured: Evaluation, recommender: str, column: str = "hr@10") -> dict[str, float]:
    """A recommender's mean of one figure on each "task" or "task, new"."""
    part = measured.examples[measured.examples["recommender"] == recommender]
    means = part.groupby(["task", "view"], sort=False)[column].mean().reset_index()
    return {
        f"{row['task']}{'' if row['view'] == 'all' else ', ' + row['view']}": round(float(row[column]), 4)
        for row in records(means)
    }
