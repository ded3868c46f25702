"""The main path of the Judge page in a real browser, over the invented workbench: keys vote, a vote is taken back, the export holds no id."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from backend.storage import open_store
from tests.browser.plots import settled


def test_keys_vote_and_the_export_names_nobody(page: Any, invented: str, database: str) -> None:
    page.goto(f"{invented}/judge?user=114", timeout=120_000)
    page.get_by_role("button", name="The left one").wait_for(timeout=120_000)
    before = len(open_store(database).votes())
    page.wait_for_timeout(1000)
    page.keyboard.press("ArrowLeft")
    page.get_by_text("Your last vote: the left one").wait_for()
    page.wait_for_timeout(1000)
    page.keyboard.press("Space")
    page.get_by_text("Your last vote: neither").wait_for()
    page.wait_for_timeout(1000)
    page.get_by_role("button", name="The right one").click()
    page.get_by_text("Your last vote: the right one").wait_for()
    page.wait_for_timeout(1000)
    page.keyboard.press("Space")  # the button that was clicked is gone: one vote, for neither
    page.get_by_text("Your last vote: neither").wait_for()
    assert len(open_store(database).votes()) == before + 4
    page.keyboard.press("u")
    page.get_by_text("Your last vote: the right one").wait_for()
    assert len(open_store(database).votes()) == before + 3
    settled(page)  # while a run replaces the button, Streamlit drops a click on it
    with page.expect_download() as got:
        page.get_by_role("button", name="Export").click()
    lines = [json.loads(line) for line in Path(got.value.path()).read_text("utf-8").splitlines()]
    assert len(lines) == before + 3
    assert all("114" not in json.dumps(line["context"]) and len(line["shopper"]) == 32 for line in lines)


def test_views_that_ask_nobody_do_not_forget_whom_the_others_ask(page: Any, invented: str) -> None:
    """Away for two views: the household and the text are gone from the page in between, and come back as they were."""
    page.goto(f"{invented}/judge?view=Candidates&user=114&q=my+weekly+shop", timeout=120_000)
    asks = page.get_by_role("textbox", name="It asks")
    asks.wait_for(timeout=120_000)
    before = page.get_by_role("combobox").first.input_value()
    assert before.startswith("114")
    for view in ("Arms", "Cost", "Candidates"):
        page.get_by_role("radio", name=view).click()
        page.wait_for_url(f"**view={view}**")
        settled(page)
    assert (page.get_by_role("combobox").first.input_value(), asks.input_value()) == (before, "my weekly shop")
    page.get_by_role("radio", name="Cost").click()
    page.wait_for_url("**view=Cost**")
    settled(page)
    assert "user=114" in page.url
