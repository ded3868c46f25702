"""The main path of the Latent space page in a real browser, on the shipped demo: find an item, fly to it, see its neighbours, choose a
region with the box, take the table home; and the same page over 110,000 items. Skips where there is no browser, no demo or no maps in it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from backend.grounding.shelf import FOLDER
from backend.workspace import DEMO
from tests.browser.plots import click, place, settled

LIT = "() => [...document.querySelectorAll('.js-plotly-plot')].slice(0, 2).map(plot => (plot._fullData[0].selectedpoints || []).length)"
REACH = "() => { const r = document.querySelector('.js-plotly-plot')._fullLayout.xaxis.range; return r[1] - r[0]; }"
DRAWN = "() => [...document.querySelectorAll('.js-plotly-plot')].map(plot => plot._fullData[0].x.length)"


@pytest.mark.skipif(not list((DEMO / FOLDER).glob("map-*.parquet")), reason="the demo ships no maps")
def test_find_look_choose_take(page: Any, address: str) -> None:
    page.goto(f"{address}/latent_space", timeout=120_000)
    maps = page.locator(".js-plotly-plot")
    maps.nth(1).wait_for(timeout=120_000)

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
    settled(page)
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
    click(page, ".js-plotly-plot", neighbour)
    page.wait_for_url(lambda url: url != before and "item=" in url, timeout=60_000)
    settled(page)

    # a box over the left map chooses items; the right map lights up the same ones
    page.get_by_role("radio", name="box").or_(page.get_by_role("button", name="box")).first.click()
    settled(page)
    corner = maps.first.bounding_box()
    assert corner is not None
    page.mouse.move(corner["x"] + 40, corner["y"] + 40)
    page.mouse.down()
    page.mouse.move(corner["x"] + 200, corner["y"] + 200, steps=4)
    page.mouse.move(corner["x"] + corner["width"] - 40, corner["y"] + corner["height"] - 40, steps=4)
    page.mouse.up()
    tab = page.get_by_role("tab").filter(has_text="Chosen items").filter(has_not_text="(0)")
    tab.wait_for(timeout=60_000)
    settled(page)
    tab.click()
    lit = page.evaluate(LIT)
    assert lit[0] == lit[1] > 0
    settled(page)
    with page.expect_download() as download:
        page.locator(".st-key-space-download button").click()
    table = pd.read_csv(io.BytesIO(Path(download.value.path()).read_bytes()))
    assert len(table) == lit[0]
    assert {"item_id", "title", "price"} <= set(table.columns)


def test_a_hundred_thousand_points(page: Any, large: str) -> None:
    """What travels stays small, a sample says so, and one can still zoom, click and choose."""
    sent: list[int] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: sent.append(len(frame))))
    page.goto(f"{large}/latent_space", timeout=120_000)
    page.locator(".js-plotly-plot").nth(1).wait_for(timeout=120_000)
    settled(page)
    assert page.get_by_text("showing 100,000 of 110,000").count() == 2
    assert page.evaluate(DRAWN) == [100_000, 100_000]
    assert sum(sent) <= 5e6  # all of the page, not the maps alone
    whole = page.evaluate(REACH)
    x, y = place(page, ".js-plotly-plot", 50_000)
    page.mouse.move(x, y)
    sent.clear()
    page.mouse.wheel(0, -400)
    page.wait_for_function(f"whole => ({REACH})() < 0.95 * whole", arg=whole)
    assert sum(sent) < 10_000  # zooming is the browser's alone
    click(page, ".js-plotly-plot", 50_000)
    page.wait_for_url("**item=i*")
    page.locator("[class*='st-key-open-near-text-'] button").first.wait_for()
    settled(page)
    assert page.locator("[class*='st-key-open-near-text-'] button").count() == 10
    assert sum(sent) <= 5e6
