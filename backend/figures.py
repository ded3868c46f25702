"""Plotly figures from plain frames; the pages only place them.

- One categorical palette (Okabe-Ito's hues, safe for the common forms of colour blindness, of middle lightness so that they
  hold on light and dark ground) is bound to the departments, largest first; the ninth and later departments are grey. Colour
  never stands alone: every mark has its name on hover or beside it.
- Grey is context: pruned prefixes, items that did not make the list, baselines.
- Fonts and ground come from the app's theme; nothing here sets a background.
- Steps 1 and 2 draw the same prefixes in the same rows, so that the eye can run across.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from backend.frames import records

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#999933", "#882255")
OTHER = "#8A8F98"  # departments beyond the palette
GREY, FAINT, HAIR = "rgba(128,132,140,0.55)", "rgba(128,132,140,0.28)", "rgba(128,132,140,0.13)"
ACCENT = "#6A70E0"
ROW = 25  # pixels a prefix row


def department_colours(departments: Sequence[str]) -> dict[str, str]:
    """Colour of each department; the order (largest first) decides, so a workspace always shows the same ones."""
    return {name: PALETTE[row] if row < len(PALETTE) else OTHER for row, name in enumerate(departments)}


def three(value: float | None) -> str:
    """Three significant digits; "–" for a missing value.

    >>> [three(x) for x in (0.043051, 12.345, 1512.0, None)]
    ['0.0431', '12.3', '1,510', '–']
    """
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    digits = 2 - math.floor(math.log10(abs(value)))
    rounded = round(value, digits)
    return f"{rounded:,.{max(digits, 0)}f}"


def short(text: str, length: int) -> str:
    """Text cut to `length` characters, escaped for plotly's (small) HTML."""
    return escape(text if len(text) <= length else text[: length - 1].rstrip() + "…", quote=False)


def prefix_rows(prefixes: pd.DataFrame, most: int = 40) -> pd.DataFrame:
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
    figure = _blank(len(rows))
    if rows.empty:
        return figure
    top = float(rows["probability"].max()) or 1.0
    paint = [_paint(row["prefix"], row["kept"], names, colours) for row in records(rows)]
    for edge in _edges(rows):
        leaf = edge["leaf"]
        figure.add_scatter(
            x=edge["x"], y=edge["y"], xaxis="x", mode="lines", hoverinfo="skip", showlegend=False,
            line={"color": paint[leaf] if edge["kept"] else FAINT, "width": 0.8 + 5 * np.sqrt(edge["mass"] / top) * 0.6},
            opacity=0.8 if edge["kept"] else 0.7,
        )  # fmt: skip
    held = names.reindex(rows["prefix"])
    hover = [
        f"<b>{prefix}</b>  φ {three(phi)}<br>{escape(str(category), quote=False)} ({share:.0%} of its items)<br>"
        f"{n:,} items pass the filters<br>{'forced' if forced else 'kept' if kept else 'pruned' if legal else 'no legal item'}"
        for prefix, phi, category, share, n, forced, kept, legal in zip(
            rows["prefix"], rows["probability"], held["category"].fillna("unknown"), held["share"].fillna(0), rows["n_items"],
            rows["forced"], rows["kept"], rows["legal"], strict=True,
        )
    ]  # fmt: skip
    common = {"y": rows["row"], "orientation": "h", "xaxis": "x2", "customdata": rows["prefix"], "hovertext": hover,
              "hoverinfo": "text", "showlegend": False, "unselected": {"marker": {"opacity": 1}}}  # fmt: skip
    # a track behind each bar: small bars stay easy to hit
    figure.add_bar(x=[top * 1.3] * len(rows), marker={"color": "rgba(128,132,140,0.05)"}, width=0.92, **common)
    figure.add_bar(
        x=rows["probability"], marker={"color": paint}, width=0.62, text=[three(value) for value in rows["probability"]],
        textposition="outside", textfont={"size": 10}, cliponaxis=False, **common,
    )  # fmt: skip
    for row in records(rows):
        category = str(held["category"].iloc[row["row"]]) if row["prefix"] in names.index else ""
        tone = 1.0 if row["kept"] else 0.55
        mark = "◆ " if row["forced"] else ""
        figure.add_annotation(
            x=0.155, y=row["row"], xref="paper", yref="y", xanchor="left", showarrow=False, opacity=tone, font={"size": 11},
            text=f"{mark}<b>{row['prefix']}</b> {short(category, 15)}",
        )  # fmt: skip
    figure.update_layout(
        barmode="overlay",
        xaxis={"domain": [0, 0.15], "range": [0, 1], "visible": False, "fixedrange": True},
        xaxis2={"domain": [0.56, 1], "range": [0, top * 1.3], "visible": False, "fixedrange": True, "anchor": "y"},
    )
    return figure


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
    figure = _blank(len(rows))
    place = dict(zip(rows["prefix"], rows["row"], strict=True))
    frame = subsets[subsets["prefix"].isin(place)].merge(listed[["item", "prefix", "rank"]], on=["item", "prefix"], how="left")
    if frame.empty:
        return figure
    jitter = ((frame["item"].astype(int) * 37) % 100 / 100 - 0.5) * 0.5
    nudge = 0.22 * (2 * (frame.groupby("prefix")["rank"].rank().fillna(0) % 2) - 1)  # neighbours in a row dodge each other
    frame = frame.assign(y=frame["prefix"].map(place) + jitter.where(frame["rank"].isna(), nudge))
    kept = rows[rows["kept"]]
    for row in kept["row"]:
        figure.add_hline(y=row, line={"color": HAIR, "width": 1}, layer="below")
    hover = [
        f"<b>{short(str(titles.iat[int(item)]), 60)}</b><br>{prefix}  cos {three(float(cos))}  P {three(float(p))}<br>"
        f"score {three(float(score))}" + ("" if pd.isna(rank) else f"  rank {rank:.0f}")
        for item, prefix, cos, p, score, rank in zip(
            frame["item"], frame["prefix"], frame["cos"], frame["p_item"], frame["score"], frame["rank"], strict=True
        )
    ]
    frame = frame.assign(hover=hover, size=3.5 + 9 * np.sqrt(frame["p_item"].clip(0, 1)))
    rest, chosen = frame[frame["rank"].isna()], frame[frame["rank"].notna()]
    figure.add_scattergl(
        x=rest["cos"], y=rest["y"], mode="markers", hovertext=rest["hover"], hoverinfo="text",
        marker={"size": rest["size"], "color": GREY, "line": {"width": 0}}, customdata=rest["item"], showlegend=False,
    )  # fmt: skip
    figure.add_scatter(
        x=chosen["cos"], y=chosen["y"], mode="markers+text", text=[f"{rank:.0f}" for rank in chosen["rank"]],
        textfont={"size": 9, "color": "white"}, hovertext=chosen["hover"], hoverinfo="text", customdata=chosen["item"],
        marker={"size": 16, "color": [colours.get(str(departments.iat[int(item)]), OTHER) for item in chosen["item"]],
                "line": {"width": 1, "color": "rgba(255,255,255,0.8)"}}, showlegend=False,
    )  # fmt: skip
    low, high = float(frame["cos"].min()), float(frame["cos"].max())
    pad = 0.06 * (high - low) + 0.01
    figure.update_layout(
        xaxis={"range": [low - pad, high + pad], "title": {"text": "cos(h, item) →", "font": {"size": 11}}, "fixedrange": True,
               "showgrid": False, "zeroline": False, "tickfont": {"size": 10}, "domain": [0.1, 1]},
        yaxis={"visible": True, "tickmode": "array", "tickvals": kept["row"].tolist(), "ticktext": kept["prefix"].tolist(),
               "tickfont": {"size": 10}, "showgrid": False},
    )  # fmt: skip
    return figure


def quality(frame: pd.DataFrame, metric: str) -> go.Figure:
    """Ours against the best baseline, a row a task, with 95 % intervals.

    Args:
        frame: label · system · ours (bool) · value · low · high · n.
        metric: its name, for the axis.
    """
    tasks = list(dict.fromkeys(frame["label"]))
    figure = _blank(len(tasks), row=46)
    for ours, name, colour, shift in ((False, "best baseline", GREY, 0.14), (True, "Sigmascope", ACCENT, -0.14)):
        part = frame[frame["ours"] == ours]
        figure.add_scatter(
            x=part["value"], y=[tasks.index(task) + shift for task in part["label"]], mode="markers", name=name,
            marker={"size": 11, "color": colour, "symbol": "circle" if ours else "diamond"}, hoverinfo="text",
            error_x={"array": part["high"] - part["value"], "arrayminus": part["value"] - part["low"], "type": "data",
                     "symmetric": False, "color": colour, "thickness": 2, "width": 5},
            hovertext=[f"<b>{short(row['system'], 40)}</b>, {short(row['label'], 40)}<br>{three(row['value'])} "
                       f"[{three(row['low'])}, {three(row['high'])}]<br>n = {row['n']:,}" for row in records(part)],
        )  # fmt: skip
    figure.update_layout(
        xaxis={"title": {"text": metric, "font": {"size": 11}}, "rangemode": "tozero", "fixedrange": True, "gridcolor": HAIR},
        yaxis={"visible": True, "tickmode": "array", "tickvals": list(range(len(tasks))),
               "ticktext": [short(task, 26) for task in tasks],
               "range": [len(tasks) - 0.4, -0.6], "showgrid": False, "automargin": True},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}, margin={"l": 8, "r": 8, "t": 30, "b": 40},
        height=46 * len(tasks) + 90, showlegend=True,
    )  # fmt: skip
    return figure


def sales(weekly: pd.DataFrame) -> go.Figure:
    """Purchases of an item by week (`week`, `purchases`)."""
    figure = go.Figure(
        go.Bar(x=weekly["week"], y=weekly["purchases"], marker={"color": ACCENT}, hovertemplate="%{x|%d %b}: %{y}<extra></extra>")
    )
    figure.update_layout(height=150, margin={"l": 4, "r": 4, "t": 4, "b": 4}, yaxis={"fixedrange": True, "gridcolor": HAIR},
                         xaxis={"fixedrange": True}, bargap=0.15)  # fmt: skip
    return figure


def _blank(rows: int, row: int = ROW) -> go.Figure:
    """A figure whose rows count downwards from the top, with the same margins for all steps."""
    figure = go.Figure()
    figure.update_layout(
        height=max(rows, 3) * row + 58, margin={"l": 4, "r": 4, "t": 8, "b": 42}, showlegend=False, hovermode="closest",
        yaxis={"range": [max(rows, 3) - 0.4, -0.6], "visible": False, "fixedrange": True}, dragmode=False,
    )  # fmt: skip
    return figure


def _paint(prefix: str, kept: bool, names: pd.DataFrame, colours: Mapping[str, str]) -> str:
    if not kept or prefix not in names.index:
        return FAINT
    return colours.get(str(names.at[prefix, "department"]), OTHER)


def _curve(x0: float, y0: float, x1: float, y1: float, points: int = 18) -> tuple[np.ndarray, np.ndarray]:
    """A smooth S from one point to another."""
    t = np.linspace(0, 1, points)
    return x0 + (x1 - x0) * t, y0 + (y1 - y0) * (3 * t**2 - 2 * t**3)


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
        x, y = _curve((len(name) - 1) / depth, height[name[:-1]], len(name) / depth, height[name])
        edges.append({"x": x, "y": y, "mass": node["mass"], "kept": node["kept"], "leaf": node["leaf"]})
    return sorted(edges, key=lambda edge: edge["kept"])  # kept branches are drawn over pruned ones
