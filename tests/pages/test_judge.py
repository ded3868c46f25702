"""The Judge page: without the recipe's stages on the invented workbench, with them over the tiny shop and the real judge."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from backend.alignment.training import align
from backend.settings import load_preset
from backend.storage import open_store
from backend.workspace import Workspace
from pages.components import state
from tests.pages.conftest import ROOT, Opened, html_of

VIEWS = ("Vote", "Candidates", "Advantage plane", "Arms", "Before | after", "Cost")


@pytest.fixture(scope="session")
def aligned(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny shop with a judge and two arms."""
    folder = tmp_path_factory.mktemp("judge-page") / "workspace"
    shutil.copytree(trained, folder)
    preset = load_preset("tiny")
    align(Workspace(folder), preset.judge, preset.policy.model_copy(update={"arms": ("sft", "business only", "a2po")}))
    return folder


@pytest.fixture
def app(aligned: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    monkeypatch.setenv(state.WORKSPACE_VARIABLE, str(aligned))
    state.workbench.clear()
    made = AppTest.from_file(str(ROOT / "app.py"), default_timeout=300)
    made.run()
    made.switch_page("pages/judge.py").run()
    yield made
    state.workbench.clear()


def cast(app: AppTest, which: str) -> None:
    """Press left, space or right."""
    next(button for button in app.button if str(button.key).startswith(f"judge-{which}-")).click().run()
    assert not app.exception


# without the recipe's stages -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VIEWS)
def test_it_opens_cold_and_says_what_is_missing(opened: Opened, name: str) -> None:
    app = opened("judge", view=name)
    assert not app.exception
    assert any("No recommendation asks it" in caption.value for caption in app.caption)
    if name == "Vote":  # needs the model alone
        assert any(str(button.key).startswith("judge-left-") for button in app.button)
    else:
        assert any("train --recipe sgrec --workspace" in code.value for code in app.code)


@pytest.mark.parametrize("name", VIEWS)
def test_without_a_model_no_view_fails(opened: Opened, name: str) -> None:
    app = opened("judge", without=("model", "evaluation"), view=name)
    assert not app.exception
    assert app.info


def test_votes_work_without_a_judge(opened: Opened, own_database: str) -> None:
    app = opened("judge", user="114", q="ice cream")
    assert "Your last vote" not in html_of(app)
    cast(app, "left")
    assert "Your last vote: the left one" in html_of(app)
    assert any("no stage `judge`" in info.value for info in app.info)
    votes = open_store(own_database).votes()
    assert len(votes) == 1
    assert votes["winner"].iat[0] == votes["item_a"].iat[0]
    assert "114" not in votes["shopper"].iat[0][:4]
    assert '"ice cream"' in votes["context"].iat[0]


def test_a_link_that_names_nobody_still_opens(opened: Opened) -> None:
    app = opened("judge", user="<b>nobody", q="", view="zzz")
    assert not app.exception
    assert app.segmented_control("judge-view").value == "Vote"
    assert "<b>nobody" not in html_of(app)


def test_titles_are_text(opened: Opened) -> None:
    app = opened("judge", user="261")  # its latest basket holds the hostile item
    for _ in range(3):
        cast(app, "right")
    assert "<script>" not in html_of(app)


# with them -------------------------------------------------------------------------------------------------------------------


def test_after_the_last_pair_comes_another_household(app: AppTest) -> None:
    before = app.selectbox("judge-user").value
    for _ in range(10):
        cast(app, "left")
    assert app.selectbox("judge-user").value != before
    assert "pair 1 of 10" in html_of(app)
    assert f"household {before}" in html_of(app), "the last vote stays in sight"


def test_a_database_that_refuses_is_said(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.storage.store.MAX_VOTES", 0)
    cast(app, "left")
    assert "0 votes already" in app.error[0].value
    assert "Your last vote" not in html_of(app)
