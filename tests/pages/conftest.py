"""The app over the invented workbench, run by Streamlit's own test driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest

from backend.workbench import Workbench
from pages.components import state
from tests.pages.fake import FakeWorkbench, fake_workspace

ROOT = Path(__file__).resolve().parents[2]
Opened = Callable[..., AppTest]


@pytest.fixture(autouse=True)
def routed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test driver treats every run as the first of a fresh server, which makes Streamlit run the files of `pages` by themselves;
    here the router has run before. (The browser test begins with a page's own link on a fresh server.)"""
    own = PagesManager.__init__

    def init(self: PagesManager, *args: Any, **kwargs: Any) -> None:
        own(self, *args, **kwargs)
        PagesManager.uses_pages_directory = False

    monkeypatch.setattr(PagesManager, "__init__", init)


@pytest.fixture(autouse=True)
def own_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a database of the test's own; the user's stays untouched."""
    url = f"sqlite:///{tmp_path / 'kept.db'}"
    monkeypatch.setenv("SIGMASCOPE_DATABASE", url)
    state._store.clear()
    return url


@pytest.fixture
def bench() -> FakeWorkbench:
    return FakeWorkbench()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, bench: FakeWorkbench) -> Iterator[Opened]:
    """Open a page: `opened("recommend", q="pizza")`, `opened("overview", without=("model",))`."""
    state.workbench.clear()

    def start(page: str = "overview", without: tuple[str, ...] = (), stale: tuple[str, ...] = (), **params: str) -> AppTest:
        if without or stale:
            bench.workspace = fake_workspace(without=without, stale=stale)
        monkeypatch.setattr(Workbench, "open", classmethod(lambda cls, path=None: bench))
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        if page == "overview":
            return app.run()
        app.run()
        app.switch_page(f"pages/{page}.py")
        for name, value in params.items():
            app.query_params[name] = value
        return app.run()

    yield start
    state.workbench.clear()


def html_of(app: AppTest) -> str:
    """All drawn HTML of a page."""
    return "\n".join(str(element.value) for element in app.html)
