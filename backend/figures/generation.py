"""Figures of one generation: the prefix tree, the items inside each prefix, and a workspace's headline quality and sales.

Steps 1 and 2 draw the same prefixes in the same rows, so that the eye can run across.
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

ROW = 25  # pixels a prefix row


def prefix_rows(prefixes: pd.DataFrame, most: int = 24) -> pd.DataFrame:
    """The prefixes that are drawn: the kept ones (the best `most`), then the best of the pruned; `row` counts from the top.

    At least six pruned ones give the context; with few kept (a forced prefix) there are more, so that another can be chosen.
    """
    order = prefixes.sort_values("probability", ascending=False, kind="stable")
    chosen, last = order["kept"].astype(bool), order["level"] == order["level"].max()
    kept, pruned = order[chosen & last].head(most), order[~chosen]  # a branch may end on any level
    shown = pd.concat([kept, pruned.head(max(6, 20 - len(kept)))], ignore_index=True)
    return shown.assign(row=np.arange(len(shown)))


def prefix_tree(rows: pd.DataFrame, names: pd.DataFrame, colours: Mapping[str, str]) -> go.Figure:
    """Step 1: the beam as a tree whose leaves are bars of φ; pruned branches are grey.

    Args:
        rows: `prefix_rows`.
        names: what each prefix holds (`category`, `share`, `department`), indexed by prefix.
        colours: `department_colours`.
    """
    if rows.empty:
        return _figure([], _layout(0))
    top = float(rows["probability"].max()) or 1.0
    held = {str(row["prefix"]): row for row in records(names.reset_index())}
    nothing = {"category": "", "share": 0.0, "department": ""}
    hover, labels, paint = [], [], []
    for row in records(rows):
        about = held.get(row["prefix"], nothing)
        paint.append(colours.get(str(about["department"]), OTHER) if row["kept"] else FAINT)
        fate = "forced" if row["forced"] else "kept" if row["kept"] else "pruned" if row["legal"] else "no legal item"
        hover.append(
            f"<b>{row['prefix']}</b>  φ {three(row['probability'])}, {fate}<br>{short(str(about['category']), 40)} "
            f"({about['share']:.0%} of its items)<br>{row['n_items']:,} items pass the filters"
        )
        labels.append(
            {
                "x": 0.155, "y": row["row"], "xref": "paper", "yref": "y", "xanchor": "left", "showarrow": False, "font": {"size": 11},
                "opacity": 1.0 if row["kept"] else 0.55,
                "text": f"{'◆ ' if row['forced'] else ''}<b>{row['prefix']}</b> {short(str(about['category']), 15)}",
            }
        )  # fmt: skip
    branches = [
        {
            "type": "path", "path": edge["path"], "xref": "x", "yref": "y", "layer": "below", "opacity": 0.8,
            "line": {"color": paint[edge["leaf"]] if edge["kept"] else FAINT, "width": 0.8 + 3 * math.sqrt(edge["mass"] / top)},
        }
        for edge in _edges(rows)
    ]  # fmt: skip
    bar = {"type": "bar", "y": rows["row"], "orientation": "h", "xaxis": "x2", "customdata": rows["prefix"], "hovertext": hover,
           "hoverinfo": "text", "unselected": {"marker": {"opacity": 1}}}  # fmt: skip
    # a track behind each bar: small bars stay easy to hit
    track = {**bar, "x": [top * 1.3] * len(rows), "marker": {"color": "rgba(128,132,140,0.05)"}, "width": 0.92}
    bars = {**bar, "x": rows["probability"], "marker": {"color": paint}, "width": 0.62, "textposition": "outside", "cliponaxis": False,
            "text": [three(value) for value in rows["probability"]], "textfont": {"size": 10}}  # fmt: skip
    layout = _layout(len(rows)) | {
        "barmode": "overlay", "annotations": labels, "shapes": branches,
        "xaxis": {"domain": [0, 0.15], "range": [0, 1], "visible": False, "fixedrange": True},
        "xaxis2": {"domain": [0.56, 1], "range": [0, top * 1.3], "visible": False, "fixedrange": True, "anchor": "y"},
    }  # fmt: skip
    return _figure([track, bars], layout)


def strips(rows: pd.DataFrame, subsets: pd.DataFrame, listed: pd.DataFrame, titles: pd.Series, departments: pd.Series,
           colours: Mapping[str, str]) -> go.Figure:  # fmt: skip
    """Step 2: the items found inside each prefix, along cos; those that made the list carry their rank.

    Args:
        rows: `prefix_rows`.
        subsets: the trace's subsets.
        listed: the final list (`item`, `prefix`, `rank`).
        titles, departments: of every item, by row number.
        colours: `department_colours`.
    """
    place = dict(zip(rows["prefix"], rows["row"], strict=True))
    frame = subsets[subsets["prefix"].isin(place)].merge(listed[["item", "prefix", "rank"]], on=["item", "prefix"], how="left")
    if frame.empty:
        return _figure([], _layout(len(rows)))
    jitter = ((frame["item"].astype(int) * 37) % 100 / 100 - 0.5) * 0.5
    dodge = 0.22 * (2 * (frame.groupby("prefix")["rank"].rank().fillna(0) % 2) - 1)  # neighbours in a row make room
    title = [short(name, 60) for name in titles.astype(str).iloc[frame["item"]]]
    numbers = [[three(value) for value in frame[name].astype(float)] for name in ("cos", "p_item", "score")]
    frame = frame.assign(
        y=frame["prefix"].map(place) + jitter.where(frame["rank"].isna(), dodge),
        size=3.5 + 9 * np.sqrt(frame["p_item"].clip(0, 1)),
        hover=[
            f"<b>{name}</b><br>{prefix}  cos {cos}  P {p}<br>score {score}" + ("" if pd.isna(rank) else f"  rank {rank:.0f}")
            for name, prefix, cos, p, score, rank in zip(title, frame["prefix"], *numbers, frame["rank"], strict=True)
        ],
    )
    rest, chosen = frame[frame["rank"].isna()], frame[frame["rank"].notna()]
    own = [colours.get(str(name), OTHER) for name in departments.iloc[chosen["item"]]]
    context = {"type": "scattergl", "x": rest["cos"], "y": rest["y"], "mode": "markers", "hovertext": rest["hover"],
               "hoverinfo": "text", "marker": {"size": rest["size"], "color": GREY, "line": {"width": 0}}}  # fmt: skip
    ranked = {"type": "scatter", "x": chosen["cos"], "y": chosen["y"], "mode": "markers+text", "hovertext": chosen["hover"],
              "hoverinfo": "text", "text": [f"{rank:.0f}" for rank in chosen["rank"]], "textfont": {"size": 9, "color": "white"},
              "marker": {"size": 16, "color": own, "line": {"width": 1, "color": "rgba(255,255,255,0.8)"}}}  # fmt: skip
    kept = rows[rows["kept"].astype(bool)]
    low, high = float(frame["cos"].min()), float(frame["cos"].max())
    pad = 0.06 * (high - low) + 0.01
    layout = _layout(len(rows))
    layout["xaxis"] = {"range": [low - pad, high + pad], "title": {"text": "nearness →", "font": {"size": 11}}, "fixedrange": True,
                       "showgrid": False, "zeroline": False, "tickfont": {"size": 10}, "domain": [0.1, 1]}  # fmt: skip
    layout["yaxis"] |= {"visible": True, "tickmode": "array", "tickvals": kept["row"], "ticktext": kept["prefix"],
                        "tickfont": {"size": 10}, "gridcolor": HAIR, "zeroline": False}  # fmt: skip
    return _figure([context, ranked], layout)


def quality(frame: pd.DataFrame, metric: str) -> go.Figure:
    """Ours against the best baseline, a row a task, with 95 % intervals.

    Args:
        frame: label · system · ours (bool) · value · low · high · n.
        metric: its name, for the axis.
    """
    tasks = list(dict.fromkeys(frame["label"]))
    traces = []
    for ours, name, colour, shift in ((False, "best baseline", GREY, 0.14), (True, "Sigmascope", ACCENT, -0.14)):
        part = frame[frame["ours"] == ours]
        error = {"type": "data", "symmetric": False, "array": part["high"] - part["value"], "arrayminus": part["value"] - part["low"],
                 "color": colour, "thickness": 2, "width": 5}  # fmt: skip
        hover = [
            f"<b>{short(row['system'], 40)}</b>, {short(row['label'], 40)}<br>{three(row['value'])} "
            f"[{three(row['low'])}, {three(row['high'])}]<br>n = {row['n']:,}"
            for row in records(part)
        ]
        marker = {"size": 11, "color": colour, "symbol": "circle" if ours else "diamond"}
        traces.append({"type": "scatter", "x": part["value"], "y": [tasks.index(task) + shift for task in part["label"]], "name": name,
                       "mode": "markers", "marker": marker, "error_x": error,
                       "cliponaxis": False, "hovertext": hover, "hoverinfo": "text"})  # fmt: skip
    layout = _layout(len(tasks)) | {
        "height": 46 * len(tasks) + 90, "margin": {"l": 8, "r": 8, "t": 30, "b": 40}, "showlegend": True,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "xaxis": {"title": {"text": metric, "font": {"size": 11}}, "rangemode": "tozero", "fixedrange": True, "gridcolor": HAIR},
        "yaxis": {"tickmode": "array", "tickvals": list(range(len(tasks))), "ticktext": [short(task, 26) for task in tasks],
                  "range": [len(tasks) - 0.4, -0.6], "showgrid": False, "zeroline": False, "automargin": True, "fixedrange": True},
    }  # fmt: skip
    return _figure(traces, layout)


def sales(weekly: pd.DataFrame) -> go.Figure:
    """Purchases of an item by week (`week`, `purchases`)."""
    bars = {"type": "bar", "x": weekly["week"], "y": weekly["purchases"], "marker": {"color": ACCENT},
            "hovertemplate": "week of %{x|%d %b}: %{y}<extra></extra>"}  # fmt: skip
    axes = {"xaxis": {"fixedrange": True}, "yaxis": {"fixedrange": True, "gridcolor": HAIR, "rangemode": "tozero"}}
    return _figure(
        [bars], {"height": 150, "margin": {"l": 4, "r": 4, "t": 4, "b": 4}, "bargap": 0.15, "showlegend": False, **axes}
    )


def _figure(traces: list[dict[str, Any]], layout: dict[str, Any]) -> go.Figure:
    """One construction from plain dictionaries: adding traces and shapes one by one costs ten times as much."""
    return go.Figure({"data": traces, "layout": layout})


def _layout(rows: int) -> dict[str, Any]:
    """Rows that count downwards from the top, with the same margins for all steps."""
    count = max(rows, 3)
    return {
        "height": count * ROW + 58, "margin": {"l": 4, "r": 4, "t": 8, "b": 42}, "showlegend": False, "hovermode": "closest",
        "dragmode": False, "yaxis": {"range": [count - 0.4, -0.6], "visible": False, "fixedrange": True},
    }  # fmt: skip


def _edges(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Branches from the root to the leaves, one level after another; a branch carries the mass of what hangs below it."""
    depth = max(1, int(rows["level"].max()))
    nodes: dict[tuple[str, ...], dict[str, Any]] = {}
    for leaf, row in enumerate(records(rows)):
        parts = tuple(row["prefix"].split("·")) if row["level"] else ("·",)
        for level in range(1, len(parts) + 1):
            node = nodes.setdefault(parts[:level], {"rows": [], "mass": 0.0, "kept": False, "leaf": leaf})
            node["rows"].append(leaf)
            node["mass"] += row["probability"]
            node["kept"] |= bool(row["kept"])
    height = {name: float(np.mean(node["rows"])) for name, node in nodes.items()} | {(): (len(rows) - 1) / 2}
    edges = []
    for name, node in nodes.items():
        x0, x1, y0, y1 = (len(name) - 1) / depth, len(name) / depth, height[name[:-1]], height[name]
        middle = (x0 + x1) / 2
        path = f"M {x0:.3f},{y0:.3f} C {middle:.3f},{y0:.3f} {middle:.3f},{y1:.3f} {x1:.3f},{y1:.3f}"
        edges.append({"path": path, "mass": node["mass"], "kept": node["kept"], "leaf": node["leaf"]})
    return sorted(edges, key=lambda edge: edge["kept"])  # kept branches are drawn over pruned ones
