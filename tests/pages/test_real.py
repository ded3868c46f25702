"""The pages over a workspace that the project's own commands made (the tiny shop), with the real generator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.components import state
from tests.pages.conftest import ROOT, html_of


@pytest.fixture
def app(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    monkeypatch.setenv(state.WORKSPACE_VARIABLE, str(trained))
    state.workbench.clear()
    yield AppTest.from_file(str(ROOT / "app.py"), default_timeout=300)
    state.workbench.clear()


def test_overview_and_recommend(app: AppTest) -> None:
    app.run()
    assert not app.exception
    assert not app.error
    assert "not evaluated yet" in html_of(app)
    app.switch_page("pages/recommend.py").run()
    assert not app.exception
    assert not app.error, app.error[0].value
    assert html_of(app).count('class="sg-step done"') == 3
    titles = [button.label for button in app.button if str(button.key).startswith("open-list-")]
    assert titles
    app.text_input("instruction").set_value("something new under $5").run()
    assert not app.exception
    drawn = html_of(app)
    assert "price ≤ $5.00" in drawn
    result = app.session_state["answer"][1]
    assert (result.items["price"] <= 5).all()
    assert json.loads(result.trace.to_json())["request"]["reading"]["filters"]["max_price"] == 5
    prefix = str(result.trace.prefixes.query("kept")["prefix"].iat[-1])
    app.session_state["forced"] = prefix
    app.run()
    assert not app.exception
    assert set(app.session_state["answer"][1].items["prefix"]) <= {prefix}
