"""Figures of time: by step, median against the 95th percentile, and how a cost grows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from backend.figures.evidence import bar_layout
from backend.figures.style import ACCENT, GREY, HAIR, PALETTE, short


def steps(frame: pd.DataFrame, labels: Sequence[str]) -> go.Figure:
    """Latency by step: a bar a row, stacked medians (`by_step_ms.*`), a tick at the 95th percentile of the whole."""
    names = [str(name) for name in frame.columns if str(name).startswith("by_step_ms.")]
    traces: list[dict[str, Any]] = [
        {
            "type": "bar",
            "orientation": "h",
            "y": list(range(len(frame))),
            "x": frame[name],
            "name": name.partition(".")[2],
            "marker": {"color": f"rgba(106,112,224,{max(0.2, 1 - 0.19 * number):.2f})"},
            "hovertemplate": "%{fullData.name}: %{x:.3g} ms (median)<extra></extra>",
        }
        for number, name in enumerate(names)
    ]
    traces.append(
        {
            "type": "scatter",
            "mode": "markers",
            "x": frame["p95_ms"],
            "y": list(range(len(frame))),
            "name": "95th percentile, whole",
            "marker": {"symbol": "line-ns-open", "size": 18, "color": GREY, "line": {"width": 3}},
            "hovertemplate": "95 % within %{x:.3g} ms<extra></extra>",
        }
    )
    layout = bar_layout(labels, "ms a request") | {"barmode": "stack"}
    return go.Figure({"data": traces, "layout": layout})


def percentiles(frame: pd.DataFrame, labels: Sequence[str]) -> go.Figure:
    """Median and 95th percentile (`p50_ms`, `p95_ms`) of each row."""
    bars = {
        "type": "bar",
        "orientation": "h",
        "y": list(range(len(frame))),
        "x": frame["p50_ms"],
        "name": "median",
        "marker": {"color": ACCENT},
        "width": 0.5,
        "hovertemplate": "median %{x:.3g} ms<extra></extra>",
    }
    tick = {
        "type": "scatter",
        "mode": "markers",
        "x": frame["p95_ms"],
        "y": list(range(len(frame))),
        "name": "95th percentile",
        "marker": {"symbol": "line-ns-open", "size": 18, "color": GREY, "line": {"width": 3}},
        "hovertemplate": "95 % within %{x:.3g} ms<extra></extra>",
    }
    return go.Figure({"data": [bars, tick], "layout": bar_layout(labels, "ms")})


def generations(frame: pd.DataFrame) -> go.Figure:
    """A whole request by each way to generate: a dot a median (`ms_per_request`), a colour for each number of beams and vocabulary."""
    keys = [name for name in ("beams", "vocabulary") if name in frame]
    traces: list[dict[str, Any]] = []
    for number, (key, part) in enumerate(frame.groupby(keys, sort=False)):
        values = zip(np.atleast_1d(np.array(key, float)), ("beams", "tokens"), strict=False)
        name = ", ".join(f"{value:,.0f} {told}" for value, told in values)
        trace = {
            "type": "scatter",
            "mode": "markers",
            "y": part["generation"],
            "x": part["ms_per_request"],
            "name": name,
            "marker": {"color": PALETTE[number % len(PALETTE)], "symbol": number % 8, "size": 11},
            "hovertemplate": "%{x:.3g} ms a request (median)<extra>%{fullData.name}</extra>",
        }
        traces.append(trace)
    layout = {
        "height": 110 + 32 * frame["generation"].nunique(),
        "margin": {"l": 8, "r": 8, "t": 12, "b": 40},
        "legend": {"orientation": "h", "y": -0.25},
        "xaxis": {"type": "log", "gridcolor": HAIR, "fixedrange": True, "title": {"text": "ms a request"}},
        "yaxis": {"automargin": True, "autorange": "reversed", "fixedrange": True, "gridcolor": HAIR},
    }
    return go.Figure({"data": traces, "layout": layout})


def scaling(frame: pd.DataFrame, x: str, y: str, group: str, unit: str) -> go.Figure:
    """How a cost grows: a line a `group`, both axes logarithmic."""
    traces = []
    for number, (name, part) in enumerate(frame.groupby(group, sort=False)):
        own = part.groupby(x)[y].median().reset_index().sort_values(x)
        traces.append(
            {
                "type": "scatter",
                "x": own[x],
                "y": own[y],
                "mode": "lines+markers",
                "name": short(str(name), 36),
                "line": {"color": PALETTE[number % len(PALETTE)]},
                "marker": {"symbol": number % 8, "size": 9},
                "hovertemplate": f"%{{x:,}} {x}: %{{y:.3g}} {unit}<extra>%{{fullData.name}}</extra>",
            }
        )
    axis = {"type": "log", "gridcolor": HAIR, "fixedrange": True}
    return go.Figure(
        {
            "data": traces,
            "layout": {
                "height": 340,
                "margin": {"l": 8, "r": 8, "t": 12, "b": 40},
                "legend": {"orientation": "h", "y": -0.2},
                "xaxis": {**axis, "title": {"text": x}},
                "yaxis": {**axis, "title": {"text": unit}, "automargin": True},
            },
        }
    )
