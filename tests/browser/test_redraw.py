"""The measurement of the Fusion page's redraw measures: its parts are the whole, and a page that stays as it is stops it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.plots import settled
from tests.browser.redraw import CHART, measure, move


def test_a_moved_slider_is_timed(browser: Any, invented: str) -> None:
    (row,) = measure(invented, browser, ("Popularity",), count=2)
    assert row["n"] == 2
    assert row["lists"] > 0
    assert min(row["by_step_ms"].values()) >= 0
    assert row["by_step_ms"]["server"] > 0
    assert sum(row["by_step_ms"].values()) == pytest.approx(row["p50_ms"], abs=0.3)  # of two, the median is the mean
    assert row["p50_ms"] <= row["p95_ms"]
    assert 0 < row["chart_p50_ms"] <= row["p50_ms"], "the chart stands before the page does"


def test_a_slider_is_moved_to_its_end_and_no_further(browser: Any, invented: str) -> None:
    (row,) = measure(invented, browser, ("Diversity",), count=40)
    assert row["n"] == 15  # from 0 to 0.9 in steps of 0.05, three of them to warm up


def test_a_page_that_stays_as_it_is_is_no_redraw(page: Any, invented: str) -> None:
    page.goto(f"{invented}/fusion", timeout=120_000)
    page.locator(CHART).wait_for(timeout=120_000)
    settled(page)
    page.evaluate("() => { window.redraw = {began: 1, sent: 2, heard: 3, changed: 4}; }")
    with pytest.raises(RuntimeError, match="as it was"):
        move(page, "Shift")
