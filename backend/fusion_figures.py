"""Figures of the Fusion page: metrics by task against the reference, and the trade-off between any two metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from backend.figures import ACCENT, GREY, HAIR, PALETTE, short, three
from backend.frames import records

NAMES: Mapping[str, tuple[str, str]] = {  # metric → its name with {n} for the list's length, unit
    "ndcg": ("NDCG@{n}", ""), "hr": ("HR@{n}", ""), "recall": ("Recall@{n}", ""), "value": ("Value of hits@{n}", "$"),
    "breadth": ("Categories@{n}", ""), "diversity": ("Diversity@{n}", ""), "coverage": ("Coverage@{n}", ""),
    "novelty": ("Novelty@{n}", "bits"),
}  # fmt: skip
BETTER, WORSE = "#14866d", "#c4432b"
_COLUMNS, _ROW, _HEAD = 2, 26, 54
_SIDES = ((0.22, 0.6), (0.63, 1.0))  # of the columns, on the paper; the names of the parts stand before the first


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


def multiples(frame: pd.DataFrame, parts: Sequence[str], metrics: Sequence[str], n: int) -> go.Figure:
    """One small chart a metric, a bar a part: the setting in the accent, the reference as a grey outline, 95 % intervals as whiskers.

    Args:
        frame: `FusionLab.compare`.
        parts, metrics: what is drawn, in this order.
        n: length of the lists.
    """
    rows = math.ceil(len(metrics) / _COLUMNS)
    height = rows * (_HEAD + _ROW * len(parts)) + 8
    traces: list[dict[str, Any]] = []
    layout: dict[str, Any] = {
        "height": height, "margin": {"l": 4, "r": 4, "t": 4, "b": 4}, "showlegend": False, "barmode": "overlay", "dragmode": False,
        "hovermode": "closest", "annotations": [],
    }  # fmt: skip
    for index, metric in enumerate(metrics):
        row, column = divmod(index, _COLUMNS)
        box = (row * (_HEAD + _ROW * len(parts)) + 24) / height, ((row + 1) * (_HEAD + _ROW * len(parts)) - 20) / height
        own = frame[frame["metric"] == metric].set_index("part").reindex(list(parts))
        bars, axes, words = _panel(own, metric, n, "" if index == 0 else str(index + 1), column, (1 - box[1], 1 - box[0]))
        traces += bars
        layout |= axes
        layout["annotations"] += words
    return go.Figure({"data": traces, "layout": layout})


def _panel(
    own: pd.DataFrame, metric: str, n: int, axis: str, column: int, height: tuple[float, float]
) -> tuple[list[dict[str, Any]], dict[str, Any], list[dict[str, Any]]]:
    """One metric: traces, axes, words. `height`: where it stands on the paper."""
    parts, lines, places = [str(part) for part in own.index], records(own), list(range(len(own)))
    left, right = _SIDES[column]
    sure = (own["diff_low"] > 0) | (own["diff_high"] < 0)
    colour = [(BETTER if d > 0 else WORSE) if s else ACCENT for s, d in zip(sure, own["diff"], strict=True)]
    bar = {"type": "bar", "orientation": "h", "y": places, "xaxis": f"x{axis}", "yaxis": f"y{axis}", "hoverinfo": "text",
           "hovertext": [_hover(part, metric, n, line) for part, line in zip(parts, lines, strict=True)]}  # fmt: skip
    ghost = {"color": "rgba(128,132,140,0.20)", "line": {"color": GREY, "width": 1}}
    whisker = {"type": "data", "symmetric": False, "array": (own["high"] - own["value"]).fillna(0),
               "arrayminus": (own["value"] - own["low"]).fillna(0), "color": GREY, "thickness": 1.4, "width": 3}  # fmt: skip
    traces = [
        {**bar, "x": own["reference"], "width": 0.86, "marker": ghost},
        {**bar, "x": own["value"], "width": 0.42, "marker": {"color": colour}, "error_x": whisker},
    ]
    most = float(np.nanmax([own["high"].max(), own["value"].max(), own["reference"].max(), 1e-9]))
    axes = {
        f"xaxis{axis}": {"domain": [left, right], "range": [0, 2.5 * most], "anchor": f"y{axis}", "visible": False, "fixedrange": True},
        f"yaxis{axis}": {
            "domain": list(height), "range": [len(parts) - 0.45, -0.55], "anchor": f"x{axis}", "fixedrange": True, "zeroline": False,
            "showgrid": False, "tickmode": "array", "tickvals": places, "ticktext": [short(part, 21) for part in parts],
            "tickfont": {"size": 10.5}, "showticklabels": column == 0,
        },
    }  # fmt: skip
    unit = f" ({NAMES[metric][1]})" if NAMES[metric][1] else ""
    paper = {"xref": "paper", "showarrow": False}
    words: list[dict[str, Any]] = [
        {**paper, "x": left, "y": height[1], "yref": "paper", "xanchor": "left", "yanchor": "bottom", "font": {"size": 12},
         "text": f"<b>{name_of(metric, n)}</b>{unit}"}
    ]  # fmt: skip
    for place, line in zip(places, lines, strict=True):
        text = f"{three(line['value'])} {signed(line['diff'])}"
        words.append(
            {**paper, "x": right, "y": place, "yref": f"y{axis}", "xanchor": "right", "text": text, "font": {"size": 10.5}}
        )
    return traces, axes, words


def _hover(part: str, metric: str, n: int, line: Mapping[str, Any]) -> str:
    value = f"{three(line['value'])}" + (
        f" [{three(line['low'])}, {three(line['high'])}]" if math.isfinite(line["low"]) else " (no interval)"
    )
    diff = signed(line["diff"]) + (
        f" [{line['diff_low']:+.4f}, {line['diff_high']:+.4f}]" if math.isfinite(line["diff_low"]) else ""
    )
    return (
        f"<b>{name_of(metric, n)}</b>, {short(part, 40)}<br>{value}<br>reference {three(line['reference'])}<br>difference {diff}<br>"
        f"n = {int(line['n']):,}"
    )


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
    axis = {"gridcolor": HAIR, "zeroline": False, "fixedrange": True, "tickfont": {"size": 10}}
    layout = {
        "height": 470, "margin": {"l": 8, "r": 12, "t": 8, "b": 8}, "dragmode": False, "hovermode": "closest", "clickmode": "event+select",
        "legend": {"orientation": "h", "y": -0.2, "x": 0, "font": {"size": 11}},
        "xaxis": {**axis, "title": {"text": short(x, 46), "font": {"size": 11}}, "automargin": True},
        "yaxis": {**axis, "title": {"text": short(y, 46), "font": {"size": 11}}, "automargin": True},
    }  # fmt: skip
    return go.Figure({"data": traces, "layout": layout})
