"""Figures of the recipe `jd`: the beam tree of a full semantic ID, and one way through it before and after the constraint. From plain frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from backend.figures.style import ACCENT, FAINT, GREY, short, three
from backend.frames import records

LEVELS = ("#6A70E0", "#0072B2", "#009E73", "#E69F00", "#CC79A7", "#8A8F98")  # tints of the levels, as on the chips
ILLEGAL = "#D55E00"
_PRUNED = 3  # nodes of each level that are drawn beside the kept ones, of the legal and of the illegal ones
_ROW = 15  # pixels
_SIDE = {True: "middle right", False: "top center"}  # of a label: at the end of a way there is room beside the node


def drawn(nodes: pd.DataFrame, most: int = 20) -> pd.DataFrame:
    """The nodes that the tree shows, with their row: the best `most` full SIDs and what leads to them, and the best of the pruned.

    Args:
        nodes: `searched.nodes`.

    Returns:
        the nodes with `row` (0 = top); a node that leads on stands in the middle of what it leads to.
    """
    if nodes.empty:
        return nodes.assign(row=np.zeros(0))
    depth = int(nodes["level"].max())
    kept = nodes[nodes["kept"]]
    finals = kept[kept["level"] == depth].nlargest(most, "path")
    ways = {"·".join(sid.split("·")[:length]) for sid in finals["sid"] for length in range(1, depth + 1)}
    chosen = [kept[kept["sid"].isin(ways)]]
    for _, level in nodes[~nodes["kept"]].groupby("level"):
        beside = level[level["parent"].isin([*ways, "·"])]
        chosen += [beside[beside["legal"]].nlargest(_PRUNED, "path"), beside[~beside["legal"]].nlargest(_PRUNED, "path")]
    shown = pd.concat(chosen).sort_values("path", ascending=False, kind="stable").reset_index(drop=True)
    below: dict[str, list[str]] = {}
    for sid, parent in zip(shown["sid"], shown["parent"], strict=True):
        below.setdefault(str(parent), []).append(str(sid))
    place: dict[str, float] = {}

    def lay(sid: str) -> float:
        children = below.get(sid, [])
        if not children:
            place[sid] = float(sum(1 for other in place if other not in below))
        else:
            rows = [lay(child) for child in children]
            place[sid] = (rows[0] + rows[-1]) / 2
        return place[sid]

    lay("·")
    return shown.assign(row=shown["sid"].map(place))


def beam_tree(shown: pd.DataFrame, titles: Mapping[str, str]) -> go.Figure:
    """The beam's tree from left to right, a column a level.

    Args:
        shown: `drawn`.
        titles: of the items of full SIDs.
    """
    place = {row["sid"]: (row["level"], row["row"]) for row in records(shown)} | {
        "·": (0, float(shown["row"].median()) if len(shown) else 0.0)
    }
    traces: list[dict[str, Any]] = []
    for kept, colour, width in ((False, "rgba(140,144,152,0.35)", 1), (True, ACCENT, 1.6)):
        x: list[float | None] = []
        y: list[float | None] = []
        for row in records(shown[shown["kept"] == kept]):
            start, end = place[row["parent"]], place[row["sid"]]
            x += [start[0], start[0] + 0.5, end[0] - 0.35, end[0], None]
            y += [start[1], start[1], end[1], end[1], None]
        traces.append({"type": "scatter", "x": x, "y": y, "mode": "lines", "line": {"color": colour, "width": width}, "hoverinfo": "skip",
                       "showlegend": False})  # fmt: skip
    depth = int(shown["level"].max()) if len(shown) else 1
    for name, own, symbol in (
        ("kept", shown[shown["kept"]], "circle"),
        ("pruned", shown[~shown["kept"] & shown["legal"]], "circle-open"),
        ("illegal", shown[~shown["legal"]], "x-thin"),
    ):
        rows = records(own)
        colours = [LEVELS[min(row["level"] - 1, 5)] if name == "kept" else ILLEGAL if name == "illegal" else GREY for row in rows]
        traces.append(
            {
                "type": "scatter", "name": {"kept": "kept", "pruned": "legal, pruned", "illegal": "no item has it"}[name],
                "x": [row["level"] for row in rows], "y": [row["row"] for row in rows], "mode": "markers+text",
                "marker": {"color": colours, "symbol": symbol, "size": [6 + 9 * min(1.0, row["before"] * 2) for row in rows],
                           "line": {"color": colours, "width": 1.6}},
                "text": [_label(row, depth, titles) for row in rows], "textposition": [_SIDE[row["level"] == depth] for row in rows],
                "textfont": {"size": 10},
                "hovertext": [_hover(row, titles) for row in rows], "hoverinfo": "text", "cliponaxis": False,
            }
        )  # fmt: skip
    rows_drawn = int(shown["row"].max()) + 1 if len(shown) else 1
    layout = {
        "height": 90 + _ROW * rows_drawn, "margin": {"l": 4, "r": 150, "t": 28, "b": 4}, "hoverlabel": {"align": "left"},
        "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"}, "plot_bgcolor": "rgba(0,0,0,0)", "paper_bgcolor": "rgba(0,0,0,0)",
        "xaxis": {"visible": False, "range": [-0.1, depth + 0.3], "fixedrange": True},
        "yaxis": {"visible": False, "autorange": "reversed", "fixedrange": True},
    }  # fmt: skip
    return go.Figure({"data": traces, "layout": layout})


def steps(way: pd.DataFrame) -> go.Figure:
    """One way through the tree, level by level: the probability of each code before and after the constraint.

    Args:
        way: rows of `searched.nodes`, one a level.
    """
    names = [
        f"{row['sid'].split('·')[-1]}<br><span style='font-size:10px'>of {row['branching']:,} legal</span>"
        for row in records(way)
    ]
    bars = [
        {
            "type": "bar", "name": title, "x": names, "y": way[column].tolist(), "marker": {"color": colour},
            "text": [three(value) for value in way[column]], "textposition": "outside", "cliponaxis": False,
            "hovertext": [f"{row['sid']}: P {three(row[column])} {title}; {row['branching']:,} legal continuations" for row in records(way)],
            "hoverinfo": "text",
        }
        for column, title, colour in (("before", "before the constraint", FAINT), ("after", "after it", ACCENT))
    ]  # fmt: skip
    layout = {
        "height": 230, "barmode": "group", "margin": {"l": 4, "r": 4, "t": 30, "b": 4}, "bargap": 0.35,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}, "plot_bgcolor": "rgba(0,0,0,0)", "paper_bgcolor": "rgba(0,0,0,0)",
        "yaxis": {"visible": False, "range": [0, 1.15]}, "xaxis": {"type": "category", "fixedrange": True},
    }  # fmt: skip
    return go.Figure({"data": bars, "layout": layout})


def _label(row: Mapping[str, Any], depth: int, titles: Mapping[str, str]) -> str:
    code = row["sid"].split("·")[-1]
    if row["level"] == depth and row["kept"]:
        return f" {code}  {short(titles.get(row['sid'], ''), 28)}"
    return f" {code}"


def _hover(row: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    told = [
        f"<b>{row['sid']}</b> {short(titles.get(row['sid'], ''), 80)}",
        f"P of this code {three(row['before'])} before the constraint, {three(row['after'])} after",
        f"P of the whole way {three(row['path'])}",
        f"{row['branching']:,} legal continuations here",
    ]
    told.append(f"{row['n_items']:,} items below" if row["n_items"] else "no item of the catalogue below")
    if row["n_items"] and not row["legal"]:
        told.append("taken away by a filter")
    return "<br>".join(told)
