"""Figures of the latent space: the map, and how far the spaces agree.

- WebGL, and small: places are 16-bit, colours and sizes 8-bit numbers, points are known by their index (no text travels with
  them above 20,000 points). What is chosen keeps its colour; the rest turns grey and stays.
- A fixed order of traces: the points are number 0; everything drawn over them (path, queries, chosen items, the item in focus) is a
  few marks with the row of their item as `customdata`. They are WebGL too: plotly draws every SVG mark below every WebGL one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from scipy.ndimage import gaussian_filter

from backend.figures.colouring import Shade
from backend.figures.style import ACCENT, OTHER, short, three
from backend.frames import records

GRID = 65_535  # places are whole numbers up to this
_CELLS = 96  # of the density, each way
MOST_TITLES = 20_000  # points that carry their title; above, a click tells it
SCALE = ("#6A5ACD", "#3E7CB1", "#21918C", "#5EC962", "#E8C500")  # like viridis, but its ends hold on dark and on light ground
_EDGE = {"width": 1.2, "color": "white"}
_AGE = [[0, "#FDE3CC"], [1, "#B34700"]]  # a path: pale = long ago
HEIGHT = 620  # pixels of one map; two side by side are lower


@dataclass(frozen=True)
class Canvas:
    """A map's own coordinates → whole numbers on a square, the same scale both ways.

    Shape:
        rows: (m,) items that are on it.
    """

    rows: np.ndarray
    low: np.ndarray
    span: float

    @classmethod
    def of(cls, xy: np.ndarray) -> Canvas:
        """The canvas of a map. Shape: (n, 2), NaN where an item has no place."""
        rows = np.flatnonzero(np.isfinite(xy[:, 0]))
        if not len(rows):
            return cls(rows, np.zeros(2), 1.0)
        low, high = xy[rows].min(axis=0).astype(float), xy[rows].max(axis=0).astype(float)
        span = float(max(high - low)) or 1.0
        return cls(rows, (low + high) / 2 - span / 2, span)

    def at(self, xy: np.ndarray) -> np.ndarray:
        """Places on the canvas. Shape: (m, 2) → (m, 2)."""
        return (np.asarray(xy, float).reshape(-1, 2) - self.low) / self.span * GRID


@dataclass(frozen=True)
class Marks:
    """What is drawn over the points; places in the map's own coordinates."""

    focus: int | None = None  # row of the item in focus
    near: Sequence[int] = ()  # its neighbours
    path: pd.DataFrame | None = None  # row · title · time
    queries: pd.DataFrame | None = None  # prefix · phi · x · y · nearest · cos
    chosen: pd.DataFrame | None = None  # row · rank · title
    probe: tuple[float, float, str] | None = None  # x, y, text
    labels: pd.DataFrame | None = None  # label · x · y · n
    colours: Mapping[str, str] = field(default_factory=dict)


def latent_map(xy: np.ndarray, shade: Shade, size: np.ndarray | float, titles: Sequence[str], marks: Marks, *,
               chosen: np.ndarray | None = None, fly: tuple[float, float] | None = None, revision: str = "",
               drag: str = "pan", height: int = HEIGHT, density: bool = False) -> go.Figure:  # fmt: skip
    """A map.

    Args:
        titles: of every item, in order.
        chosen: rows that keep their colour; None = all do.
        fly: the place to look at closely; None = everything.
        revision: the reader's own zoom is kept while this stays the same.
        drag: what dragging does: pan, select or lasso.
        density: shade the ground by how many items (of the chosen ones) lie there.

    Shape:
        xy: (n, 2), NaN where an item has no place; size: (n,) pixels or one for all.
    """
    canvas = Canvas.of(xy)
    rows = canvas.rows
    places = canvas.at(xy[rows]).round().astype(np.uint16)
    marker: dict[str, Any] = {
        "size": size[rows] if isinstance(size, np.ndarray) else size,
        "opacity": 0.5 if _busy(marks) else 0.8,
        "line": {"width": 0},
    }
    marker |= _paint(shade, rows)
    points: dict[str, Any] = {
        "type": "scattergl", "mode": "markers", "x": places[:, 0], "y": places[:, 1], "marker": marker,
        "selected": {"marker": {"opacity": 0.95}}, "unselected": {"marker": {"color": OTHER, "opacity": 0.18}},
        "hoverinfo": "text" if len(rows) <= MOST_TITLES else "none",
    }  # fmt: skip
    if len(rows) <= MOST_TITLES:
        points["hovertext"] = [short(str(titles[row]), 70) for row in rows]
    if chosen is not None:
        points["selectedpoints"] = np.flatnonzero(np.isin(rows, chosen)).tolist()
    traces = [points, *_overlays(canvas, xy, titles, marks)]
    if density:
        lit = places if chosen is None else places[np.isin(rows, chosen)]
        traces.append(_density(lit))
    pad = 0.03 * GRID
    box = [(-pad, GRID + pad)] * 2
    if fly is not None and np.isfinite(fly).all():
        reach = 0.11 * GRID
        box = [(centre - reach, centre + reach) for centre in canvas.at(np.array([fly]))[0].tolist()]
    axis = {"visible": False, "showgrid": False, "zeroline": False}
    layout = {
        "height": height, "margin": {"l": 0, "r": 0, "t": 0, "b": 0}, "showlegend": False, "hovermode": "closest", "dragmode": drag,
        "xaxis": {**axis, "range": list(box[0])}, "yaxis": {**axis, "range": list(box[1]), "scaleanchor": "x"},
        "uirevision": revision, "selectionrevision": revision,
        "annotations": [*_labels(canvas, marks.labels, height), *_flags(canvas, xy, titles, marks)],
    }  # fmt: skip
    return go.Figure({"data": traces, "layout": layout}, skip_invalid=False, _validate=False)


def rows_of(points: Sequence[Mapping[str, Any]], xy: np.ndarray) -> list[int]:
    """The items behind what a figure reports as selected: by index for points, by `customdata` for marks over them."""
    rows = Canvas.of(xy).rows
    found: list[int] = []
    for point in points:
        if int(point.get("curve_number", 0)) == 0:
            index = point.get("point_index", point.get("point_number", -1))
            row = int(rows[index]) if 0 <= index < len(rows) else -1
        else:
            data = point.get("customdata")
            row = int(data[0] if isinstance(data, list | tuple) else data) if data is not None else -1
        if row >= 0 and row not in found[-1:]:
            found.append(row)
    return list(dict.fromkeys(found))


def agreement(report: Mapping[str, Any], titles: Mapping[str, str]) -> go.Figure:
    """Overlap of the ten nearest between each two spaces, as a matrix with the figure in each cell."""
    names = [space["space"] for space in report["spaces"]]
    value = pd.DataFrame(np.nan, index=names, columns=names)
    hover = pd.DataFrame("", index=names, columns=names)
    for cell in report["overlap"]:
        told = f"{titles[cell['left']]} and {titles[cell['right']]}: {cell['value']:.3f} [{cell['low']:.3f}, {cell['high']:.3f}]<br>n = {cell['n']:,}"
        for a, b in ((cell["left"], cell["right"]), (cell["right"], cell["left"])):
            value.loc[a, b], hover.loc[a, b] = cell["value"], told
    text = value.map(lambda share: "" if pd.isna(share) else three(share))
    labels = [titles[name] for name in names]
    heat = {"type": "heatmap", "z": value.to_numpy(), "x": labels, "y": labels, "text": text.to_numpy(), "texttemplate": "%{text}",
            "hovertext": hover.to_numpy(), "hoverinfo": "text", "colorscale": [[0, "rgba(106,112,224,0.05)"], [1, ACCENT]], "zmin": 0,
            "zmax": max(0.5, float(np.nanmax(value.to_numpy(), initial=0.0))), "showscale": False, "xgap": 3, "ygap": 3}  # fmt: skip
    layout = {"height": 270, "margin": {"l": 8, "r": 8, "t": 26, "b": 8}, "xaxis": {"side": "top", "fixedrange": True, "showgrid": False},
              "yaxis": {"autorange": "reversed", "fixedrange": True, "showgrid": False, "automargin": True}}  # fmt: skip
    return go.Figure({"data": [heat], "layout": layout})


def _paint(shade: Shade, rows: np.ndarray) -> dict[str, Any]:
    codes = shade.codes[rows]
    if shade.names:
        n = len(shade.names)
        steps = [[edge / n, colour] for row, colour in enumerate(shade.colours) for edge in (row, row + 1)]
        return {"color": codes, "colorscale": steps, "cmin": -0.5, "cmax": n - 0.5, "showscale": False}
    return {
        "color": codes,
        "colorscale": [[step / (len(SCALE) - 1), colour] for step, colour in enumerate(SCALE)],
        "cmin": 0,
        "cmax": 255,
        "showscale": False,
    }  # the page draws the scale once


def _overlays(canvas: Canvas, xy: np.ndarray, titles: Sequence[str], marks: Marks) -> list[dict[str, Any]]:
    """Marks over the points, back to front."""

    def on_map(rows: Sequence[int]) -> list[int]:
        return [int(row) for row in rows if np.isfinite(xy[int(row), 0])]

    traces = []
    if marks.path is not None and len(marks.path):
        told = marks.path[np.isfinite(xy[marks.path["row"].to_numpy(), 0])]
        at, age = canvas.at(xy[told["row"].to_numpy()]), np.linspace(0, 1, len(told))
        hover = [f"{short(str(row['title']), 60)}<br>{row['time']:%d %b %Y}, basket {row['basket']}" for row in records(told)]
        traces.append({"type": "scattergl", "mode": "lines", "x": at[:, 0], "y": at[:, 1], "hoverinfo": "skip",
                       "line": {"color": "rgba(213,94,0,0.35)", "width": 1.2}})  # fmt: skip
        traces.append({"type": "scattergl", "mode": "markers", "x": at[:, 0], "y": at[:, 1], "hovertext": hover, "hoverinfo": "text",
                       "customdata": told["row"].tolist(), **_steady(),
                       "marker": {"size": 5 + 6 * age, "color": age, "colorscale": _AGE, "cmin": 0, "cmax": 1,
                                  "line": {"width": 1, "color": "rgba(0,0,0,0.35)"}}})  # fmt: skip
    near = on_map(marks.near)
    if near:
        at = canvas.at(xy[near])
        traces.append(
            _items(at, near, [short(str(titles[row]), 60) for row in near], {"size": 9, "color": "#22252B", "line": _EDGE})
        )
    if marks.queries is not None and len(marks.queries):
        table = marks.queries[np.isfinite(marks.queries["x"])]
        at, phi = canvas.at(table[["x", "y"]].to_numpy()), table["phi"].to_numpy(float)
        hover = [f"<b>h of {row['prefix']}</b>, φ {three(row['phi'])}<br>nearest: {short(str(titles[row['nearest']]), 50)}, "
                 f"cos {three(row['cos'])}" for row in records(table)]  # fmt: skip
        traces.append({"type": "scattergl", "mode": "markers+text", "x": at[:, 0], "y": at[:, 1], "hovertext": hover, "hoverinfo": "text",
                       "text": [name if share >= 0.04 else "" for name, share in zip(table["prefix"], phi, strict=True)],
                       "textposition": "top center", "textfont": {"size": 10}, "customdata": [-1] * len(table), **_steady(),
                       "marker": {"symbol": "diamond", "size": 8 + 16 * np.sqrt(phi / max(phi.max(initial=0), 1e-9)), "color": ACCENT,
                                  "opacity": 0.85, "line": {"width": 1, "color": "white"}}})  # fmt: skip
    if marks.chosen is not None and len(marks.chosen):
        table = marks.chosen[np.isfinite(xy[marks.chosen["row"].to_numpy(), 0])]
        at = canvas.at(xy[table["row"].to_numpy()])
        traces.append({"type": "scattergl", "mode": "markers+text", "x": at[:, 0], "y": at[:, 1], "hoverinfo": "text", **_steady(),
                       "hovertext": [f"place {row['rank']}: {short(str(row['title']), 60)}" for row in records(table)],
                       "text": [str(rank) for rank in table["rank"]], "textfont": {"size": 9, "color": "white"},
                       "customdata": table["row"].tolist(),
                       "marker": {"size": 16, "color": "#22252B", "line": {"width": 1.2, "color": "white"}}})  # fmt: skip
    if marks.probe is not None and np.isfinite(marks.probe[0]):
        star = {"symbol": "star", "size": 18, "color": "#E69F00", "line": {"width": 1.2, "color": "#22252B"}}
        traces.append(_items(canvas.at(np.array([marks.probe[:2]])), [-1], [f"“{short(marks.probe[2], 60)}”"], star))
    focus = on_map([marks.focus]) if marks.focus is not None else []
    if focus:
        mark = {"size": 17, "color": ACCENT, "line": {"width": 2.5, "color": "white"}}
        traces.append(_items(canvas.at(xy[focus]), focus, [short(str(titles[focus[0]]), 60)], mark))
    return traces


def _density(places: np.ndarray) -> dict[str, Any]:
    """How many points lie where, as filled contours; SVG, hence below the points. One byte a cell, on the square root of the count."""
    edge = 0.05 * GRID  # a cloud at the edge fades out too
    count, ends, _ = np.histogram2d(places[:, 1], places[:, 0], bins=_CELLS, range=[(-edge, GRID + edge)] * 2)
    smooth = np.sqrt(gaussian_filter(count, 1.3))
    cells = np.round(255 * smooth / max(float(smooth.max(initial=0.0)), 1e-9)).astype(np.uint8)
    middle = (ends[1:] + ends[:-1]) / 2
    return {"type": "contour", "x": middle, "y": middle, "z": cells, "zmin": 0, "zmax": 255, "showscale": False, "hoverinfo": "skip",
            "autocontour": False, "contours": {"start": 28, "end": 255, "size": 28, "coloring": "fill", "showlines": False},
            "colorscale": [[0, "rgba(106,112,224,0)"], [1, "rgba(106,112,224,0.55)"]]}  # fmt: skip


def _steady() -> dict[str, Any]:
    """Marks keep their looks when points are selected."""
    return {"selected": {"marker": {"opacity": 1}}, "unselected": {"marker": {"opacity": 1}}}


def _items(at: np.ndarray, rows: Sequence[int], hover: Sequence[str], marker: dict[str, Any]) -> dict[str, Any]:
    return {"type": "scattergl", "mode": "markers", "x": at[:, 0], "y": at[:, 1], "hovertext": list(hover), "hoverinfo": "text",
            "customdata": list(rows), "marker": marker, **_steady()}  # fmt: skip


def _busy(marks: Marks) -> bool:
    """Whether something is drawn over the points that they should not drown."""
    return any(value is not None for value in (marks.focus, marks.path, marks.queries, marks.chosen, marks.probe))


def _flags(canvas: Canvas, xy: np.ndarray, titles: Sequence[str], marks: Marks) -> list[dict[str, Any]]:
    """Names of the item in focus and of the typed text, above everything."""
    out = []
    if marks.probe is not None and np.isfinite(marks.probe[0]):
        out.append((canvas.at(np.array([marks.probe[:2]]))[0], f"“{short(marks.probe[2], 30)}”", "#E69F00", "#22252B"))
    if marks.focus is not None and np.isfinite(xy[marks.focus, 0]):
        out.append((canvas.at(xy[[marks.focus]])[0], short(str(titles[marks.focus]), 34), "#4C51BF", "white"))
    return [
        {"x": float(at[0]), "y": float(at[1]), "text": text, "showarrow": True, "arrowhead": 0, "arrowwidth": 1.5, "arrowcolor": ground,
         "ax": 0, "ay": -34, "bgcolor": ground, "font": {"size": 11, "color": ink}, "borderpad": 3}
        for at, text, ground, ink in out
    ]  # fmt: skip


def _labels(canvas: Canvas, labels: pd.DataFrame | None, width: int) -> list[dict[str, Any]]:
    """Names of dense regions, the largest first; one that would lie on another is left out. `width`: of the map, in pixels."""
    out: list[dict[str, Any]] = []
    if labels is None or not len(labels):
        return out
    at = canvas.at(labels[["x", "y"]].to_numpy())
    taken: list[tuple[float, float, float]] = []
    pixel = GRID / width
    for row, (x, y) in zip(records(labels), at.tolist(), strict=True):
        text = short(str(row["label"]), 22)
        reach = len(text) * 3.4 * pixel  # half its width
        if any(abs(x - x1) < reach + reach1 and abs(y - y1) < 17 * pixel for x1, y1, reach1 in taken):
            continue
        taken.append((x, y, reach))
        out.append({"x": x, "y": y, "text": text, "showarrow": False, "font": {"size": 11, "shadow": "auto"}, "yshift": 13,
                    "captureevents": False})  # fmt: skip
    return out
