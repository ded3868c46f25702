"""Figures of the Fusion page: metrics by task against the reference, and the trade-off between any two metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

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
_SIDES = ((0.01, 0.485), (0.515, 1.0))  # of the columns, shares of the width; the names of the parts stand before the first
_LETTER = 5.5  # pixels of a name's letter, at its size, with room


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

    All of them lie on one pair of axes (across: shares of the width, down: pixels) and are few traces, not a subplot and two traces a metric:
    the figure is drawn anew at every move of a knob, and both making and drawing it cost by the object, not by the bar. The names are words of
    a trace too: as ticks of an axis whose margin follows them they took much of the browser's time.

    Args:
        frame: `FusionLab.compare`.
        parts, metrics: what is drawn, in this order.
        n: length of the lists.
    """
    lines = {(str(line["part"]), str(line["metric"])): line for line in records(frame)}
    step = _HEAD + _ROW * len(parts)
    height = math.ceil(len(metrics) / _COLUMNS) * step
    bars: list[dict[str, Any]] = []
    heads: list[tuple[float, float, str]] = []
    names: list[tuple[float, float, str]] = []
    for index, metric in enumerate(metrics):
        row, column = divmod(index, _COLUMNS)
        left, right = _SIDES[column]
        own = [line for part in parts if (line := lines.get((str(part), metric))) is not None]
        ends = [line[end] for line in own for end in ("high", "value", "reference") if math.isfinite(line[end])]
        unit = (right - left) / (2.5 * max([*ends, 1e-9]))  # the words stand behind the bars
        heads.append(
            (left, row * step + 12.0, f"<b>{name_of(metric, n)}</b>{f' ({told})' if (told := NAMES[metric][1]) else ''}")
        )
        for place, part in enumerate(parts):
            y = row * step + 29 + _ROW * (place + 0.5)
            if column == 0:
                names.append((0.0, y, short(part, 21)))
            if (line := lines.get((str(part), metric))) is not None:
                bars.append(_bar(str(part), metric, n, line, left, right, unit) | {"y": y})
    layout = {
        "height": height + 8, "margin": {"l": 8 + _LETTER * max((len(name) for *_, name in names), default=0), "r": 4, "t": 4, "b": 4},
        "showlegend": False, "barmode": "overlay", "dragmode": False, "hovermode": "closest",
        "xaxis": {"range": [0, 1], "visible": False, "fixedrange": True},
        "yaxis": {"range": [height, 0], "visible": False, "fixedrange": True},
    }  # fmt: skip
    return go.Figure({"data": [*_bars(bars), *_words(bars, heads, names)], "layout": layout})


def _bar(part: str, metric: str, n: int, line: Mapping[str, Any], left: float, right: float, unit: float) -> dict[str, Any]:
    """One bar: lengths and whiskers as shares of the width (None = there is none), colour and words."""
    sure = line["diff_low"] > 0 or line["diff_high"] < 0
    size = {name: unit * line[name] if math.isfinite(line[name]) else None for name in ("value", "reference")}
    known = math.isfinite(line["low"])
    return {
        **size, "base": left, "right": right, "up": unit * (line["high"] - line["value"]) if known else 0.0,
        "down": unit * (line["value"] - line["low"]) if known else 0.0, "colour": (BETTER if line["diff"] > 0 else WORSE) if sure else ACCENT,
        "text": f"{three(line['value'])} {signed(line['diff'])}", "hover": _hover(part, metric, n, line),
    }  # fmt: skip


def _bars(bars: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The reference behind, the setting with its whiskers before it."""
    column = {name: [bar[name] for bar in bars] for name in ("value", "reference", "base", "up", "down", "colour", "hover", "y")}
    both = {
        "type": "bar",
        "orientation": "h",
        "y": column["y"],
        "base": column["base"],
        "hoverinfo": "text",
        "hovertext": column["hover"],
    }
    ghost = {"color": "rgba(128,132,140,0.20)", "line": {"color": GREY, "width": 1}}
    whisker = {"type": "data", "symmetric": False, "array": column["up"], "arrayminus": column["down"], "color": GREY, "thickness": 1.4,
               "width": 3}  # fmt: skip
    return [
        {**both, "x": column["reference"], "width": 0.86 * _ROW, "marker": ghost},
        {**both, "x": column["value"], "width": 0.42 * _ROW, "marker": {"color": column["colour"]}, "error_x": whisker},
    ]


_Words = Sequence[tuple[float, float, str]]  # across, down, the words


def _words(bars: Sequence[Mapping[str, Any]], heads: _Words, names: _Words) -> list[dict[str, Any]]:
    """Names of the metrics, of the parts before the first column, and value with difference at the end of each bar's line."""
    values = [(bar["right"], bar["y"], bar["text"]) for bar in bars]
    out: list[dict[str, Any]] = []
    for words, at, size in ((heads, "middle right", 12), (names, "middle left", 10.5), (values, "middle left", 10.5)):
        out.append({"type": "scatter", "mode": "text", "x": [word[0] for word in words], "y": [word[1] for word in words],
                    "text": [word[2] for word in words], "textposition": at, "textfont": {"size": size}, "hoverinfo": "skip",
                    "cliponaxis": False})  # fmt: skip
    return out


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
    axis = {"gridcolor": HAIR, "zeroline": False, "fixedrange": True, "tickfont": {"size": 10}, "nticks": 6}
    layout = {
        "height": 470, "margin": {"l": 58, "r": 12, "t": 8, "b": 104, "autoexpand": False},  # fixed: measuring words is what drawing costs most
        "dragmode": False, "hovermode": "closest", "clickmode": "event+select",
        "legend": {"orientation": "h", "y": -0.14, "yanchor": "top", "x": 0, "font": {"size": 11}},
        "xaxis": {**axis, "title": {"text": short(x, 46), "font": {"size": 11}, "standoff": 6}},
        "yaxis": {**axis, "title": {"text": short(y, 46), "font": {"size": 11}, "standoff": 4}},
    }  # fmt: skip
    return go.Figure({"data": traces, "layout": layout})
