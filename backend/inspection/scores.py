"""Headline quality from the evaluation tables: ours against the best baseline of each task, with intervals.

- "Best" baseline is the one with the highest mean of this metric on this task: the hardest one to beat, not a convenient one.
- The difference and its interval are the *paired* ones that the evaluation stored; none is made up from two separate intervals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from backend.evaluation import OURS
from backend.frames import records

VIEW_NAMES = {"new": "new items"}


def headline(tables: Mapping[str, pd.DataFrame], metric: str = "hr", k: int = 10, others: Sequence[str] = ()) -> pd.DataFrame:
    """Ours and the best baseline, one row a task, view and system.

    Args:
        tables: of the evaluation stage.
        metric, k: which figure.
        others: further models that were measured beside ours; they are no baselines.

    Returns:
        task · view · label · system · ours · value · low · high · n · diff · diff_low · diff_high (ours minus the baseline, on
        our rows; NaN where it was not measured).
    """
    columns = ["task", "view", "label", "system", "ours", "value", "low", "high", "n", "diff", "diff_low", "diff_high"]
    results = tables.get("results", pd.DataFrame())
    if results.empty:
        return pd.DataFrame(columns=columns)
    chosen = results[(results["metric"] == metric) & (results["k"] == k) & (results["slice"] == "all")]
    rows = []
    for (task, view), part in chosen.groupby(["task", "view"], sort=False):
        names = part["recommender"]
        own = part[names == OURS]
        baselines = part[~names.str.startswith(OURS) & ~part["recommender"].isin(list(others))]
        label = f"{task}, {VIEW_NAMES[view]}" if view in VIEW_NAMES else str(task)
        best = baselines.sort_values("mean", ascending=False).head(1)
        for system, ours in ((own, True), (best, False)):
            for row in records(system):
                rows.append((task, view, label, row["recommender"], ours, row["mean"], row["low"], row["high"], int(row["n"])))
    frame = pd.DataFrame(rows, columns=columns[:9])
    return frame.join(_differences(frame, tables.get("differences"), metric, k)) if len(frame) else pd.DataFrame(columns=columns)


def _differences(frame: pd.DataFrame, differences: pd.DataFrame | None, metric: str, k: int) -> pd.DataFrame:
    found = pd.DataFrame(float("nan"), index=frame.index, columns=["diff", "diff_low", "diff_high"])
    if differences is None or differences.empty:
        return found
    chosen = differences[(differences["metric"] == metric) & (differences["k"] == k)]
    for index, row in frame[frame["ours"]].iterrows():
        same = frame[(frame["task"] == row["task"]) & (frame["view"] == row["view"]) & ~frame["ours"]]
        if same.empty:
            continue
        match = chosen[
            (chosen["recommender"] == row["system"])
            & (chosen["reference"] == same["system"].iat[0])
            & (chosen["task"] == row["task"])
            & (chosen["view"] == row["view"])
        ]
        if len(match):
            found.loc[index] = match[["diff", "low", "high"]].iloc[0].to_numpy(float)
    return found
