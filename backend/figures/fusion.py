"""Names of the Fusion page's metrics, and the figure of the trade-off between any two of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from backend.figures.style import ACCENT, GREY, HAIR, PALETTE, short, three

NAMES: Mapping[str, tuple[str, str]] = {  # metric → its name with {n} for the list's length, unit
    "ndcg": ("NDCG@{n}", ""), "hr": ("HR@{n}", ""), "recall": ("Recall@{n}", ""), "value": ("Value of hits@{n}", "$"),
    "breadth": ("Categories@{n}", ""), "diversity": ("Diversity@{n}", ""), "coverage": ("Coverage@{n}", ""),
    "novelty": ("Novelty@{n}", "bits"),
}  # fmt: skip


def name_of(metric: str, n: int) -> str:
    """A metric's name."""
    return NAMES[metric][0].format(n=n)


def signed(value: float) -> str:
    """A difference with arrow, sign and three digits; "≈ 0" below half a thousandth."""
    if not math.isfinite(value):
        return "–"
    if abs(value) < 5e-4:
        return "= 0" if value == 0 else "≈ 0"
    return f"{'▲ +' if value > 0 else '▼ −'}{three(abs(value))}"


def tradeoff(points: pd.DataFrame, x: str, y: str) -> go.Figure:
    """Two metrics against each other for every setting that was looked at.

    Args:
        points: kind ("trail" in the order of the visits, "trial", "front", "reference", "now") · x · y · label · setting (what a click gives back).
        x, y: names of the axes.
    """
    traces: list[dict[str, Any]] = []
    looks: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
        ("trial", "tried by the search", "markers", {"size": 5, "color": "rgba(128,132,140,0.35)"}),
        ("trail", "visited", "lines+markers", {"size": 7, "color": GREY}),
        ("front", "Pareto front", "lines+markers", {"size": 9, "color": PALETTE[2], "symbol": "square"}),
        ("reference", "reference", "markers", {"size": 13, "color": PALETTE[1], "symbol": "diamond"}),
        ("now", "now", "markers", {"size": 15, "color": ACCENT, "line": {"width": 2, "color": "rgba(255,255,255,0.9)"}}),
    )  # fmt: skip
    for kind, name, mode, marker in looks:
        own = points[points["kind"] == kind]
        if kind == "front":
            own = own.sort_values("x")
        if own.empty:
            continue
        line = (
            {"shape": "hv", "width": 1.4, "color": PALETTE[2]}
            if kind == "front"
            else {"width": 1, "color": "rgba(128,132,140,0.45)"}
        )
        traces.append({"type": "scatter", "x": own["x"], "y": own["y"], "mode": mode, "name": name, "marker": marker, "line": line,
                       "customdata": own["setting"], "hovertext": own["label"], "hoverinfo": "text", "cliponaxis": False,
                       "selected": {"marker": {"opacity": 1}}, "unselected": {"marker": {"opacity": 1}}})  # fmt: skip
    axis = {"gridcolor": HAIR, "zeroline": False, "fixedrange": True, "tickfont": {"size": 10}, "nticks": 6}
    layout = {
        "height": 470, "margin": {"l": 58, "r": 12, "t": 8, "b": 104, "autoexpand": False},  # fixed: measuring words is what drawing costs most
        "dragmode": False, "hovermode": "closest", "clickmode": "event+select",
        "legend": {"orientation": "h", "y": -0.14, "yanchor": "top", "x": 0, "font": {"size": 11}},
        "xaxis": {**axis, "title": {"text": short(x, 46), "font": {"size": 11}, "standoff": 6}},
        "yaxis": {**axis, "title": {"text": short(y, 46), "font": {"size": 11}, "standoff": 4}},
    }  # fmt: skip
    return go.Figure({"data": traces, "layout": layout})
