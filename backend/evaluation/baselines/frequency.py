"""The household's own purchase frequency: the repeat purchase is most of grocery shopping.

- `OwnFrequency`: Σ over the household's purchases of an item of 0.5^(age / half-life). Popularity only breaks ties and fills the
  places after the household's own items, so with bought items hidden it *is* popularity restricted to unseen items.
- `OwnFrequencyPopularity`: the same sum plus `strength` × the share of training baskets that hold the item: a household with a
  short history leans on everybody's purchases. With `days`, only the baskets of the last days of training are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from backend.data.schema import Dataset
from backend.data.split import Split
from backend.evaluation.baselines.base import Baseline, Floats, history_matrix, purchase_counts
from backend.evaluation.cases import Case


class OwnFrequency(Baseline):
    """Recency-weighted count of the household's own purchases."""

    name = "own frequency"
    GRID: ClassVar[tuple[dict[str, Any], ...]] = tuple({"half_life": days} for days in (15, 30, 60, 90, 180, 360))

    def __init__(self, dataset: Dataset, split: Split, half_life: float = 90.0) -> None:
        super().__init__(dataset)
        self.half_life = half_life
        counts = purchase_counts(dataset, split)
        self.ties = (counts / (1 + counts.max(initial=0))).astype(np.float32)  # < 1

    def scores(self, cases: Sequence[Case]) -> Floats:
        """Own purchases first, popularity after them."""
        own = history_matrix(cases, self.n_items, self.half_life).toarray()
        # any own item must precede every other; 1e-6 still tells the ties of float32 sums around 1 apart
        return np.where(own > 0, 1 + own + 1e-6 * self.ties, self.ties)


class OwnFrequencyPopularity(Baseline):
    """Own frequency with popularity as a prior."""

    name = "own frequency + popularity"
    GRID: ClassVar[tuple[dict[str, Any], ...]] = tuple(
        {"half_life": half_life, "strength": strength, "days": days}
        for half_life in (60, 90, 180)
        for strength in (3, 10, 30, 100)
        for days in (14, None)
    )

    def __init__(
        self, dataset: Dataset, split: Split, half_life: float = 90.0, strength: float = 10.0, days: int | None = 14
    ) -> None:
        super().__init__(dataset)
        self.half_life, self.strength = half_life, strength
        counts = purchase_counts(dataset, split, last_days=days)
        times = split.train["time"]
        window = len(times) if days is None else int((times >= times.max() - pd.Timedelta(days=days)).sum())
        self.share = (counts / max(window, 1)).astype(np.float32)  # baskets of the window that hold the item

    def scores(self, cases: Sequence[Case]) -> Floats:
        """Own purchases and everybody's, added."""
        return history_matrix(cases, self.n_items, self.half_life).toarray() + self.strength * self.share
