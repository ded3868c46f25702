"""The Fusion page in a real browser, over the invented workbench: keys and mouse on a slider, a click in the trade-off, a preset, the report,
two windows at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backend.storage import open_store
from tests.browser.plots import click, settled

POPULARITY = ".sg-tag:has-text('popularity')"
DIVERSITY = ".sg-tag:has-text('diversity 0 →')"
READ = "() => document.querySelector('.sg-multiples').innerText"


def test_a_slider_moves_the_figures_and_a_preset_is_kept(page: Any, invented: str, database: str) -> None:
    page.goto(f"{invented}/fusion?wv=0.2", timeout=120_000)  # a link: the value exponent is 0.2
    page.locator(".sg-tag", has_text="value 0 → 0.200").wait_for(timeout=120_000)
    page.locator(".sg-multiples").wait_for()
    before = page.evaluate(READ)
    slider = page.get_by_role("slider", name="Popularity")
    slider.focus()
    for _ in range(20):  # twenty steps of 0.05 to the left
        slider.press("ArrowLeft")
    page.locator(".sg-tag", has_text="popularity 1.00 → 0").wait_for()
    page.wait_for_function(f"old => ({READ})() !== old", arg=before)
    page.wait_for_function("() => location.search.includes('wpop=0')")
    page.get_by_role("button", name="Presets").click()
    name = page.get_by_role("textbox", name="Name")
    name.fill("dear and new")
    name.press("Enter")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Load", exact=True).wait_for()  # there once something is kept
    page.keyboard.press("Escape")
    page.get_by_text("Why did this example move?").click()  # made when it is opened
    page.get_by_text("Task of the example").wait_for()
    page.get_by_role("button", name="Report on test").click()
    page.get_by_text("reported here").wait_for()
    kept = open_store(database).presets("fusion")
    assert kept["name"].tolist() == ["dear and new"]
    assert '"value_weight": 0.2' in kept["settings"].iat[0]


def test_a_dragged_slider_and_a_click_in_the_trade_off(page: Any, invented: str) -> None:
    page.goto(f"{invented}/fusion", timeout=120_000)
    page.locator(".sg-multiples").wait_for(timeout=120_000)
    settled(page)
    before = page.evaluate(READ)
    thumb = page.get_by_role("slider", name="Popularity")
    thumb.scroll_into_view_if_needed()
    box = thumb.bounding_box()
    y = box["y"] + box["height"] / 2  # the middle of the thumb is where its hidden input begins
    page.mouse.move(box["x"], y)
    page.mouse.down()
    page.mouse.move(box["x"] - 45, y, steps=8)
    page.mouse.up()
    page.locator(POPULARITY).wait_for()
    page.wait_for_function(f"old => ({READ})() !== old", arg=before)
    page.wait_for_function("() => location.search.includes('wpop=')")
    assert float(page.url.split("wpop=")[1].split("&")[0]) < 0.8
    settled(page)
    plot = "[class*='st-key-tradeoff-']"
    page.locator(plot).scroll_into_view_if_needed()
    click(page, plot, 0, "reference")  # where one came from
    page.locator(POPULARITY).wait_for(state="detached")
    page.wait_for_function("() => !location.search.includes('wpop=')")
    assert page.get_by_text("the reference itself").count() == 1
    settled(page)
    page.go_back()  # the setting that was dragged to
    page.locator(POPULARITY).wait_for()


def test_two_windows_do_not_disturb_each_other(window: Callable[[], Any], invented: str) -> None:
    one, two = window(), window()
    for page in (one, two):
        page.goto(f"{invented}/fusion", timeout=120_000)
        page.locator(".sg-multiples").wait_for(timeout=120_000)
        settled(page)
    before = two.evaluate(READ)
    thumb = one.get_by_role("slider", name="Popularity")
    for _ in range(20):
        thumb.press("ArrowLeft")
    one.locator(POPULARITY).wait_for()
    two.get_by_role("slider", name="Diversity").press("ArrowRight")
    two.locator(DIVERSITY).wait_for()
    two.get_by_role("button", name="To reference").click()
    two.locator(DIVERSITY).wait_for(state="detached")
    settled(one)
    settled(two)
    assert two.evaluate(READ) == before
    assert two.locator(POPULARITY).count() == one.locator(DIVERSITY).count() == 0
    assert one.locator(POPULARITY).count() == 1
    assert "wpop=" in one.url
    assert "wpop=" not in two.url
