"""Panels of the Evidence page's figures: however many tasks there are, none lies on another."""

from __future__ import annotations

from itertools import combinations

import pandas as pd
import pytest

from backend.figures.evidence import BESIDE, panel_grid, whiskers
from backend.figures.profiles import by_activity


@pytest.mark.parametrize("count", [1, 5, 6, 7, 12, 13])
def test_no_panel_lies_on_another(count: int) -> None:
    grid = panel_grid(count, 200)
    assert len(grid.x) == len(grid.y) == len(grid.line) == count
    assert max(grid.line.count(line) for line in grid.line) <= BESIDE
    assert grid.x[-1][1] <= 1 + 1e-9
    assert min(low for low, _ in grid.y) >= 0
    for one, other in combinations(range(count), 2):
        apart = grid.line[one] != grid.line[other]
        axis = grid.y if apart else grid.x
        assert axis[one][1] < axis[other][0] or axis[other][1] < axis[one][0]
    heights = [(top - low) * grid.height for low, top in grid.y]
    assert heights == pytest.approx([200] * count)


def test_each_mark_stands_in_its_tasks_panel() -> None:
    tasks = [f"task {number}" for number in range(12)]
    rows = [
        {
            "recommender": name,
            "label": task,
            "family": family,
            "activity": activity,
            "mean": place / 20,
            "low": 0.0,
            "high": 1.0,
            "n": 9,
        }
        for place, task in enumerate(tasks)
        for name, family in (("SIGMA", "ours"), ("popularity", "baseline"))
        for activity in ("low", "high")
    ]
    frame = pd.DataFrame(rows)
    for figure in (whiskers(frame[frame["activity"] == "low"]), by_activity(frame, "HR@10", ["SIGMA", "popularity"])):
        layout = figure.to_dict()["layout"]
        assert [note["text"].startswith(f"<b>task {number}<") for number, note in enumerate(layout["annotations"])] == [True] * 12
        for trace in figure.data:
            number = int(trace.xaxis[1:] or 1)  # plotly writes "x" for the first
            assert layout[f"xaxis{number if number > 1 else ''}"]["anchor"] == trace.yaxis == ("y" if number <= 6 else "y2")
            assert (trace.x if trace.mode == "markers" else trace.y)[0] == pytest.approx((number - 1) / 20)
