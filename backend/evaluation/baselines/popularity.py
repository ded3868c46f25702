"""Popularity, of the whole training period or of its last days.

The floor that every recommender must clear, and on items new to a household a surprisingly firm one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from backend.data.schema import Dataset
from backend.data.split import Split
from backend.evaluation.baselines.base import Baseline, Floats, purchase_counts
from backend.evaluation.cases import Case


class Popularity(Baseline):
    """Items by their number of training purchases."""

    name = "popularity"

    def __init__(self, dataset: Dataset, split: Split) -> None:
        super().__init__(dataset)
        self.counts = purchase_counts(dataset, split)

    def scores(self, cases: Sequence[Case]) -> Floats:
        """The same counts for everybody."""
        return np.broadcast_to(self.counts, (len(cases), self.n_items))


class RecentPopularity(Baseline):
    """Items by their purchases in the last `days` of training; older purchases break ties."""

    name = "recent popularity"
    GRID: ClassVar[tuple[dict[str, Any], ...]] = tuple({"days": days} for days in (7, 14, 28, 56, 112))

    def __init__(self, dataset: Dataset, split: Split, days: int = 14) -> None:
        super().__init__(dataset)
        older = purchase_counts(dataset, split)
        self.counts = purchase_counts(dataset, split, last_days=days) + older / (1 + older.sum())

    def scores(self, cases: Sequence[Case]) -> Floats:
        """The same counts for everybody."""
        return np.broadcast_to(self.counts, (len(cases), self.n_items))
