"""Published figures of papers, and beside them what the same change costs here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from backend.frames import records
from backend.inspection.evidence import Evaluation, ablations, quality


def published_table(group: Mapping[str, Any]) -> pd.DataFrame:
    """A group's rows: system · mark · one column a metric."""
    frame = pd.DataFrame(list(group["rows"]))
    return frame.drop(columns=[name for name in ("part",) if name in frame])


def beside(group: Mapping[str, Any], found: Sequence[Evaluation], k: int = 10) -> pd.DataFrame:
    """What taking a part away costs, published and ours: HR@k of the variant relative to the full system's.

    Our own change is that of JustForYou, the task nearest to next-item prediction; its interval is the paired one of the difference,
    divided by the full system's mean.

    Returns:
        part · who ("published", "ours") · change (−0.1 = ten per cent less) · low · high (NaN for published) · n.
    """
    rows: list[dict[str, Any]] = []
    named = {str(row["part"]): float(row[f"HR@{k}"]) for row in group["rows"] if "part" in row and f"HR@{k}" in row}
    full = named.pop("full", 0.0)
    unknown = {"low": float("nan"), "high": float("nan"), "n": 0}
    for name, value in named.items() if full else ():
        rows.append({"part": name, "who": "published", "change": value / full - 1, **unknown})
    for evaluation in found:
        means = quality(evaluation, "hr", k)
        base = means[(means["family"] == "ours") & (means["label"] == "JustForYou")]
        cut = ablations(evaluation, "hr", k)
        for row in records(cut[cut["label"] == "JustForYou"]) if len(base) else ():
            part = next((name for name in named if name.casefold() == str(row["against"]).casefold()), None)
            if part is not None:
                mean = float(base["mean"].to_numpy(float)[0])
                shares = {name: row[column] / mean for name, column in (("change", "diff"), ("low", "low"), ("high", "high"))}
                rows.append({"part": part, "who": "ours", **shares, "n": row["n"]})
    return pd.DataFrame(rows, columns=["part", "who", "change", "low", "high", "n"])
