"""Item-kNN: items that stood in one basket with what the household bought.

    s(i, j) = n_ij / ( sqrt(n_i n_j) + shrinkage )      n_ij = training baskets that hold both
    score(j) = Σ_{i in history} w_i s(i, j)             w_i = 0.5^(age / half-life), summed over the purchases of i

Only the `neighbours` largest s(i, ·) of each item are kept. `own` is the weight of the diagonal: 0 scores an item by its
neighbours alone, a large one mostly by itself, which is own frequency.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from backend.data.schema import Dataset
from backend.data.split import Split
from backend.evaluation.baselines.base import Baseline, Floats, history_matrix, purchase_counts, top_k
from backend.evaluation.cases import Case


class ItemKNN(Baseline):
    """Basket co-occurrence cosine with shrinkage."""

    name = "item-kNN"
    GRID: ClassVar[tuple[dict[str, Any], ...]] = tuple(
        {"neighbours": neighbours, "shrinkage": shrinkage, "half_life": days}
        for neighbours in (100, 400)
        for shrinkage in (10.0, 100.0)
        for days in (30.0, 90.0)
    )

    def __init__(
        self,
        dataset: Dataset,
        split: Split,
        neighbours: int = 400,
        shrinkage: float = 100.0,
        half_life: float = 90.0,
        own: float = 10.0,
    ) -> None:
        super().__init__(dataset)
        self.half_life = half_life
        self.similarity = basket_cosine(dataset, split, neighbours, shrinkage, own)
        counts = purchase_counts(dataset, split)
        self.ties = (1e-6 * counts / (1 + counts.max(initial=0))).astype(np.float32)

    def scores(self, cases: Sequence[Case]) -> Floats:
        """Similarity to the weighted history; popularity breaks ties."""
        history = history_matrix(cases, self.n_items, self.half_life)
        return (history @ self.similarity).toarray() + self.ties


def basket_cosine(dataset: Dataset, split: Split, neighbours: int, shrinkage: float, own: float) -> sparse.csr_matrix:
    """Shrunk cosine of training baskets.

    Returns:
        Shape: (n_items, n_items); row i holds the similarities of item i's neighbours, and `own` on the diagonal.
    """
    baskets = split.train
    starts, stops = baskets["start"].to_numpy(), baskets["stop"].to_numpy()
    lengths = stops - starts
    rows = np.repeat(np.arange(len(baskets)), lengths)
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    items = dataset.events["item"].to_numpy()[np.repeat(starts, lengths) + within]
    held = sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, items)), shape=(len(baskets), dataset.n_items))
    held.data[:] = 1.0  # an item listed twice in a basket is held once
    together = (held.T @ held).tocsr()
    n = together.diagonal()
    parts = []
    for start in range(0, dataset.n_items, 512):
        block = together[start : start + 512].toarray()
        block /= np.sqrt(np.outer(n[start : start + 512], n)) + max(shrinkage, 1e-9)
        place = np.arange(len(block))
        block[place, start + place] = -np.inf
        best = top_k(block, neighbours)  # (512, neighbours)
        row, column = np.nonzero(best >= 0)
        values = block[row, best[row, column]]
        kept = sparse.csr_matrix((values, (row, best[row, column])), shape=block.shape, dtype=np.float32)
        kept.eliminate_zeros()
        parts.append(kept)
    similarity = sparse.vstack(parts, format="csr")
    return (similarity + sparse.diags_array(np.full(dataset.n_items, own, np.float32))).tocsr().astype(np.float32)
