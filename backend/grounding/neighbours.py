"""Who lies near whom, in the original space: exact neighbours, and what their lists say about a space.

- Similarity is the cosine; vectors have unit norm, a zero row means that the item is not in this space (no behaviour, say) and
  it is then nobody's neighbour. Search is exact (faiss, flat), so that a picture can be held against the truth.
- *Overlap* of two spaces at an item: the share of its k nearest that both agree on.
- *Alignment* and *uniformity* as in Wang & Isola 2020 (arXiv 2005.10242): how close what belongs together lies, and how evenly
  everything is spread over the sphere; both are better when lower.
"""

from __future__ import annotations

import faiss
import numpy as np

from backend.progress import CancelToken, Progress, Report, silent

K = 10  # neighbours in a list
_BATCH = 2048  # queries between two looks at the cancel token
_PAIRS = 4_000_000  # most pairs that uniformity is averaged over


def normalised(vectors: np.ndarray) -> np.ndarray:
    """Unit rows; rows that are zero stay so. Shape: (n, dim) → (n, dim) float32."""
    rows = np.ascontiguousarray(vectors, dtype=np.float32)
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.where(norm > 1e-6, rows / np.maximum(norm, 1e-6), 0.0).astype(np.float32)


def present(vectors: np.ndarray) -> np.ndarray:
    """Which rows are in the space at all. Shape: (n, dim) → (n,) bool."""
    return np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64) > 1e-6


class Index:
    """Exact search in one space.

    Shape:
        vectors: (n, dim), unit norm or zero.
    """

    def __init__(self, vectors: np.ndarray) -> None:
        self.vectors = normalised(vectors)
        self.rows = np.flatnonzero(present(self.vectors))  # faiss knows only those that are there
        self._index = faiss.IndexFlatIP(self.vectors.shape[1])
        self._index.add(self.vectors[self.rows])

    def nearest(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k most similar items of each query, best first.

        Shape:
            queries: (q, dim); returns: item rows (q, k) int64 and cosines (q, k); where fewer exist, -1 and -inf.
        """
        cos, found = self._index.search(normalised(queries), k)
        rows = np.where(found >= 0, self.rows[found] if len(self.rows) else -1, -1)
        return rows, np.where(rows >= 0, cos, -np.inf)

    def around(self, items: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest of some items, themselves left out. Shape: (q,) → (q, k) and (q, k), as in `nearest`."""
        rows, cos = self.nearest(self.vectors[items], k + 1)
        own = rows == np.asarray(items)[:, None]
        own[~own.any(axis=1), -1] = True  # of many twins, the item itself may not be among those found
        kept_rows, kept_cos = rows[~own].reshape(len(rows), k), cos[~own].reshape(len(rows), k)
        absent = ~present(self.vectors[items])[:, None]
        return np.where(absent, -1, kept_rows), np.where(absent, -np.inf, kept_cos)


def neighbour_lists(
    index: Index, k: int = K, report: Report = silent, cancel: CancelToken | None = None, name: str = "neighbours"
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest of every item.

    Shape:
        returns: rows (n, k) int32 and cosines (n, k) float32; -1 and -inf where there is no neighbour.

    Raises:
        Cancelled: asked to stop.
    """
    n = len(index.vectors)
    rows, cos = np.full((n, k), -1, np.int32), np.full((n, k), -np.inf, np.float32)
    for start in range(0, n, _BATCH):
        if cancel:
            cancel.check()
        part = np.arange(start, min(start + _BATCH, n))
        rows[part], cos[part] = index.around(part, k)
        report(Progress(name, int(part[-1]) + 1, n))
    return rows, cos


def overlap(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Share of an item's k nearest that two spaces agree on.

    Shape:
        left, right: (n, k) item rows, -1 padded; returns: (n,) in [0, 1], NaN where an item has no neighbours in one of them.
    """
    both = ((left[:, :, None] == right[:, None, :]) & (left >= 0)[:, :, None]).any(axis=2).sum(axis=1)
    size = np.minimum((left >= 0).sum(axis=1), (right >= 0).sum(axis=1))
    return np.where(size > 0, both / np.maximum(size, 1), np.nan)


def alignment(vectors: np.ndarray, pairs: np.ndarray) -> float:
    """Mean squared distance of what belongs together, E ‖x − y‖² (Wang & Isola 2020, eq. 1 with α = 2).

    Shape:
        vectors: (n, dim) unit norm or zero; pairs: (p, 2) rows; pairs with an absent item are left out.
    """
    there = present(vectors)
    pairs = pairs[there[pairs].all(axis=1)] if len(pairs) else pairs
    if not len(pairs):
        return float("nan")
    cos = np.einsum("pd,pd->p", vectors[pairs[:, 0]], vectors[pairs[:, 1]], dtype=np.float64)
    return float((2 - 2 * cos).mean())  # unit vectors: ‖x − y‖² = 2 − 2 cos


def uniformity(vectors: np.ndarray, seed: int = 7) -> float:
    """log E exp(−2 ‖x − y‖²) over pairs of different items (Wang & Isola 2020, eq. 2 with t = 2).

    All pairs where there are few, four million drawn ones above.

    Shape:
        vectors: (n, dim) unit norm or zero.
    """
    rows = vectors[present(vectors)]
    n = len(rows)
    if n < 2:
        return float("nan")
    if n * (n - 1) // 2 <= _PAIRS:
        i, j = np.triu_indices(n, 1)
    else:
        rng = np.random.default_rng(seed)
        i = rng.integers(n, size=_PAIRS)
        j = (i + rng.integers(1, n, size=_PAIRS)) % n  # never the same item twice
    total = 0.0
    for start in range(0, len(i), 1 << 18):
        a, b = rows[i[start : start + (1 << 18)]], rows[j[start : start + (1 << 18)]]
        total += np.exp(-2 * (2 - 2 * np.einsum("pd,pd->p", a, b, dtype=np.float64))).sum()
    return float(np.log(total / len(i)))
