"""The main path of the Latent space page in a real browser, on the shipped demo: find an item, fly to it, see its neighbours, choose a
region with the box, take the table home. Skips where there is no browser, no demo or no maps in it."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest

from backend.grounding.shelf import FOLDER
from backend.workspace import DEMO
from tests.browser.test_recommend import BROWSER, address, playwright

__all__ = ["address"]
pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine"),
    pytest.mark.skipif(not list((DEMO / FOLDER).glob("map-*.parquet")), reason="the demo ships no maps"),
]
PLACE = """([map, index]) => {
  const plot = document.querySelectorAll('.js-plotly-plot')[map], box = plot.getBoundingClientRect(), axes = plot._fullLayout;
  const points = plot._fullData[0];
  return [box.left + axes.xaxis._offset + axes.xaxis.d2p(points.x[index]), box.top + axes.yaxis._offset + axes.yaxis.d2p(points.y[index])];
}"""
LIT = "() => [...document.querySelectorAll('.js-plotly-plot')].slice(0, 2).map(plot => (plot._fullData[0].selectedpoints || []).length)"


def test_find_look_choose_take(address: str) -> None:
    with playwright.sync_playwright() as driver:
        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = driver.chromium.launch(executable_path=BROWSER, args=arguments)
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 1100}, accept_downloads=True)
            page.goto(f"{address}/latent_space", timeout=120_000)
            maps = page.locator(".js-plotly-plot")
            maps.nth(1).wait_for(timeout=120_000)

            def settled() -> None:
                page.wait_for_timeout(400)
                page.locator("[data-test-script-state='notRunning']").first.wait_for(timeout=60_000)
                page.wait_for_timeout(200)

            # find an item and fly to it: both maps now show little around it
            box = page.get_by_role("textbox", name="Find an item")
            box.fill("frozen pizza")
            box.press("Enter")
            found = page.locator("[class*='st-key-space-found'] button")
            found.first.wait_for(timeout=60_000)
            title = found.first.inner_text()
            found.first.click()
            near = page.locator("[class*='st-key-open-near-text-'] button")
            near.first.wait_for(timeout=60_000)
            settled()
            assert near.count() == 10
            assert page.locator(".sg-title", has_text=title.rstrip("…")).count() == 1
            assert "item=" in page.url
            reach = page.evaluate(
                "() => { const r = document.querySelector('.js-plotly-plot')._fullLayout.xaxis.range; return r[1] - r[0]; }"
            )
            assert reach < 0.5 * 65_535

            # a click on another point (a neighbour, which is near by) brings it into focus
            before = page.url
            neighbour = page.evaluate(
                "() => { const plot = document.querySelector('.js-plotly-plot'), f = plot._fullLayout, p = plot._fullData[0];"
                " for (let i = 0; i < p.x.length; i++) { const x = f.xaxis.d2p(p.x[i]), y = f.yaxis.d2p(p.y[i]);"
                " if (x > 60 && x < f.xaxis._length - 60 && y > 60 && y < f.yaxis._length - 60) return i; } return -1; }"
            )
            x, y = page.evaluate(PLACE, [0, neighbour])
            page.mouse.move(x, y)
            page.wait_for_timeout(300)
            page.mouse.click(x, y)
            page.wait_for_url(lambda url: url != before and "item=" in url, timeout=60_000)
            settled()

            # a box over the left map chooses items; the right map lights up the same ones
            page.get_by_role("radio", name="box").or_(page.get_by_role("button", name="box")).first.click()
            settled()
            corner = maps.first.bounding_box()
            assert corner is not None
            page.mouse.move(corner["x"] + 40, corner["y"] + 40)
            page.mouse.down()
            page.mouse.move(corner["x"] + 200, corner["y"] + 200, steps=4)
            page.mouse.move(corner["x"] + corner["width"] - 40, corner["y"] + corner["height"] - 40, steps=4)
            page.mouse.up()
            tab = page.get_by_role("tab").filter(has_text="Chosen items").filter(has_not_text="(0)")
            tab.wait_for(timeout=60_000)
            settled()
            tab.click()
            lit = page.evaluate(LIT)
            assert lit[0] == lit[1] > 0
            with page.expect_download() as download:
                page.locator(".st-key-space-download button").click()
            table = pd.read_csv(io.BytesIO(Path(download.value.path()).read_bytes()))
            assert len(table) == lit[0]
            assert {"item_id", "title", "price"} <= set(table.columns)
            assert page.locator("[data-testid='stException']").count() == 0
        finally:
            browser.close()
