"""The map's figure: small, index-only, and what is clicked is what is meant."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from backend.figures import colouring
from backend.figures import maps as figures_map
from backend.figures.maps import Canvas, Marks
from backend.grounding.agreement import measure
from backend.grounding.neighbours import Index, neighbour_lists, normalised


def drawn(n: int, titles: bool = True, **more: object) -> tuple[np.ndarray, dict]:
    rng = np.random.default_rng(3)
    xy = rng.normal(size=(n, 2)).astype(np.float32)
    xy[4] = np.nan
    shade = colouring.groups(pd.Series(rng.choice(list("abcdef"), n)), "department")
    names = [f"Item {row} with a title of usual length, 16 oz" for row in range(n)]
    marks = more.pop("marks", Marks())
    figure = figures_map.latent_map(xy, shade, rng.integers(3, 12, n).astype(np.uint8), names, marks, **more)
    return xy, json.loads(figure.to_json(validate=False)) | {"bytes": len(figure.to_json(validate=False).encode())}


def test_two_maps_of_a_hundred_thousand_points_stay_below_5_mb() -> None:
    _, figure = drawn(100_000)
    assert 2 * figure["bytes"] <= 5e6
    assert figure["bytes"] <= 1.2e6
    points = figure["data"][0]
    assert points["type"] == "scattergl"
    assert {points[axis]["dtype"] for axis in "xy"} == {"u2"}
    assert points["marker"]["color"]["dtype"] == points["marker"]["size"]["dtype"] == "u1"
    assert "hovertext" not in points  # a click tells


def test_few_points_carry_their_titles_and_no_markup() -> None:
    xy = np.array([[0.0, 0.0], [1.0, 1.0]], np.float32)
    shade = colouring.groups(pd.Series(["a", "b"]), "x")
    figure = figures_map.latent_map(
        xy, shade, 5.0, ["<script>alert(1)</script>", "Milk"], Marks(focus=0, probe=(0.5, 0.5, "<b>"))
    )
    assert "<script" not in figure.to_json(validate=False)
    assert figure.data[0].hovertext[1] == "Milk"
    assert "&lt;b&gt;" in figure.to_json(validate=False) or "\\u0026lt;b" in figure.to_json(validate=False)


def test_the_canvas_keeps_shape_and_order() -> None:
    xy = np.array([[0, 0], [10, 0], [np.nan, np.nan], [0, 5]], float)
    canvas = Canvas.of(xy)
    assert canvas.rows.tolist() == [0, 1, 3]
    at = canvas.at(xy[canvas.rows])
    assert at.min() >= 0
    assert at.max() <= figures_map.GRID
    assert (at[1] - at[0])[0] == pytest.approx(2 * (at[2] - at[0])[1])  # one scale both ways
    assert len(Canvas.of(np.full((3, 2), np.nan)).rows) == 0


def test_selected_points_are_items() -> None:
    xy, _ = drawn(10)
    event = [{"curve_number": 0, "point_index": index} for index in (3, 4, 0)]
    assert figures_map.rows_of(event, xy) == [3, 5, 0]  # item 4 has no place, so that point 4 is item 5
    marks = [{"curve_number": 2, "point_index": 0, "customdata": 7}, {"curve_number": 3, "point_index": 1, "customdata": [-1]}]
    assert figures_map.rows_of(marks, xy) == [7]
    assert figures_map.rows_of([{"curve_number": 0, "point_index": 99}], xy) == []


def test_the_rest_turns_grey_and_stays() -> None:
    _, figure = drawn(10, chosen=np.array([3, 5]))
    points = figure["data"][0]
    assert points["selectedpoints"] == [3, 4]  # by place among the points, not by item
    assert points["unselected"]["marker"]["color"] == figures_map.OTHER
    assert points["unselected"]["marker"]["opacity"] > 0
    assert "selectedpoints" not in drawn(10)[1]["data"][0]


def test_flying_looks_closely_and_else_the_readers_zoom_stays() -> None:
    xy, whole = drawn(50, revision="a")
    _, close = drawn(50, revision="b", fly=tuple(xy[7].tolist()))
    width = [np.diff(figure["layout"]["xaxis"]["range"])[0] for figure in (whole, close)]
    assert width[1] < 0.3 * width[0]
    centre = Canvas.of(xy).at(xy[[7]])[0]
    assert np.mean(close["layout"]["xaxis"]["range"]) == pytest.approx(centre[0])
    assert whole["layout"]["uirevision"] == "a" != close["layout"]["uirevision"]
    assert np.diff(drawn(50, fly=(np.nan, np.nan))[1]["layout"]["xaxis"]["range"])[0] == width[0]  # an item without a place


def test_what_is_drawn_over_the_points() -> None:
    path = pd.DataFrame(
        {"row": [1, 4, 2], "title": ["x", "y", "z"], "time": pd.to_datetime(["2017-01-01"] * 3), "basket": [1, 1, 2]}
    )
    queries = pd.DataFrame(
        {"prefix": ["a1", "a2"], "phi": [0.9, 0.01], "x": [0.1, 0.2], "y": [0.0, 0.1], "nearest": [3, 5], "cos": [0.8, 0.7]}
    )
    chosen = pd.DataFrame({"row": [3, 4], "rank": [1, 2], "title": ["p", "q"]})
    labels = pd.DataFrame({"label": ["Dairy", "Milk", "Soap"], "x": [0.0, 0.001, 2.0], "y": [0.0, 0.0, 2.0], "n": [9, 5, 4]})
    marks = Marks(focus=1, near=[2, 3, 4], path=path, queries=queries, chosen=chosen, probe=(0.1, 0.2, "soup"), labels=labels)
    _, figure = drawn(10, marks=marks)
    held = [trace["customdata"] for trace in figure["data"] if "customdata" in trace]
    assert held == [[1, 2], [2, 3], [-1, -1], [3], [-1], [1]]  # item 4 has no place on this map
    assert {trace["type"] for trace in figure["data"]} == {"scattergl"}  # plotly draws SVG marks below WebGL ones
    symbols = [trace["marker"].get("symbol") for trace in figure["data"][1:] if "marker" in trace]
    assert "diamond" in symbols
    assert "star" in symbols
    texts = [note["text"] for note in figure["layout"]["annotations"]]
    assert "Dairy" in texts
    assert "Milk" not in texts  # it would lie on Dairy
    assert "Soap" in texts
    assert "“soup”" in texts


def test_the_matrix_is_symmetric() -> None:
    vectors = {name: normalised(np.random.default_rng(row).normal(size=(60, 8))) for row, name in enumerate(("text", "id"))}
    lists = {name: neighbour_lists(Index(rows))[0] for name, rows in vectors.items()}
    figure = figures_map.agreement(measure(vectors, lists, {}, {}), {"text": "Text", "id": "Behaviour"})
    z = np.array(figure.data[0].z, float)
    assert z[0, 1] == z[1, 0] > 0
    assert np.isnan(z[0, 0])
    assert "n = 60" in figure.data[0].hovertext[0][1]


def test_the_density_lies_where_the_points_do() -> None:
    xy, plain = drawn(2000)
    _, figure = drawn(2000, density=True)
    ground = figure["data"][-1]
    assert [trace["type"] for trace in figure["data"]][:1] == ["scattergl"]  # the points stay number 0
    assert ground["type"] == "contour"
    assert figure["bytes"] - plain["bytes"] < 20_000
    few = np.argsort(np.nan_to_num(xy[:, 0], nan=9.0))[:50]  # at the left edge
    shade = colouring.groups(pd.Series(["a"] * 2000), "x")
    own = figures_map.latent_map(xy, shade, 5.0, [""] * 2000, Marks(), chosen=few, density=True).data[-1]
    cells = np.asarray(own.z, int)
    assert cells[:, :40].sum() > 0.95 * cells.sum()
    assert figures_map.latent_map(xy, shade, 5.0, [""] * 2000, Marks(), chosen=few[:0], density=True).data[-1].z.max() == 0
