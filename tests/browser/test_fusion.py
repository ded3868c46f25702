"""One walk through the Fusion page in a real browser, over the invented workbench: move a slider, see the figures change, save a preset."""

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

from backend.storage import open_store

ROOT = Path(__file__).resolve().parents[2]
BROWSER = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright for Python is not installed")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The app over the invented workbench on a free port: its address, and the URL of its database."""
    database = f"sqlite:///{tmp_path_factory.mktemp('kept') / 'kept.db'}"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    app = str(ROOT / "tests" / "pages" / "fake_app.py")
    command = [sys.executable, "-m", "streamlit", "run", app, "--server.port", str(port), "--server.address", "127.0.0.1"]
    environment = {**os.environ, "SIGMASCOPE_DATABASE": database}
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
        yield url, database
    finally:
        process.terminate()
        process.wait(timeout=20)


def test_a_slider_moves_the_figures_and_a_preset_is_kept(served: tuple[str, str]) -> None:
    address, database = served
    with playwright.sync_playwright() as driver:
        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = driver.chromium.launch(executable_path=BROWSER, args=arguments)
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 1000})
            page.goto(f"{address}/fusion?wv=0.2", timeout=120_000)  # a link: the value exponent is 0.2
            page.locator(".sg-tag", has_text="value 0 → 0.200").wait_for(timeout=120_000)
            chart = page.locator(".st-key-multiples .js-plotly-plot")
            chart.wait_for(timeout=60_000)
            before = chart.inner_text()
            slider = page.get_by_role("slider", name="Popularity")
            slider.focus()
            for _ in range(20):  # twenty steps of 0.05 to the left
                slider.press("ArrowLeft")
            page.locator(".sg-tag", has_text="popularity 1.00 → 0").wait_for(timeout=60_000)
            page.wait_for_function(
                "old => document.querySelector('.st-key-multiples .js-plotly-plot').innerText !== old", arg=before
            )
            page.wait_for_function("() => location.search.includes('wpop=0')")
            page.get_by_role("button", name="Presets").click()
            name = page.get_by_role("textbox", name="Name")
            name.fill("dear and new")
            name.press("Enter")
            page.get_by_role("button", name="Save").click()
            page.get_by_role("button", name="Load", exact=True).wait_for(timeout=60_000)  # there once something is kept
            page.keyboard.press("Escape")
            page.get_by_text("Why did this example move?").wait_for(timeout=60_000)
            page.get_by_role("button", name="Report on test").click()
            page.get_by_text("reported here").wait_for(timeout=60_000)
            assert page.locator("[data-testid='stException']").count() == 0
        finally:
            browser.close()
    kept = open_store(database).presets("fusion")
    assert kept["name"].tolist() == ["dear and new"]
    assert '"value_weight": 0.2' in kept["settings"].iat[0]
