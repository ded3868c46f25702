"""One walk through the real app in a real browser: type an instruction, read the results. Skips where there is no browser or demo."""

from __future__ import annotations

from typing import Any

import pytest

from backend.workspace import DEMO

pytestmark = pytest.mark.skipif(not (DEMO / "model" / "manifest.json").is_file(), reason="the demo workspace is not there")


def test_an_instruction_gives_results(page: Any, fresh: str) -> None:
    # a page's own link is the first address that the fresh server gets: it must go through the router all the same
    page.goto(f"{fresh}/recommend?q=milk", timeout=120_000)
    page.get_by_role("heading", name="Recommend").wait_for(timeout=60_000)
    page.get_by_role("link", name="Overview", exact=True).click()
    page.locator(".sg-pipe").wait_for(timeout=60_000)
    page.get_by_role("link", name="Recommend", exact=True).click()
    page.get_by_role("heading", name="Recommend").wait_for(timeout=60_000)
    titles = page.locator("[class*='st-key-open-list-'] button")
    titles.first.wait_for(timeout=120_000)
    box = page.get_by_role("textbox", name="Instruction")
    box.fill("I'm looking for something in frozen pizzas under $8")
    box.press("Enter")
    page.locator(".sg-tag", has_text="price ≤ $8.00").wait_for(timeout=60_000)
    page.locator(".sg-step.done").nth(2).wait_for(timeout=60_000)
    titles.first.wait_for(timeout=60_000)
    assert titles.count() == 10
    cards = page.locator("[class*='st-key-card-list-']").all_inner_texts()
    prices = [float(line.removeprefix("$")) for card in cards for line in card.split() if line.startswith("$")]
    assert len(prices) == 10
    assert max(prices) <= 8
    assert "q=" in page.url  # the link holds the state
