"""What the browser tests share: one browser, the app over the shipped demo and over the invented workbench, and a fresh window for each test.

Servers and browser live as long as this folder's tests and no longer: Playwright's loop would stand in the way of other tests. A test has a window
(cookies, storage, session) of its own; what it keeps in the database it counts from what was there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
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
        if BROWSER is None and "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(skip)


@pytest.fixture(scope="package")
def address() -> Iterator[str]:
    """The app as a user starts it, over the shipped demo."""
    with serve() as url:
        yield url


@pytest.fixture
def fresh() -> Iterator[str]:
    """The same, but nobody has looked at any page of it."""
    with serve() as url:
        yield url


@pytest.fixture(scope="package")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of the database that the invented app keeps things in."""
    return f"sqlite:///{tmp_path_factory.mktemp('kept') / 'kept.db'}"


@pytest.fixture(scope="package")
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


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """Debian's Chromium."""
    pytest.importorskip("playwright.sync_api", reason="Playwright for Python is not installed")
    with chromium() as opened:
        yield opened


@pytest.fixture
def window(browser: Any) -> Iterator[Callable[[], Any]]:
    """Opens pages of 1280 × 1100 pixels, each in a window that shares nothing with another; an exception that one shows at the end fails the test."""
    contexts: list[Any] = []

    def opened() -> Any:
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 1100}, accept_downloads=True))
        page = contexts[-1].new_page()
        page.set_default_timeout(LONG)
        return page

    try:
        yield opened
        for context in contexts:
            for page in context.pages:
                assert page.locator("[data-testid='stException']").count() == 0
    finally:
        for context in contexts:
            context.close()


@pytest.fixture
def page(window: Callable[[], Any]) -> Any:
    """One page in a window of its own."""
    return window()
