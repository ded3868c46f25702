"""One walk through the real app in a real browser: type an instruction, read the results. Skips where there is no browser or demo."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.workspace import DEMO

ROOT = Path(__file__).resolve().parents[2]
BROWSER = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright for Python is not installed")
pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine"),
    pytest.mark.skipif(not (DEMO / "model" / "manifest.json").is_file(), reason="the demo workspace is not there"),
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The app, started as a user starts it, on a free port; the folder of the workspace is the shipped demo."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.address", "127.0.0.1"]
    environment = {name: value for name, value in os.environ.items() if name != "SIGMASCOPE_WORKSPACE"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).close()
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.5)
        else:
            pytest.fail("the app did not start in 60 s")
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)


def test_an_instruction_gives_results(address: str) -> None:
    with playwright.sync_playwright() as driver:
        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = driver.chromium.launch(executable_path=BROWSER, args=arguments)
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            # a page's own link is the first address that the fresh server gets: it must go through the router all the same
            page.goto(f"{address}/recommend?q=milk", timeout=120_000)
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
            assert page.locator("[data-testid='stException']").count() == 0
        finally:
            browser.close()
