"""Names for the dense regions of a map: where points crowd (HDBSCAN on the map itself), and which category is most at home there.

The regions are of the picture, not of the space: they help the eye to find its way and mean nothing more.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.cluster import HDBSCAN

_MOST = 28  # labels on a map
_SAMPLE = 20_000  # points that are clustered; enough for names
_AT_HOME = 0.3  # share of the region that a category must have to name it; below, the broader name is taken


def regions(xy: np.ndarray, narrow: pd.Series, broad: pd.Series, seed: int = 7) -> pd.DataFrame:
    """Dense regions of a map, largest first.

    Args:
        narrow: the names to choose from, of every item (categories).
        broad: taken where no narrow name fits (departments).

    Shape:
        xy: (n, 2), NaN where not laid out; narrow, broad: (n,).

    Returns:
        label · x · y (median of the region) · n (points) · share (of the region that the label names); no label twice.
    """
    rows = np.flatnonzero(np.isfinite(xy[:, 0]))
    if len(rows) > _SAMPLE:
        rows = np.sort(np.random.default_rng(seed).choice(rows, _SAMPLE, replace=False))
    columns = ["label", "x", "y", "n", "share"]
    if len(rows) < 20:
        return pd.DataFrame(columns=columns)
    size = max(8, len(rows) // 150)
    cluster = HDBSCAN(min_cluster_size=size, min_samples=min(8, size), cluster_selection_method="leaf", copy=True).fit(
        xy[rows].astype(np.float64)
    )
    frame = pd.DataFrame({"cluster": cluster.labels_, "x": xy[rows, 0], "y": xy[rows, 1]})
    frame["narrow"], frame["broad"] = narrow.iloc[rows].to_numpy(str), broad.iloc[rows].to_numpy(str)
    overall = frame["narrow"].value_counts()
    found: list[tuple[str, float, float, int, float]] = []
    for _, part in frame[frame["cluster"] >= 0].groupby("cluster"):
        inside = part["narrow"].value_counts()
        # most distinctive, not most frequent: n·log(lift), the gain in log-likelihood over "as everywhere"
        lift = inside / len(part) * len(frame) / overall[inside.index]
        name = str((inside * np.log(lift.clip(lower=1e-9))).idxmax())
        share = float(inside[name] / len(part))
        if share < _AT_HOME:
            name, share = str(part["broad"].mode().iat[0]), float(part["broad"].value_counts(normalize=True).iat[0])
        found.append((name, float(part["x"].median()), float(part["y"].median()), len(part), share))
    table = pd.DataFrame(found, columns=columns).sort_values("n", ascending=False)
    return table.drop_duplicates("label").head(_MOST).reset_index(drop=True)
