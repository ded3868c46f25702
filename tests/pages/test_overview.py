"""The Overview page: complete, incomplete, stale, absent."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from backend.errors import WorkspaceError
from backend.workbench import Workbench
from pages.components import state
from tests.pages.conftest import ROOT, Opened, html_of


def test_complete(opened: Opened) -> None:
    app = opened()
    assert not app.exception
    drawn = html_of(app)
    assert "over 3,600 items and 24 shoppers" in drawn
    assert "ahead on 4, level on 1 of 5" in drawn
    for step in ("Data", "Grounding", "Tokens", "Training", "Generation", "Evaluation"):
        assert f"<b>{step}</b>" in drawn
    assert "own frequency" in drawn  # the best baseline is named
    assert "[0.682, 0.722]" in drawn  # with its interval
    assert not app.error
    assert not app.warning


def test_a_missing_model_names_its_command(opened: Opened) -> None:
    app = opened(without=("model", "evaluation"))
    assert not app.exception
    assert any("python -m backend train --workspace" in str(code.value) for code in app.code)
    assert any("python -m backend evaluate --workspace" in str(code.value) for code in app.code)
    assert "incomplete" in html_of(app)


def test_a_stale_stage_is_said(opened: Opened) -> None:
    app = opened(stale=("tokens",))
    assert any("tokens" in str(warning.value) and "stale" in str(warning.value) for warning in app.warning)
    assert "partly stale" in html_of(app)


def test_other_metrics(opened: Opened) -> None:
    app = opened()
    app.segmented_control[0].set_value("NDCG@10").run()
    assert not app.exception
    assert "0.281" in html_of(app)


def test_no_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(cls: type, path: object = None) -> Workbench:
        raise WorkspaceError("no such workspace", "<b>here</b>", "make one")

    state.workbench.clear()
    monkeypatch.setattr(Workbench, "open", classmethod(absent))
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    assert not app.exception
    assert "no such workspace" in str(app.error[0].value)
    assert "<b>here" not in str(app.error[0].value).replace("\\<", "")
    assert any("python -m backend build" in str(code.value) for code in app.code)


def test_the_hint_is_put_away(opened: Opened) -> None:
    app = opened()
    assert "New here?" in html_of(app)
    app.button("hint-Overview").click().run()
    assert "New here?" not in html_of(app)
