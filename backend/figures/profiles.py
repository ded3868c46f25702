"""Figures that show a recommender as a whole: over tasks, over households, beside what its paper published."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from backend.figures.evidence import bar_layout, error_bar, in_panels, interval_text, panel_grid, panel_titles
from backend.figures.style import ACCENT, GREY, HAIR, PALETTE, short, three
from backend.frames import records


def radar(frame: pd.DataFrame, shown: Sequence[str]) -> go.Figure:
    """Shares of the best baseline, an axis a task.

    Args:
        frame: `evidence.radar`.
        shown: recommenders to draw, in this order.
    """
    axes = [short(name, 26) for name in dict.fromkeys(frame["label"])]
    traces: list[dict[str, Any]] = [
        {
            "type": "scatterpolar",
            "r": [1.0] * (len(axes) + 1),
            "theta": [*axes, *axes[:1]],
            "mode": "lines",
            "name": "best baseline of each task",
            "line": {"color": GREY, "dash": "dot", "width": 2},
            "hoverinfo": "skip",
        }
    ]
    colours = [colour for colour in PALETTE if colour != "#CC79A7"]
    for number, name in enumerate(shown):
        own = frame[frame["recommender"] == name]
        if own.empty:
            continue
        ours = own["family"].iat[0] == "ours"
        colour = ACCENT if ours else colours[number % len(colours)]
        share = [float(own.loc[own["label"] == label, "share"].sum()) for label in dict.fromkeys(frame["label"])]
        hover = [
            f"<b>{short(name, 40)}</b>, {short(row['label'], 40)}<br>{row['share']:.0%} of {short(row['best'], 40)}"
            f"<br>{three(row['mean'])} against {three(row['best_mean'])}"
            for row in records(own)
        ]
        traces.append(
            {
                "type": "scatterpolar",
                "r": [*share, *share[:1]],
                "theta": [*axes, *axes[:1]],
                "mode": "lines+markers",
                "name": short(name, 30),
                "hovertext": [*hover, *hover[:1]],
                "hoverinfo": "text",
                "fill": "toself" if ours else "none",
                "fillcolor": "rgba(106,112,224,0.13)",
                "line": {"color": colour, "width": 2.6 if ours else 1.5},
                "marker": {"size": 6},
            }
        )
    top = max([1.0, *frame.loc[frame["recommender"].isin(list(shown)), "share"]]) * 1.06
    polar = {
        "bgcolor": "rgba(0,0,0,0)",
        "radialaxis": {
            "range": [0, top],
            "tickformat": ".0%",
            "nticks": 5,
            "angle": 90,
            "tickangle": 90,
            "gridcolor": HAIR,
            "linecolor": HAIR,
            "tickfont": {"size": 10},
        },
        "angularaxis": {"gridcolor": HAIR, "linecolor": HAIR, "rotation": 90, "direction": "clockwise"},
    }
    return go.Figure(
        {
            "data": traces,
            "layout": {
                "polar": polar,
                "height": 430,
                "margin": {"l": 70, "r": 70, "t": 34, "b": 70},
                "legend": {"orientation": "h", "y": -0.12},
            },
        }
    )


def by_activity(frame: pd.DataFrame, metric: str, shown: Sequence[str]) -> go.Figure:
    """A figure in each slice by household activity: a panel a task, a line a recommender, whiskers for intervals."""
    frame = frame[frame["recommender"].isin(list(shown))]
    panels, slices = list(dict.fromkeys(frame["label"])), list(dict.fromkeys(frame["activity"]))
    traces = []
    for number, label in enumerate(panels):
        for place, name in enumerate(shown):
            own = frame[(frame["label"] == label) & (frame["recommender"] == name)]
            if own.empty:
                continue
            ours = own["family"].iat[0] == "ours"
            colour = ACCENT if ours else PALETTE[place % len(PALETTE)]
            hover = [
                f"<b>{short(name, 40)}</b>, {row['activity']} activity<br>{short(label, 40)} "
                f"{three(row['mean'])}{interval_text(row)}<br>n = {row['n']:,}"
                for row in records(own)
            ]
            shift = 0.09 * (place - (len(shown) - 1) / 2)  # whiskers of one slice stand side by side
            traces.append(
                {
                    "type": "scatter",
                    "x": [slices.index(each) + shift for each in own["activity"]],
                    "y": own["mean"],
                    "mode": "lines+markers",
                    "name": short(name, 30),
                    "legendgroup": name,
                    "showlegend": number == 0,
                    "xaxis": f"x{number + 1}",
                    "hovertext": hover,
                    "hoverinfo": "text",
                    "line": {"color": colour, "width": 2.6 if ours else 1.4},
                    "marker": {"size": 8 if ours else 6},
                    "error_y": error_bar(own["mean"], own["low"], own["high"], colour),
                }
            )
    grid = panel_grid(len(panels), 236)
    layout: dict[str, Any] = {
        "height": grid.height + 124,
        "margin": {"l": 8, "r": 8, "t": 60, "b": 64},
        "hovermode": "closest",
        "legend": {"orientation": "h", "y": 0, "yref": "container", "yanchor": "bottom"},
    }
    yaxis = {
        "title": {"text": metric, "font": {"size": 11}},
        "rangemode": "tozero",
        "gridcolor": HAIR,
        "fixedrange": True,
        "automargin": True,
    }
    xaxis = {
        "tickmode": "array",
        "tickvals": list(range(len(slices))),
        "ticktext": slices,
        "range": [-0.5, len(slices) - 0.5],
        "fixedrange": True,
        "showgrid": False,
    }
    return in_panels(traces, panel_titles(frame, panels), grid, layout, xaxis, yaxis)


def beside(frame: pd.DataFrame) -> go.Figure:
    """What taking a part away costs: published change and ours side by side (`published.beside`)."""
    parts = list(dict.fromkeys(frame["part"]))
    traces = []
    for who, colour, shift, shape in (("published", GREY, -0.16, "diamond"), ("ours", ACCENT, 0.16, "circle")):
        own = frame[frame["who"] == who]
        hover = [
            f"<b>{short(row['part'], 40)}</b>, {who}<br>{row['change']:+.1%}"
            + (f" [{row['low']:+.1%}, {row['high']:+.1%}]<br>n = {row['n']:,}" if row["n"] else "<br>no interval published")
            for row in records(own)
        ]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": who,
                "x": own["change"],
                "y": [parts.index(part) + shift for part in own["part"]],
                "marker": {"size": 12, "color": colour, "symbol": shape},
                "hovertext": hover,
                "hoverinfo": "text",
                "error_x": error_bar(own["change"], own["low"], own["high"], colour),
            }
        )
    layout = bar_layout(parts, "change of HR@10 against the full system")
    layout["xaxis"] |= {"tickformat": "+.0%", "zeroline": True, "zerolinecolor": GREY}
    return go.Figure({"data": traces, "layout": layout})
