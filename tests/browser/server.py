"""The app as a user starts it, on a free port, and Debian's Chromium to look at it with."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BROWSER = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@contextmanager
def serve(patience: float = 60.0, app: str = "app.py", **environment: str) -> Iterator[str]:
    """The address of a fresh server over the shipped demo; what it keeps goes into a throw-away database.

    Args:
        app: another script, such as the one over the invented workbench.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", app, "--server.port", str(port), "--server.address", "127.0.0.1"]
    own = {name: value for name, value in os.environ.items() if name != "SIGMASCOPE_WORKSPACE"}
    with tempfile.TemporaryDirectory(prefix="sigmascope-") as folder:
        own |= {"SIGMASCOPE_DATABASE": f"sqlite:///{folder}/kept.sqlite", **environment}
        process = subprocess.Popen(command, cwd=ROOT, env=own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            url, until = f"http://127.0.0.1:{port}", time.monotonic() + patience
            while True:
                try:
                    urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).close()
                    break
                except (urllib.error.URLError, OSError):
                    if time.monotonic() > until or process.poll() is not None:
                        raise RuntimeError(f"the app did not start in {patience:.0f} s") from None
                    time.sleep(0.3)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=20)


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()
