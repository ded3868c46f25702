"""The third recipe on the Recommend page, and the judge's weight where there is a judge and where there is none."""

from __future__ import annotations

import pytest

from backend.inspection.sgrec import SgrecBench
from backend.workbench import Workbench
from backend.workspace import Stage, Workspace
from pages.components.text import md
from tests.pages.conftest import Opened, html_of
from tests.pages.fake import FakeGenerator, FakeWorkbench

ARMS = ["a2po", "business only"]


class FakeSgrec(SgrecBench):
    """Arms whose generators are invented."""

    there, arms, chosen = True, ARMS, ARMS[0]  # type: ignore[assignment]

    def __init__(self, bench: FakeWorkbench) -> None:
        super().__init__(bench.workspace, lambda: bench.dataset, Workbench)
        self.opened: list[str] = []

    def bench(self, arm: str | None = None) -> Workbench:
        name = str(arm)
        if name not in self._benches:
            self.opened.append(name)
            dataset = self._dataset()
            self._benches[name] = Workbench(self.workspace, lambda _: dataset, lambda _, data: FakeGenerator(data, 0.0))
        return self._benches[name]


@pytest.fixture
def with_policy(bench: FakeWorkbench, monkeypatch: pytest.MonkeyPatch) -> FakeSgrec:
    own = FakeSgrec(bench)
    bench.__dict__["sgrec"] = own
    real = Workspace.stage
    made = Stage("policy", bench.workspace.path, {"fingerprint": "f", "metrics": {}})
    monkeypatch.setattr(Workspace, "stage", lambda self, name: made if name == "policy" else real(self, name))
    return own


def test_without_a_policy_the_page_says_how_to_train_one(opened: Opened) -> None:
    app = opened("recommend", recipe="sgrec")
    assert not app.exception
    assert app.segmented_control("recipe").value == "S-GRec"
    assert "no policy of the S-GRec recipe" in app.info[0].value
    assert "train --recipe sgrec" in app.code[0].value
    app.segmented_control("recipe").set_value("SIGMA").run()
    assert not app.exception
    assert html_of(app).count('class="sg-step done"') == 3


def test_a_policy_answers_with_the_three_steps(opened: Opened, with_policy: FakeSgrec) -> None:
    app = opened("recommend", recipe="sgrec", q="ice cream")
    assert not app.exception
    drawn = html_of(app)
    assert drawn.count('class="sg-step done"') == 3
    assert "before and after the policy" in drawn
    assert "in both lists" in drawn
    assert with_policy.opened == ["a2po"]
    assert app.query_params["recipe"] in ("sgrec", ["sgrec"])
    app.selectbox("arm").set_value("business only").run()
    assert not app.exception
    assert with_policy.opened == ARMS
    assert app.query_params["arm"] in ("business only", ["business only"])


def test_a_link_names_the_arm(opened: Opened, with_policy: FakeSgrec) -> None:
    app = opened("recommend", recipe="sgrec", arm="business only")
    assert not app.exception
    assert not app.warning
    assert app.selectbox("arm").value == "business only"
    assert opened("recommend", recipe="sgrec", arm="soup").selectbox("arm").value == "a2po"


@pytest.mark.parametrize(("page", "key"), [("fusion", "lab_judge_weight"), ("recommend", "fusion_judge_weight")])
def test_without_a_judge_its_weight_cannot_be_moved(opened: Opened, page: str, key: str) -> None:
    app = opened(page, wj="2.0")
    assert not app.exception
    assert app.slider(key=key).disabled
    assert app.slider(key=key).value == 0
    assert any(md("train --recipe sgrec") in caption.value for caption in app.caption)


@pytest.mark.parametrize("page", ["fusion", "recommend"])
def test_with_a_judge_it_can(opened: Opened, bench: FakeWorkbench, monkeypatch: pytest.MonkeyPatch, page: str) -> None:
    monkeypatch.setattr(type(bench), "judge_missing", lambda self, lab=None: "")
    app = opened(page, wj="2.0")
    assert not app.exception
    slider = app.slider(key="lab_judge_weight" if page == "fusion" else "fusion_judge_weight")
    assert (slider.disabled, slider.value) == (False, 2.0)
    slider.set_value(3.0).run()
    assert not app.exception
    assert app.query_params["wj"] in ("3.0", ["3.0"], "3", ["3"])
    if page == "fusion":
        assert "judge 0 → 3.00" in html_of(app)
        app.session_state["lab-examples"] = True
        app.run()
        assert "judge" in set(app.dataframe[0].value["moved by"])
