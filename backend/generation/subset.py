"""Step 2: nearest items of h_k inside prefix k (SIGMA §1.4).

Exact everywhere: a masked matrix product over the items of the kept prefixes. Above `FAISS_THRESHOLD` items in one prefix the search for the
M nearest runs in faiss (also exact, inner product) instead of a full sort.
"""

from __future__ import annotations

import faiss
import numpy as np

FAISS_THRESHOLD = 20_000


def cosines(queries: np.ndarray, soft: np.ndarray, members: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """cos(h_k, ṽ_i) for the items of each kept prefix.

    Shape:
        queries: (K, d) unit norm; soft: (n_items, d) unit norm; members: (K, L) item rows, -1 padded; allowed: (n_items,) bool.
        returns: (K, L), -inf where padded or not allowed.
    """
    safe = np.maximum(members, 0)
    out = np.einsum("kd,kld->kl", queries, soft[safe])
    return np.where((members >= 0) & allowed[safe], out, -np.inf)


def nearest(cos: np.ndarray, m: int) -> np.ndarray:
    """Columns of the M largest cosines of each row, best first; ties go to the smaller column.

    Shape:
        cos: (K, L); returns: (K, min(M, L)); entries that are not legal (-inf) may fill up a row and must be dropped by the caller.
    """
    m = min(m, cos.shape[1])
    if cos.shape[1] > FAISS_THRESHOLD:
        # one-dimensional inner products with 1 are the cosines themselves: faiss only selects
        finite = np.where(np.isfinite(cos), cos, -2.0).astype(np.float32)
        rows = [
            faiss.knn(np.ones((1, 1), np.float32), row[:, None], m, metric=faiss.METRIC_INNER_PRODUCT)[1][0] for row in finite
        ]
        return np.stack(rows)
    return np.argsort(-cos, axis=1, kind="stable")[:, :m]
