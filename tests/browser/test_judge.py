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
