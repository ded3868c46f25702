"""One vector through the quantiser, level by level: what each code took away, and what stood beside it.

The residual before level l is v - Σ_{j<l} C_j[c_j]; the energy explained after level l is 1 - ‖residual after l‖² / ‖v‖². All in the space that
is quantised: the grounded space for RQ-KMeans, the encoder's for RQ-VAE.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from backend.tokenization.quantizers import usable_codes


@dataclass(frozen=True)
class ResidualPath:
    """The path of one vector.

    Frames:
        levels: level · code · distance (of the residual to the chosen centroid) · place (1 = nearest of all codes) · explained (share of the vector's
        energy, after the level) · gain (what this level added).
        codes: level · code · distance · chosen: every code of every level, the nearest first within its level.
    """

    levels: pd.DataFrame
    codes: pd.DataFrame


def residual_path(vector: np.ndarray, codes: np.ndarray, centroids: np.ndarray) -> ResidualPath:
    """Follow a vector along given codes.

    Shape:
        vector: (dim,); codes: (levels,); centroids: (levels, codes, dim).
    """
    residual = np.asarray(vector, np.float64).copy()
    energy = float((residual**2).sum()) or 1.0
    steps, tables, before = [], [], 0.0
    for level, code in enumerate(np.asarray(codes, int)):
        distance = np.linalg.norm(residual - centroids[level], axis=1)  # (codes,)
        residual = residual - centroids[level][code]
        explained = 1 - float((residual**2).sum()) / energy
        place = int((distance < distance[code]).sum()) + 1
        steps.append((level + 1, int(code), float(distance[code]), place, explained, explained - before))
        before = explained
        order = np.argsort(distance, kind="stable")
        order = order[usable_codes(centroids[level])[order]]
        tables.append(pd.DataFrame({"level": level + 1, "code": order, "distance": distance[order], "chosen": order == code}))
    return ResidualPath(
        pd.DataFrame(steps, columns=["level", "code", "distance", "place", "explained", "gain"]),
        pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["level", "code", "distance", "chosen"]),
    )


def shared_levels(sids: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """How many leading codes each item has in common with `codes`.

    Shape:
        sids: (n, levels); codes: (levels,); returns: (n,) int64.
    """
    return np.cumprod(sids == np.asarray(codes), axis=1).sum(1)


def encode_beside(vector: np.ndarray, before: np.ndarray, assigned: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """The SID of an edited item: nearest codes level by level, but the first code stays as assigned while its nearest code stays the same.

    The first level is balanced, so an item may stand in the second-nearest cluster because the nearest was full. An edit that does not touch
    which first code is nearest does not move the item out of its place.

    Shape:
        vector, before: (dim,) after and before the edit; assigned: (levels,) codes of the catalogue; centroids: (levels, codes, dim);
        returns: (levels,) int64.
    """
    nearest = [int(((each - centroids[0]) ** 2).sum(1).argmin()) for each in (vector, before)]
    residual, out = np.asarray(vector, np.float32).copy(), np.zeros(len(centroids), np.int64)
    for level, book in enumerate(centroids):
        keep = level == 0 and nearest[0] == nearest[1]
        out[level] = assigned[0] if keep else ((residual - book) ** 2).sum(1).argmin()
        residual -= book[out[level]]
    return out
