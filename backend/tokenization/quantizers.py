"""Residual k-means (RQ-KMeans): grounded vectors → codes, level by level (SIGMA §1.2).

- k-means runs in faiss. The first level is balanced, since its clusters become the prefixes: a prefix that holds a quarter
  of the catalogue makes step 2 a search over everything.
- Balance by capacity: Lloyd iterations whose assignment fills clusters up to `balance` times the mean, nearest pairs first.
- Empty clusters are re-seeded by faiss; usage is reported, never assumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import faiss
import numpy as np

from backend.progress import CancelToken, Progress, Report, silent
from backend.settings import TokenSettings

_NEVER = 1e3  # every coordinate of a code that cannot be chosen (fewer vectors than codes)


class Quantizer(Protocol):
    """What gives vectors their codes: the residual k-means here, the RQ-VAE in its own file."""

    @property
    def centroids(self) -> np.ndarray:
        """Centroids of all levels, in the space that is quantised. Shape: (levels, codes, latent)."""
        ...

    def latent(self, vectors: np.ndarray) -> np.ndarray:
        """What is quantised. Shape: (n, dim) → (n, latent)."""
        ...

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Codes of vectors. Shape: (n, dim) → (n, levels) int64."""
        ...

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Vectors of codes of the first levels. Shape: (n, ≤ levels) → (n, dim)."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything that `load_quantizer` needs."""
        ...


@dataclass(frozen=True)
class Codebooks:
    """Centroids of all levels.

    Shape:
        centroids: (levels, codes, dim) float32.
    """

    centroids: np.ndarray

    def latent(self, vectors: np.ndarray) -> np.ndarray:
        """The vectors themselves: k-means quantises what it is given. Shape: (n, dim) → (n, dim)."""
        return np.asarray(vectors, np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        """The centroids."""
        return {"centroids": self.centroids}

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Codes of new vectors by nearest centroid of the residual, level by level.

        Shape:
            vectors: (n, dim); returns: (n, levels) int64.
        """
        residual = np.asarray(vectors, np.float32).copy()
        codes = np.zeros((len(residual), len(self.centroids)), np.int64)
        for level, book in enumerate(self.centroids):
            codes[:, level] = _distances(residual, book).argmin(1)
            residual -= book[codes[:, level]]
        return codes

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Sum of the centroids of the first levels.

        Shape:
            codes: (n, ≤ levels); returns: (n, dim).
        """
        return np.asarray(sum(self.centroids[level][codes[:, level]] for level in range(codes.shape[1])))


def usable_codes(book: np.ndarray) -> np.ndarray:
    """Codes of one level that can be chosen: those left over where there are fewer vectors than codes cannot.

    Shape:
        book: (codes, dim); returns: (codes,) bool.
    """
    return np.asarray((book < _NEVER).any(1))


def _distances(vectors: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances. Shape: (n, codes)."""
    return (vectors**2).sum(1, keepdims=True) - 2 * vectors @ centroids.T + (centroids**2).sum(1)


def _capped_assignment(distances: np.ndarray, capacity: int) -> np.ndarray:
    """Nearest cluster with room left; the pairs with the largest regret choose first.

    Shape:
        distances: (n, codes); returns: (n,) int64.
    """
    order = np.argsort(distances, axis=1)  # (n, codes) clusters, nearest first
    two = np.partition(distances, 1, axis=1)[:, :2]
    room = np.full(distances.shape[1], capacity)
    out = np.empty(len(distances), np.int64)
    for row in np.argsort(-(two[:, 1] - two[:, 0]), kind="stable"):
        free = order[row][room[order[row]] > 0]
        out[row] = free[0]
        room[free[0]] -= 1
    return out


def rq_kmeans(
    vectors: np.ndarray, settings: TokenSettings, seed: int, report: Report = silent, cancel: CancelToken | None = None
) -> tuple[Codebooks, np.ndarray]:
    """Fit the codebooks and assign the items.

    Shape:
        vectors: (n, dim).
        returns: codebooks, and codes (n, levels) int64. First-level codes respect the balance, so they may differ from
        `Codebooks.encode`, which serves new items and has no capacity.
    """
    vectors = np.ascontiguousarray(vectors, np.float32)
    residual = vectors.copy()
    k = min(settings.codes, len(vectors))
    books = np.zeros((settings.levels, settings.codes, vectors.shape[1]), np.float32)
    codes = np.zeros((len(vectors), settings.levels), np.int64)
    for level in range(settings.levels):
        if cancel:
            cancel.check()
        kmeans = faiss.Kmeans(
            vectors.shape[1],
            k,
            niter=settings.iterations,
            seed=seed + level,
            min_points_per_centroid=1,
            max_points_per_centroid=10**6,
        )
        kmeans.train(residual)
        book = np.asarray(kmeans.centroids, np.float32).reshape(k, -1)
        if level == 0:
            capacity = int(np.ceil(settings.balance * len(vectors) / k))
            for _ in range(settings.iterations):
                chosen = _capped_assignment(_distances(residual, book), capacity)
                book = np.stack([residual[chosen == j].mean(0) if (chosen == j).any() else book[j] for j in range(k)])
        else:
            chosen = _distances(residual, book).argmin(1)
        books[level, :k] = book
        books[level, k:] = np.inf if k < settings.codes else 0  # codes that cannot be chosen
        codes[:, level] = chosen
        residual -= book[chosen]
        report(Progress("tokens", level + 1, settings.levels, f"level {level + 1}"))
    return Codebooks(np.where(np.isinf(books), _NEVER, books).astype(np.float32)), codes
