"""One walk through the Evidence page in a real browser: sections, back and forward, a reloaded link, a download, a phone."""

from __future__ import annotations

import csv
import re
from typing import Any

import pytest

from backend.workspace import DEMO
from tests.browser.conftest import LONG
from tests.browser.plots import settled

pytestmark = pytest.mark.skipif(not (DEMO / "evaluation" / "manifest.json").is_file(), reason="the demo was not evaluated")


def test_the_main_path(page: Any, address: str) -> None:
    page.goto(f"{address}/evidence", timeout=2 * LONG)
    shown = lambda title: page.locator("b", has_text=title).first.wait_for(timeout=LONG)  # noqa: E731
    shown("HR@10, every recommender on every task")
    page.locator(".js-plotly-plot .scatterlayer").first.wait_for(timeout=LONG)
    assert page.locator("code", has_text="python -m backend evaluate").count() >= 1
    assert page.locator(".sg-tag", has_text="commit").count() >= 1

    page.get_by_role("radio", name="Differences").click()
    shown("Sigmascope minus each baseline: HR@10")
    page.wait_for_url(re.compile("section=Differences"))
    page.get_by_role("radio", name="Ablations").click()
    shown("One change at a time")
    page.wait_for_url(re.compile("section=Ablations"))
    page.go_back()
    shown("Sigmascope minus each baseline: HR@10")
    page.go_forward()
    shown("One change at a time")

    page.get_by_text("Published figures").first.click()
    shown("What taking a part away costs")
    page.reload()  # the link restores the page
    shown("What taking a part away costs")
    assert page.get_by_role("radio", name="Ablations").get_attribute("aria-checked") == "true"

    settled(page)
    with page.expect_download(timeout=LONG) as waiting:
        page.get_by_role("button", name="CSV").first.click()
    with open(waiting.value.path(), newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {"against", "label", "diff", "low", "high", "n"} <= set(rows[0])
    assert "without APF" in {row["against"] for row in rows}

    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390  # wide charts scroll inside their frame
