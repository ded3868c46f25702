"""Step 2: the items inside each kept prefix (SIGMA §1.4).

Exact: the softmax of step 3 is normalised over all items of a prefix, so every cosine is needed, and an index that finds only the
nearest would save nothing.
"""

from __future__ import annotations

import numpy as np


def cosines(queries: np.ndarray, soft: np.ndarray, members: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """cos(h_k, ṽ_i) for the items of each kept prefix.

    Shape:
        queries: (K, d) unit norm; soft: (n_items, d) unit norm; members: (K, L) item rows, -1 padded; allowed: (n_items,) bool.
        returns: (K, L), -inf where padded or not allowed.
    """
    safe = np.maximum(members, 0)
    out = np.einsum("kd,kld->kl", queries, soft[safe])
    return np.where((members >= 0) & allowed[safe], out, -np.inf)


def without_items(cos: np.ndarray) -> np.ndarray:
    """The cosines of a SID-only model: items of one SID cannot be told apart. Shape: (K, L), zero where legal."""
    return np.where(np.isfinite(cos), 0.0, -np.inf)


def best_of_each(score: np.ndarray, m: int) -> tuple[np.ndarray, np.ndarray]:
    """The M best legal items of each prefix. Without priors these are the nearest to h_k; ties go to the smaller column.

    Shape:
        score: (K, L), -inf where not legal; returns: rows and columns of the chosen entries, each (chosen,), in the order of the rows.
    """
    order = np.argsort(-score, axis=1, kind="stable")[:, :m]
    chosen = np.zeros(score.shape, bool)
    np.put_along_axis(chosen, order, True, axis=1)
    rows, columns = np.nonzero(chosen & np.isfinite(score))
    return rows, columns
