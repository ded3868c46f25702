"""What the browser tests share: the app over the shipped demo, a fresh one for each file, and a page to look at it with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.server import BROWSER, ROOT, chromium, serve

os.environ.setdefault("STREAMLIT_BROWSER_GATHER_USAGE_STATS", "false")
LONG = 60_000  # milliseconds


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that open a page say so and are skipped where there is no browser."""
    skip = pytest.mark.skip(reason="no chromium on this machine")
    for item in items:
        if BROWSER is None and "page" in getattr(item, "fixturenames", ()):
            item.add_marker(skip)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The app as a user starts it, over the shipped demo."""
    with serve() as url:
        yield url


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of the database that the invented app keeps things in."""
    return f"sqlite:///{tmp_path_factory.mktemp('kept') / 'kept.db'}"


@pytest.fixture(scope="module")
def invented(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app over the invented workbench."""
    cache = str(tmp_path_factory.mktemp("cache"))
    app = str(ROOT / "tests" / "pages" / "fake_app.py")
    with serve(app=app, SIGMASCOPE_DATABASE=database, SIGMASCOPE_CACHE=cache) as url:
        yield url


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app over 110,000 invented items."""
    cache: Path = tmp_path_factory.mktemp("cache")
    with serve(180, app=str(ROOT / "tests" / "pages" / "fake_large_app.py"), SIGMASCOPE_CACHE=str(cache)) as url:
        yield url


@pytest.fixture
def page() -> Iterator[Any]:
    """A page of 1280 × 1100 pixels; an exception that it shows at the end fails the test."""
    pytest.importorskip("playwright.sync_api", reason="Playwright for Python is not installed")
    with chromium() as browser:
        opened = browser.new_page(viewport={"width": 1280, "height": 1100}, accept_downloads=True)
        opened.set_default_timeout(LONG)
        yield opened
        assert opened.locator("[data-testid='stException']").count() == 0
