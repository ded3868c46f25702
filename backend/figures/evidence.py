"""Figures of the Evidence page, from the frames of `backend.inspection.evidence`.

- A dot is a mean, its whisker the stored 95 % interval; a figure without an interval has no whisker, never a made-up one.
- Accent = this project's model, lighter accent = one change of it, other hues = other trained models, grey = baselines. Shapes say
  the same as colours do.
- Panels share one axis, so that the eye may run across; each panel is a task.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from backend.figures.style import ACCENT, GREY, HAIR, PALETTE, short, three
from backend.frames import records

GOOD, BAD = "#14866d", "#c4432b"
MARKS = {  # family → colour, shape, name in the legend
    "ours": (ACCENT, "circle", "Sigmascope"),
    "variant": ("rgba(106,112,224,0.62)", "circle-open", "one change of it"),
    "other": (PALETTE[1], "square", "another model"),
    "baseline": ("rgba(128,132,140,0.9)", "diamond", "baseline"),
}
VERDICTS = {"ahead": (GOOD, "triangle-up", "▲"), "behind": (BAD, "triangle-down", "▼"), "level": (GREY, "circle", "≈")}
ROW, TOP = 23, 46
BESIDE, _BETWEEN = 6, 84  # panels in a line at most; pixels between two lines, for ticks and headings


def whiskers(frame: pd.DataFrame) -> go.Figure:
    """Means with intervals: a panel a task, a row a recommender.

    Args:
        frame: `evidence.quality`.
    """
    rows, panels = list(dict.fromkeys(frame["recommender"])), list(dict.fromkeys(frame["label"]))
    place = {name: row for row, name in enumerate(rows)}
    traces: list[dict[str, Any]] = []
    for number, label in enumerate(panels):
        part = frame[frame["label"] == label]
        for kind, (colour, shape, told) in MARKS.items():
            own = part[part["family"] == kind]
            if own.empty:
                continue
            hover = [
                f"<b>{short(row['recommender'], 44)}</b>, {short(label, 40)}<br>{three(row['mean'])}{interval_text(row)}<br>n = {row['n']:,}"
                for row in records(own)
            ]
            traces.append(
                _dots(
                    own["mean"],
                    [place[name] for name in own["recommender"]],
                    own["low"],
                    own["high"],
                    number,
                    colour,
                    shape,
                    hover,
                    told,
                    legend=kind not in {trace["legendgroup"] for trace in traces},
                )
            )
    return _panels(traces, [short(name.removeprefix("SIGMA, "), 26) for name in rows], panel_titles(frame, panels), zero=False)


def forest(frame: pd.DataFrame) -> go.Figure:
    """Paired differences with intervals around a zero line: a panel a task, a row what is compared.

    Args:
        frame: `evidence.differences` or `evidence.ablations`.
    """
    rows, panels = list(dict.fromkeys(frame["against"])), list(dict.fromkeys(frame["label"]))
    place = {name: row for row, name in enumerate(rows)}
    traces: list[dict[str, Any]] = []
    for number, label in enumerate(panels):
        for verdict, (colour, shape, arrow) in VERDICTS.items():
            own = frame[(frame["label"] == label) & (frame["verdict"] == verdict)]
            if own.empty:
                continue
            hover = [
                f"<b>{short(row['against'], 44)}</b>, {short(label, 40)}<br>{arrow} {row['diff']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
                f"<br>paired, n = {row['n']:,}"
                for row in records(own)
            ]
            told = {"ahead": "▲ above zero", "behind": "▼ below zero", "level": "≈ interval holds zero"}[verdict]
            traces.append(
                _dots(
                    own["diff"],
                    [place[name] for name in own["against"]],
                    own["low"],
                    own["high"],
                    number,
                    colour,
                    shape,
                    hover,
                    told,
                    legend=told not in {trace["name"] for trace in traces},
                )
            )
    return _panels(traces, [short(name, 26) for name in rows], panel_titles(frame, panels), zero=True)


# parts that other figures share ------------------------------------------------------------


def interval_text(row: Any) -> str:
    """The stored interval of a row, for hovering; says so where there is none."""
    return (
        f" [{three(row['low'])}, {three(row['high'])}]"
        if not (math.isnan(row["low"]) or math.isnan(row["high"]))
        else ", no interval stored"
    )


def error_bar(mean: pd.Series, low: pd.Series, high: pd.Series, colour: str) -> dict[str, Any]:
    """Whiskers; none where no interval was stored."""
    if low.isna().all():
        return {"visible": False}
    return {
        "type": "data",
        "symmetric": False,
        "array": (high - mean).fillna(0),
        "arrayminus": (mean - low).fillna(0),
        "color": colour,
        "thickness": 1.8,
        "width": 3,
    }


def _dots(
    x: pd.Series,
    y: Sequence[float],
    low: pd.Series,
    high: pd.Series,
    panel: int,
    colour: str,
    shape: str,
    hover: list[str],
    name: str,
    legend: bool,
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": x,
        "y": list(y),
        "xaxis": f"x{panel + 1}",
        "marker": {"color": colour, "symbol": shape, "size": 9},
        "error_x": error_bar(x, low, high, colour),
        "hovertext": hover,
        "hoverinfo": "text",
        "name": name,
        "showlegend": legend,
        "legendgroup": next((kind for kind, mark in MARKS.items() if mark[2] == name), name),
        "cliponaxis": False,
    }


def _panels(traces: list[dict[str, Any]], rows: Sequence[str], titles: Sequence[str], zero: bool) -> go.Figure:
    grid = panel_grid(len(titles), ROW * max(len(rows), 3))
    layout: dict[str, Any] = {
        "height": grid.height + TOP + 74,
        "margin": {"l": 8, "r": 10, "t": TOP, "b": 74},
        "hovermode": "closest",
        "legend": {"orientation": "h", "y": 0, "yref": "container", "yanchor": "bottom"},
    }
    yaxis = {
        "tickmode": "array",
        "tickvals": list(range(len(rows))),
        "ticktext": list(rows),
        "range": [len(rows) - 0.4, -0.6],
        "gridcolor": HAIR,
        "zeroline": False,
        "automargin": True,
        "fixedrange": True,
    }
    xaxis = {
        "fixedrange": True,
        "gridcolor": HAIR,
        "nticks": 4,
        "tickfont": {"size": 10},
        "zeroline": zero,
        "zerolinecolor": "rgba(128,132,140,0.9)",
        "zerolinewidth": 1.5,
    }
    return in_panels(traces, titles, grid, layout, xaxis, yaxis)


def panel_titles(frame: pd.DataFrame, panels: Sequence[str]) -> list[str]:
    """Task and n of each panel, in two lines where it is long."""
    most = frame.groupby("label")["n"].max()
    return [f"<b>{short(name, 30).replace(', ', '<br>')}</b><br>n = {int(most[name]):,}" for name in panels]


@dataclass(frozen=True)
class Grid:
    """Where panels lie: x and y of each in shares of the plot, the line that it stands in, and the height of the plot in pixels."""

    x: list[list[float]]
    y: list[list[float]]
    line: list[int]
    height: int


def panel_grid(count: int, height: int, gap: float = 0.025) -> Grid:
    """Panels of one size, at most `BESIDE` in a line and as many in each as it takes to fill the last.

    Args:
        height: of a panel, in pixels.
        gap: between two panels of a line, as a share of the width.
    """
    lines = math.ceil(max(count, 1) / BESIDE)
    columns = math.ceil(max(count, 1) / lines)
    width, whole = (1 - gap * (columns - 1)) / columns, lines * height + (lines - 1) * _BETWEEN
    x, y, line = [], [], []
    for number in range(count):
        row, column = divmod(number, columns)
        top = 1 - row * (height + _BETWEEN) / whole
        x.append([column * (width + gap), column * (width + gap) + width])
        y.append([max(top - height / whole, 0.0), top])
        line.append(row)
    return Grid(x, y, line, whole)


def in_panels(
    traces: list[dict[str, Any]],
    titles: Sequence[str],
    grid: Grid,
    layout: dict[str, Any],
    xaxis: dict[str, Any],
    yaxis: dict[str, Any],
) -> go.Figure:
    """A figure of panels; each trace names its panel as its x axis, and panels of a line share the y axis.

    Args:
        titles: above the panels.
        xaxis, yaxis: what all axes of a kind have in common.
    """
    axes: dict[str, Any] = {}
    for number, line in enumerate(grid.line):
        axes[f"xaxis{number + 1}"] = {**xaxis, "domain": grid.x[number], "anchor": f"y{line + 1}"}
        same = {} if line == 0 else {"matches": "y"}
        axes.setdefault(f"yaxis{line + 1}", {**yaxis, **same, "domain": grid.y[number], "anchor": f"x{number + 1}"})
    for trace in traces:
        trace["yaxis"] = f"y{grid.line[int(trace['xaxis'][1:]) - 1] + 1}"
    heads = [
        {
            "text": text,
            "x": sum(x) / 2,
            "y": y[1],
            "xref": "paper",
            "yref": "paper",
            "xanchor": "center",
            "yanchor": "bottom",
            "showarrow": False,
            "font": {"size": 11},
        }
        for text, x, y in zip(titles, grid.x, grid.y, strict=True)
    ]
    return go.Figure({"data": traces, "layout": {**layout, **axes, "annotations": heads}})


def bar_layout(labels: Sequence[str], unit: str) -> dict[str, Any]:
    """Layout of labelled rows over one axis."""
    return {
        "height": 40 * max(len(labels), 2) + 96,
        "margin": {"l": 8, "r": 16, "t": 8, "b": 80},
        "hovermode": "closest",
        "legend": {"orientation": "h", "y": 0, "yref": "container", "yanchor": "bottom", "traceorder": "normal"},
        "xaxis": {"title": {"text": unit, "font": {"size": 11}}, "gridcolor": HAIR, "fixedrange": True},
        "yaxis": {
            "tickmode": "array",
            "tickvals": list(range(len(labels))),
            "ticktext": [short(name, 40) for name in labels],
            "range": [len(labels) - 0.4, -0.6],
            "automargin": True,
            "fixedrange": True,
            "showgrid": False,
            "zeroline": False,
        },
    }
