"""The Judge page: without the recipe's stages on the invented workbench, with them over the tiny shop and the real judge."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from backend.inspection.judge import LEAST
from backend.inspection.judge_arms import every_arms
from backend.serving.jobs import jobs
from backend.storage import open_store
from pages.components import state
from tests.pages.conftest import ROOT, Opened, html_of

VIEWS = ("Vote", "Candidates", "Advantage plane", "Arms", "Before | after", "Cost")


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


def view(app: AppTest, name: str) -> str:
    """Another view; returns what it draws."""
    app.segmented_control("judge-view").set_value(name).run()
    assert not app.exception
    assert not app.error, app.error[0].value
    return html_of(app)


# without the recipe's stages -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VIEWS)
def test_it_opens_cold_and_says_what_is_missing(opened: Opened, name: str) -> None:
    app = opened("judge", view=name)
    assert not app.exception
    assert any("which ships at 0" in caption.value for caption in app.caption)
    if name == "Vote":  # needs the model alone
        assert any(str(button.key).startswith("judge-left-") for button in app.button)
    else:
        assert any("train --recipe sgrec --workspace" in code.value for code in app.code)


@pytest.mark.parametrize("name", VIEWS)
def test_without_a_model_no_view_fails(opened: Opened, name: str) -> None:
    app = opened("judge", without=("model", "evaluation"), view=name)
    assert not app.exception
    assert app.info


@pytest.fixture(autouse=True)
def _no_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The runs of the workspace alone, whatever was measured and shipped."""
    monkeypatch.setattr("backend.inspection.judge.every_arms", partial(every_arms, folder=tmp_path))


def test_runs_of_result_files_need_no_workspace(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.inspection.judge.every_arms", every_arms)  # with the shipped files
    app = opened("judge", without=("model", "evaluation"), view="Arms")
    assert "Arms minus their common start" in html_of(app)
    drawn = html_of(opened("judge", view="Cost"))
    assert "Effect against judge calls" in drawn


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests vote faster than people."""
    monkeypatch.setattr("pages.components.judge_vote._TWICE", 0.0)


def test_a_key_that_presses_a_button_too_is_one_vote(opened: Opened, own_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages.components.judge_vote._TWICE", 60.0)
    app = opened("judge", user="114")
    cast(app, "left")
    cast(app, "right")
    assert len(open_store(own_database).votes()) == 1


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


def test_aspects_are_seen_after_the_vote_and_undone(app: AppTest, own_database: str) -> None:
    assert not app.exception
    assert 'class="sg-aspects"' not in html_of(app), "the judge must not sway the vote"
    first = [button.label for button in app.button if str(button.key).startswith("open-vote-")]
    cast(app, "right")
    drawn = html_of(app)
    assert drawn.count('class="sg-aspects"') == 2
    assert drawn.count("in its next basket") == 2
    second = [button.label for button in app.button if str(button.key).startswith("open-vote-")]
    assert first != second, "the next pair"
    cast(app, "space")
    assert open_store(own_database).votes()["winner"].isna().tolist() == [False, True]
    app.button("judge-undo").click().run()
    app.button("judge-undo").click().run()
    assert not app.exception
    assert len(open_store(own_database).votes()) == 0
    assert first == [button.label for button in app.button if str(button.key).startswith("open-vote-")]
    assert 'class="sg-aspects"' not in html_of(app)


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


def test_every_view_draws(app: AppTest) -> None:
    drawn = view(app, "Candidates")
    assert drawn.count('class="sg-aspects"') == 10
    assert "This household's weights" in drawn
    assert "proxies" in drawn
    ranks = [button.key for button in app.button if str(button.key).startswith("open-judge-")]
    app.radio("judge-order").set_value("By the judge's score").run()
    assert not app.exception
    assert sorted(ranks) == sorted(button.key for button in app.button if str(button.key).startswith("open-judge-"))
    assert "Arms minus their common start" in view(app, "Arms")
    assert "policy.contexts=24" in app.code[0].value, "the command says what was set"
    drawn = view(app, "Before | after")
    assert "in both lists" in drawn
    assert "judge score, mean (proxy)" in drawn
    assert "Effect against judge calls" in view(app, "Cost")
    assert any("experiment judged-share" in code.value for code in app.code)


def test_the_plane_is_made_in_the_background(app: AppTest) -> None:
    view(app, "Advantage plane")
    app.button("judge-plane-make").click().run()
    job = next(own for key, own in jobs()._jobs.items() if key.startswith("judge-plane"))
    assert job.wait(120)
    assert job.error is None
    app.run()
    assert not app.exception
    drawn = html_of(app)
    assert "rollouts" in drawn
    assert "gate open" in drawn
    table = job.result
    assert (table["coefficient"].abs() * table["a_sem"].abs() <= table["a_biz"].abs() + 1e-5).all()
    app.selectbox("judge-group").set_value(0).run()
    assert not app.exception
    assert "Its rollouts" in html_of(app)


def test_weights_are_trained_on_votes_once_there_are_enough(app: AppTest, own_database: str) -> None:
    assert app.button("judge-train").disabled
    assert any(f"{LEAST} more votes" in caption.value for caption in app.caption)
    for _ in range(LEAST):
        cast(app, "left")
    assert not app.button("judge-train").disabled
    app.button("judge-train").click().run()
    job = next(own for key, own in jobs()._jobs.items() if key.startswith("judge-votes"))
    assert job.wait(120)
    assert job.error is None
    app.run()
    assert not app.exception
    assert job.result.votes == LEAST
    assert "trained on votes" in html_of(app)
    view(app, "Candidates")
    app.segmented_control("judge-weighting").set_value("Votes").run()
    assert not app.exception
