"""What all baselines share: one interface, the hard filters, and a deterministic top-k.

- A baseline learns in its constructor, from training events alone; of an example it sees the case (history, its age, the
  constraint), never the events after it.
- It scores every item; `recommend` applies the case's constraint and "hide seen" as hard filters, since a baseline cannot read.
- Ties go to the lower item row, so two runs agree to the last place.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from backend.data.schema import Dataset
from backend.data.split import Split
from backend.evaluation.cases import Case

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]


class Recommender(Protocol):
    """Anything that can be evaluated."""

    name: str

    def recommend(self, cases: Sequence[Case], k: int) -> Ints:
        """Item rows, best first, -1 = empty place; no repeats in a row. Shape: (len(cases), k)."""
        ...


class Baseline(ABC):
    """A recommender that scores all items."""

    name: str
    GRID: ClassVar[tuple[dict[str, Any], ...]] = ({},)  # keyword arguments that `tune` tries
    BATCH: ClassVar[int] = 256  # cases scored at once: (256, 6,000) float32 = 6 MB

    def __init__(self, dataset: Dataset) -> None:
        self.n_items = dataset.n_items

    @abstractmethod
    def scores(self, cases: Sequence[Case]) -> Floats:
        """Scores of all items, higher is better. Shape: (len(cases), n_items)."""

    def recommend(self, cases: Sequence[Case], k: int) -> Ints:
        """The k best legal items of each case.

        Returns:
            Shape: (len(cases), k); -1 where fewer than k items are legal.
        """
        parts: list[Ints] = [np.empty((0, k), np.int64)]
        for start in range(0, len(cases), self.BATCH):
            batch = cases[start : start + self.BATCH]
            scores = np.array(self.scores(batch), np.float32, copy=True)
            for row, case in enumerate(batch):
                if case.allowed is not None:
                    scores[row, ~case.allowed] = -np.inf
                if case.seen == "hide":
                    scores[row, case.history] = -np.inf
            parts.append(top_k(scores, k))
        return np.concatenate(parts)


def top_k(scores: Floats, k: int) -> Ints:
    """Columns of the k largest scores of each row, best first, ties to the lower column.

    Args:
        scores: Shape: (n, m); -inf = not legal.
        k: length of the lists; may exceed m.

    Returns:
        Shape: (n, k); -1 where no legal column is left.
    """
    n, m = scores.shape
    width = min(k, m)
    result = np.full((n, k), -1, np.int64)
    if not n or not width:
        return result
    bar = -np.partition(-scores, width - 1, axis=1)[:, width - 1 : width]  # the width-th largest of each row
    above, level = scores > bar, scores == bar
    room = width - above.sum(1, keepdims=True)
    picked = above | (level & (np.cumsum(level, axis=1) <= room))
    columns = np.nonzero(picked)[1].reshape(n, width)
    values = np.take_along_axis(scores, columns, 1)
    order = np.argsort(-values, axis=1, kind="stable")
    columns, values = np.take_along_axis(columns, order, 1), np.take_along_axis(values, order, 1)
    result[:, :width] = np.where(values == -np.inf, -1, columns)
    return result


def history_matrix(
    cases: Sequence[Case], n_items: int, half_life: float | None = None, binary: bool = False
) -> sparse.csr_matrix:
    """Purchases of each case's history, one row a case.

    Args:
        cases: the cases.
        n_items: number of items.
        half_life: days after which a purchase counts half; None = all purchases count 1.
        binary: an item counts as its newest purchase only.

    Returns:
        Shape: (len(cases), n_items), float32.
    """
    lengths = [len(case.history) for case in cases]
    rows = np.repeat(np.arange(len(cases)), lengths)
    columns = np.concatenate([case.history for case in cases]) if cases else np.zeros(0, np.int64)
    weights = np.ones(len(rows), np.float32)
    if half_life is not None and len(rows):
        weights = (0.5 ** (np.concatenate([case.ages for case in cases]) / half_life)).astype(np.float32)
    if binary:  # the history runs from old to new, so the last mention is the newest
        keys = rows.astype(np.int64) * n_items + columns
        newest = len(keys) - 1 - np.unique(keys[::-1], return_index=True)[1]
        rows, columns, weights = rows[newest], columns[newest], weights[newest]
    return sparse.csr_matrix((weights, (rows, columns)), shape=(len(cases), n_items), dtype=np.float32)


def purchase_counts(dataset: Dataset, split: Split, last_days: int | None = None) -> Floats:
    """Training purchases (basket lines) of each item, over the last days of training or all of it.

    Returns:
        Shape: (n_items,).
    """
    events = training_events(dataset, split)
    if last_days is not None and len(events):
        events = events[events["time"] >= events["time"].max() - pd.Timedelta(days=last_days)]
    return np.bincount(events["item"].to_numpy(), minlength=dataset.n_items).astype(np.float64)


def training_events(dataset: Dataset, split: Split) -> pd.DataFrame:
    """The events that may be learned from."""
    return dataset.events.loc[np.asarray(split.train_events)]
