"""Diversity of one list: maximal marginal relevance (Carbonell & Goldstein 1998) over item vectors.

- From the best `POOL` items the list takes, place by place, the one with the most of (1-λ)·score - λ·(largest cosine to what is taken);
  scores are scaled to [0, 1] in the pool. The first place stays.
- `evaluation.rescoring` does the same to thousands of lists at once, compiled; the tests hold the two against each other.
"""

from __future__ import annotations

import numpy as np

POOL = 50  # items that are chosen from, at least


def spaced(scores: np.ndarray, vectors: np.ndarray, weight: float, count: int) -> np.ndarray:
    """The order in which a pool is taken.

    Args:
        weight: λ; 0 leaves the order as it is.
        count: length of the list.

    Shape:
        scores: (n,) best first; vectors: (n, d) unit rows, or rows of zeros; returns: (min(count, n),) positions in the pool.
    """
    if not len(scores):
        return np.zeros(0, np.int64)
    worth = (1 - weight) * (scores - scores[-1]) / max(float(scores[0] - scores[-1]), 1e-6)
    near, free = np.full(len(scores), -1.0), np.ones(len(scores), bool)
    order: list[int] = []
    for place in range(min(count, len(scores))):
        taken = int(np.argmax(np.where(free, worth - (weight * near if place else 0.0), -np.inf)))
        order.append(taken)
        free[taken] = False
        near = np.maximum(near, vectors @ vectors[taken])
    return np.array(order, np.int64)
