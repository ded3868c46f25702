"""Figures of the Semantic IDs page, from plain frames: the codebook tree, a residual path, two tokenizations.

- The tree draws what it is given (`CodeTree.below`): a few levels under one root, a thousand slices at most, so that the page stays light.
- One sequential scale for shares and counts; departments keep their own colours. Every slice says in words what it holds on hover.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from backend.figures.style import ACCENT, FAINT, GREY, HAIR, OTHER, short, three
from backend.frames import records

KINDS = ("sunburst", "treemap", "icicle")
SIZES = {"items": "n_items", "purchases": "sales"}
COLOURS = {"department": "department", "purity": "purity", "popularity": "popularity", "recall@10": "recall"}
SEQUENTIAL = ((0.0, "#E4E5F7"), (0.35, "#AEB2EC"), (0.7, "#6A70E0"), (1.0, "#3A3EA6"))
UNKNOWN = "#B9BCC2"  # nothing was measured here
MARK, EDGE = "#FF6B35", "rgba(255,255,255,0.55)"  # outline of the marked node, of all others
_HEIGHT = 620


def tree(frame: pd.DataFrame, kind: str, size: str, colour: str, colours: Mapping[str, str], selected: str = "") -> go.Figure:
    """The codebook tree under one root.

    Args:
        frame: `CodeTree.below`, the root first; with `recall` · `hits` · `targets` where the colour is recall.
        kind: one of `KINDS`; size: one of `SIZES`; colour: one of `COLOURS`.
        colours: of the departments.
        selected: a drawn node that is marked.
    """
    rows = records(frame.reset_index())
    root = rows[0]["node"]
    marked = [row["node"] == selected != root for row in rows]
    # one outline for all where nothing is marked: plotly checks a list of colours one by one
    line = {"width": [3 if yes else 0.6 for yes in marked], "color": [MARK if yes else EDGE for yes in marked]}
    outline = line if any(marked) else {"width": 0.6, "color": EDGE}
    trace: dict[str, Any] = {
        "type": kind, "ids": [row["node"] for row in rows], "parents": ["", *(row["parent"] for row in rows[1:])],
        "values": [float(row[SIZES[size]]) for row in rows], "branchvalues": "total", "sort": True,
        "labels": [_label(row, row["node"] == root, kind) for row in rows], "hovertext": [_hover(row) for row in rows], "hoverinfo": "text",
        "textinfo": "label", "textfont": {"size": 11}, "maxdepth": 4,
        "marker": {"colors": _paint(frame, colour, colours), "line": outline},
    }  # fmt: skip
    if kind == "sunburst":
        trace |= {"insidetextorientation": "radial", "leaf": {"opacity": 1}}
    else:
        trace |= {"pathbar": {"visible": False}, "tiling": {"pad": 1} if kind == "treemap" else {"pad": 1, "orientation": "v"}}
    if kind == "treemap":
        trace["marker"]["pad"] = {"t": 17, "l": 2, "r": 2, "b": 2}
    layout = {
        "height": _HEIGHT, "margin": {"l": 2, "r": 2, "t": 4, "b": 4}, "hoverlabel": {"align": "left"},
        # of thousands of labels only those that can be read; the other kinds clip theirs by themselves
        **({"uniformtext": {"minsize": 9, "mode": "hide"}} if kind == "sunburst" else {}),
    }  # fmt: skip
    return go.Figure({"data": [trace], "layout": layout})


def _label(row: Mapping[str, Any], root: bool, kind: str) -> str:
    if row["level"] == 0:
        return "all items"
    code = row["node"] if root else row["node"].split("·")[-1]
    return f"<b>{code}</b> {short(str(row['category']), 18 if kind == 'sunburst' else 26)}"


def _hover(row: Mapping[str, Any]) -> str:
    lines = [
        f"<b>{row['node'] if row['level'] else 'all items'}</b>",
        f"{row['n_items']:,} item{'s' if row['n_items'] != 1 else ''}, {row['sales']:,.0f} purchases ({three(row['popularity'])} an item)",
        f"{row['purity']:.0%} {short(str(row['category']), 40)}",
        f"{row['department_share']:.0%} {short(str(row['department']), 40)}",
    ]
    if "recall" in row:
        nothing = "no target of the evaluation here"
        interval = f"recall@10 {three(row['recall'])} [{three(row['recall_low'])}, {three(row['recall_high'])}], n = {row['targets']:,.0f}"
        lines.append(interval if row["targets"] else nothing)
    return "<br>".join(lines)


def scale(frame: pd.DataFrame, colour: str) -> tuple[float, float]:
    """Values at the two ends of the colour scale, for the legend. Popularity is drawn on a logarithmic scale."""
    values = frame[COLOURS[colour]].to_numpy(float)
    if colour == "purity":
        return 0.0, 1.0
    known = values[np.isfinite(values)]
    if colour == "popularity":
        return 1.0, max(10.0, float(known.max(initial=0)))
    return 0.0, max(
        0.05, float(np.quantile(known, 0.95)) if len(known) else 1.0
    )  # a few tiny nodes reach 1: they would pale the rest


def _paint(frame: pd.DataFrame, colour: str, colours: Mapping[str, str]) -> list[str]:
    ground = "rgba(128,132,140,0.12)"  # of the root: context
    if colour == "department":
        return [
            colours.get(str(name), OTHER) if level else ground
            for name, level in zip(frame["department"], frame["level"], strict=True)
        ]
    low, high = scale(frame, colour)
    values = frame[COLOURS[colour]].to_numpy(float)
    if colour == "popularity":
        values, low, high = np.log10(np.maximum(values, 1)), 0.0, math.log10(high)
    painted = _mix(np.clip((values - low) / (high - low), 0, 1))
    return [ground if level == 0 else name for name, level in zip(painted, frame["level"], strict=True)]


def _mix(shares: np.ndarray) -> list[str]:
    """Colours of the sequential scale; explicit ones, since a number scale would paint what was not measured (NaN) like a zero."""
    at = [stop for stop, _ in SEQUENTIAL]
    parts = [np.interp(shares, at, [int(name[place : place + 2], 16) for _, name in SEQUENTIAL]) for place in (1, 3, 5)]
    mixed = np.nan_to_num(np.stack(parts, axis=1)).round().astype(int)  # (n, 3)
    return [f"#{r:02x}{g:02x}{b:02x}" if known else UNKNOWN for (r, g, b), known in zip(mixed, np.isfinite(shares), strict=True)]


def residuals(levels: pd.DataFrame, codes: pd.DataFrame, held: Mapping[str, str]) -> go.Figure:
    """A residual path: distances to all codes of each level, and how much of the vector is explained so far.

    Args:
        levels, codes: of a `ResidualPath`.
        held: what a prefix of this path's branches holds, by "level:code"; an absent one holds nothing.
    """
    letters = [chr(ord("a") + level - 1) for level in levels["level"]]
    rest, chosen = codes[~codes["chosen"]], codes[codes["chosen"]]
    traces: list[dict[str, Any]] = []
    for part, colour, width in ((rest, GREY, 7), (chosen, ACCENT, 14)):
        keys = [f"{level}:{code}" for level, code in zip(part["level"], part["code"], strict=True)]
        hover = [
            f"<b>{letters[int(level) - 1]}{code}</b>, distance {three(distance)}<br>{short(held.get(key, 'no item continues here'), 60)}"
            for level, code, distance, key in zip(part["level"], part["code"], part["distance"], keys, strict=True)
        ]
        empty = [key not in held for key in keys]
        marker = {"size": width, "color": [FAINT if none else colour for none in empty] if part is rest else colour,
                  "line": {"width": 1.5 if part is chosen else 0, "color": "white"}}  # fmt: skip
        mode = "markers+text" if part is chosen else "markers"
        text = [f"{letters[int(level) - 1]}{code}" for level, code in zip(part["level"], part["code"], strict=True)]
        traces.append({"type": "scatter", "x": part["distance"], "y": part["level"], "mode": mode, "marker": marker, "hovertext": hover,
                       "hoverinfo": "text", "text": text if part is chosen else None, "textposition": "top center", "textfont": {"size": 11},
                       "cliponaxis": False})  # fmt: skip
    before: pd.Series = (levels["explained"] - levels["gain"]).clip(lower=0)
    bar: dict[str, Any] = {
        "type": "bar",
        "orientation": "h",
        "xaxis": "x2",
        "y": levels["level"],
        "width": 0.5,
        "hoverinfo": "text",
    }
    told = [f"after level {row['level']}: {row['explained']:.1%} of the vector's energy explained<br>this level adds {100 * row['gain']:+.3g} %"
            for row in records(levels)]  # fmt: skip
    traces.append({**bar, "x": before, "marker": {"color": FAINT}, "hovertext": told})
    traces.append({**bar, "x": levels["explained"] - before, "marker": {"color": ACCENT}, "hovertext": told, "textposition": "outside",
                   "text": [f"{value:.0%}" for value in levels["explained"]], "cliponaxis": False})  # fmt: skip
    axis: dict[str, Any] = {"fixedrange": True, "zeroline": False, "tickfont": {"size": 10}}
    n = len(levels)
    layout = {
        "height": 62 * n + 60, "margin": {"l": 8, "r": 8, "t": 16, "b": 40}, "showlegend": False, "barmode": "stack", "hovermode": "closest",
        "dragmode": False,
        "xaxis": {**axis, "domain": [0, 0.62], "title": {"text": "distance of the residual to each code →", "font": {"size": 11}}, "gridcolor": HAIR},
        "xaxis2": {**axis, "domain": [0.68, 1], "range": [0, 1.12], "tickformat": ".0%", "gridcolor": HAIR,
                   "title": {"text": "energy explained", "font": {"size": 11}}},
        "yaxis": {**axis, "range": [n + 0.5, 0.4], "tickvals": list(levels["level"]), "ticktext": [f"level {level}" for level in levels["level"]],
                  "gridcolor": HAIR, "automargin": True},
    }  # fmt: skip
    return go.Figure({"data": traces, "layout": layout})


def overlap(table: np.ndarray, rows: np.ndarray, columns: np.ndarray, left: str, right: str) -> go.Figure:
    """Items that first-level prefixes of two tokenizations have in common; matched ones meet on the diagonal.

    Shape:
        table: (left prefixes, right prefixes); rows, columns: their first codes.
    """
    heat = {"type": "heatmap", "z": np.sqrt(table), "customdata": table, "colorscale": [[0, "rgba(128,132,140,0.06)"], *SEQUENTIAL[1:]],
            "showscale": False, "x": [f"a{code}" for code in columns], "y": [f"a{code}" for code in rows],
            "hovertemplate": "%{customdata} items in both<br>%{y} there, %{x} here<extra></extra>"}  # fmt: skip
    side = {"fixedrange": True, "showticklabels": False, "showgrid": False, "zeroline": False, "ticks": ""}
    layout = {
        "height": 340, "margin": {"l": 8, "r": 8, "t": 8, "b": 30}, "dragmode": False,
        "xaxis": {**side, "title": {"text": short(right, 50), "font": {"size": 11}}, "type": "category"},
        "yaxis": {**side, "title": {"text": short(left, 50), "font": {"size": 11}}, "autorange": "reversed", "type": "category"},
    }  # fmt: skip
    return go.Figure({"data": [heat], "layout": layout})
