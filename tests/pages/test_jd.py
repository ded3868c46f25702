"""The second recipe on the Recommend page: the switch, the trace, the tool for titles; on the invented workbench with an invented model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from backend.generation.constrained import Logits, NextCode, free_beam
from backend.generation.jd import ONE_TASK, JdTrace, Translated
from backend.generation.request import Request
from backend.generation.searched import beams_of, searched
from backend.inspection.jd import JdAnswer
from backend.tokenization.representations import Representation, semantic
from tests.pages.conftest import Opened, html_of
from tests.pages.fake import FakeWorkbench

LEVELS, CODES = 3, 16


class FakeJd:
    """A model that says random codes, the same ones each time."""

    there = ready = True
    command = "python -m backend train --recipe jd --workspace somewhere"

    def __init__(self, bench: FakeWorkbench) -> None:
        self.bench = bench
        rng = np.random.default_rng(3)
        n = bench.dataset.n_items
        self.written: Representation = semantic(rng.integers(CODES, size=(n, LEVELS)), CODES)
        self.asked: list[Request] = []

    def model(self) -> NextCode:
        sizes = self.written.sizes

        def said(codes: np.ndarray, origin: np.ndarray) -> Logits:
            rng = np.random.default_rng(codes.shape[1])
            return Logits(rng.normal(size=(len(codes), sizes[codes.shape[1]])).astype(np.float32) * 2)

        return said

    def recommend(self, request: Request, free_too: bool = True) -> JdAnswer:
        self.asked.append(request)
        trie = self.written.trie
        found, nodes = searched(trie, self.model(), 20)
        constrained = beams_of(trie, found)
        unbound = beams_of(trie, free_beam(trie, self.model(), 20))
        rows = constrained["item"].head(request.fusion.top).to_numpy()
        fused = pd.DataFrame({"rank": np.arange(1, len(rows) + 1), "item": rows, "sid": constrained["sid"].head(len(rows))})
        facts = self.bench.dataset.items.iloc[rows].reset_index(drop=True)
        table = pd.concat([fused.assign(score=constrained["path"].head(len(rows)), shared=1, seen=False), facts], axis=1)
        table["path"] = facts["department"] + " › " + facts["category"]
        trace = JdTrace({}, pd.DataFrame(), nodes, constrained, unbound, fused, ["a note", ONE_TASK], {"total": 12.0})
        reading = {"task": "JustForYou", "filters": {}, "unknown": []}
        return JdAnswer(table, trace, reading, trace.timings_ms, tuple(trace.notes), jd=trace)  # type: ignore[arg-type]

    def title_to_sid(self, title: str) -> Translated:
        trie = self.written.trie
        found, _ = searched(trie, self.model(), 10)
        return Translated(beams_of(trie, found), beams_of(trie, free_beam(trie, self.model(), 10)))

    def sid_to_title(self, item_id: str) -> tuple[str, str]:
        return "a1·b2·c3·d0", "<b>some title</b>"


@pytest.fixture
def with_model(bench: FakeWorkbench, monkeypatch: pytest.MonkeyPatch) -> FakeJd:
    own = FakeJd(bench)
    bench.__dict__["jd"] = own
    stage = type("Stage", (), {"fingerprint": "f"})
    real = type(bench.workspace).stage
    monkeypatch.setattr(
        type(bench.workspace), "stage", lambda self, name: stage if name == "jd" else real(self, name)
    )  # fmt: skip
    return own


def listed(app: AppTest) -> list[str]:
    return [button.label for button in app.button if str(button.key).startswith("open-jd-")]


def test_without_a_model_the_page_says_how_to_train_one(opened: Opened) -> None:
    app = opened("recommend")
    assert app.segmented_control("recipe").value == "SIGMA"
    app.segmented_control("recipe").set_value("JD").run()
    assert not app.exception
    assert "no model of the JD recipe" in app.info[0].value
    assert "train --recipe jd" in app.code[0].value
    app.segmented_control("recipe").set_value("SIGMA").run()
    assert not app.exception
    assert html_of(app).count('class="sg-step done"') == 3


def test_the_same_request_goes_to_the_other_recipe(opened: Opened, with_model: FakeJd) -> None:
    app = opened("recommend", recipe="jd", q="ice cream", seen="hide")
    assert not app.exception
    assert app.segmented_control("recipe").value == "JD"
    assert with_model.asked[-1].instruction == "ice cream"
    assert with_model.asked[-1].seen == "hide"
    assert len(listed(app)) == 10
    assert app.query_params["recipe"] in ("jd", ["jd"])
    drawn = html_of(app)
    assert "two recipes" in drawn
    assert "in both lists" in drawn
    assert "a note" in drawn


def test_what_does_not_exist_is_marked(opened: Opened, with_model: FakeJd) -> None:
    app = opened("recommend", recipe="jd")
    drawn = html_of(app)
    beams = with_model.recommend(Request()).jd.free
    wrong = int((~beams["valid"]).sum())
    assert wrong > 0
    assert f"{wrong} of 20 are no item" in drawn
    assert "0 of 20 are no item" in drawn
    assert drawn.count("✗ no such item") == wrong


def test_another_way_is_chosen(opened: Opened, with_model: FakeJd) -> None:
    app = opened("recommend", recipe="jd")
    sids = with_model.recommend(Request()).jd.constrained["sid"].tolist()
    assert "Along this way" in html_of(app)
    runs = len(with_model.asked)
    app.selectbox("jd-way").set_value(sids[3]).run()
    assert not app.exception
    assert app.selectbox("jd-way").value == sids[3]
    assert len(with_model.asked) == runs, "nothing is searched again"


def test_titles_and_sids_are_asked_by_hand(opened: Opened, with_model: FakeJd) -> None:
    app = opened("recommend", recipe="jd")
    app.text_input("jd-title").set_value("granola").run()
    assert not app.exception
    assert "along the trie" in html_of(app)
    app.text_input("jd-find").set_value("granola").run()
    assert not app.exception
    assert "&lt;b&gt;some title" in html_of(app), "what a model says is text"
    app.text_input("jd-find").set_value("zzzz").run()
    assert any("No item" in caption.value for caption in app.caption)
