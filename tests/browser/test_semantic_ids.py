"""The main path of the Semantic IDs page in a real browser: open a node by a click, edit a title, reload the link."""

from __future__ import annotations

from typing import Any

import pytest

from backend.workspace import DEMO

pytestmark = pytest.mark.skipif(not (DEMO / "model" / "manifest.json").is_file(), reason="the demo workspace is not there")


def test_a_click_opens_a_node_and_the_link_keeps_it(page: Any, address: str) -> None:
    page.goto(f"{address}/semantic_ids?kind=treemap", timeout=120_000)
    page.locator(".sg-strip").wait_for(timeout=120_000)
    page.locator("g.slice path.surface").nth(1).click(force=True, position={"x": 8, "y": 8})
    page.locator(".st-key-sid-lineage button", has_text="all items").wait_for(timeout=60_000)
    page.wait_for_url("**node=a*", timeout=30_000)
    node = page.url.split("node=")[1].split("&")[0]
    assert page.locator(".st-key-sid-node .sg-code").first.inner_text() == node.split(".")[0]
    box = page.get_by_role("textbox", name="Title")
    box.fill("frozen pepperoni pizza")
    box.press("Enter")
    page.get_by_role("status").filter(has_text="moves").wait_for(timeout=90_000)
    assert page.locator(".sg-moved").count() >= 1
    page.reload()
    page.locator(".st-key-sid-lineage button", has_text="all items").wait_for(timeout=120_000)
    assert f"node={node}" in page.url
