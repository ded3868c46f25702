"""How long the app takes from the command to its first page and its first list, and how much memory it then holds.

- Measured as a user meets it: `streamlit run app.py` in a process of its own, a browser (Debian's Chromium, driven by Playwright), the
  clock running from the start of the process. Where there is no browser, only `health_s` and `rss_mb` are measured, the others are null.
- One start a row; `--repeats` is not used here, since a second start finds everything in the system's file cache.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from backend.errors import RequestError
from backend.progress import CancelToken, Progress, Report
from backend.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 300.0
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_RESULT = "[class*='st-key-open-list-'] button"  # the title of a result card


def rows(workspace: str | None, repeats: int, report: Report, cancel: CancelToken) -> list[dict[str, Any]]:
    """Start the app once.

    Returns:
        one row: health_s · first_page_s · first_recommendation_s · rss_mb.
    """
    del repeats
    opened = Workspace.open(workspace)
    opened.fresh_stage("model")
    if not (ROOT / "app.py").is_file():
        raise RequestError("the app is not beside this package", str(ROOT), "run this from a checkout of the project")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "SIGMASCOPE_WORKSPACE": str(opened.path)}
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.address", "127.0.0.1"]
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_for_health(address, process, cancel)
        row: dict[str, Any] = {
            "health_s": round(time.perf_counter() - began, 2),
            "first_page_s": None,
            "first_recommendation_s": None,
        }
        report(Progress("startup", 1, 3, "the server answers"))
        row |= _visit(address, began, report)
        row["rss_mb"] = _memory_mb(process.pid)
        report(Progress("startup", 3, 3, "measured"))
        return [row]
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait_for_health(address: str, process: subprocess.Popen[bytes], cancel: CancelToken) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        cancel.check()
        if process.poll() is not None:
            raise RequestError("the app ended before it answered", "app.py", "run `streamlit run app.py` to see why")
        try:
            urllib.request.urlopen(f"{address}/_stcore/health", timeout=1).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise RequestError(f"the app did not answer in {PATIENCE_S:.0f} s", "app.py", "run `streamlit run app.py` to see why")


def _visit(address: str, began: float, report: Report) -> dict[str, float]:
    """Open the first page, then ask for a list; nothing where there is no browser."""
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        report(Progress("startup", 2, 3, "no chromium on this machine: the pages are not timed"))
        return {}
    from playwright.sync_api import Error, sync_playwright

    patience = 1000 * PATIENCE_S
    try:
        with sync_playwright() as driver:
            window = driver.chromium.launch(executable_path=browser, args=_FLAGS)
            page = window.new_page(viewport={"width": 1280, "height": 900})
            page.goto(address, timeout=patience)
            page.get_by_role("heading", name="Overview").wait_for(timeout=patience)
            first_page = round(time.perf_counter() - began, 2)
            report(Progress("startup", 2, 3, "the first page is there"))
            page.goto(f"{address}/recommend?q=something+for+breakfast", timeout=patience)
            page.locator(_RESULT).first.wait_for(timeout=patience)
            first_list = round(time.perf_counter() - began, 2)
            window.close()
    except Error as error:
        reason = str(error).splitlines()[0]
        raise RequestError(
            f"the browser did not get through the app: {reason}", address, "open the app by hand to see why"
        ) from error
    return {"first_page_s": first_page, "first_recommendation_s": first_list}


def _memory_mb(pid: int) -> int:
    """Resident memory of a process and its children, in MiB."""
    import psutil

    main = psutil.Process(pid)
    return sum(each.memory_info().rss for each in (main, *main.children(recursive=True))) >> 20
