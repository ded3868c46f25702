"""The Fusion page: moving knobs, reference, presets, search, report, examples; and the states in which there is nothing to move."""

from __future__ import annotations

import json
import time

import pytest
from streamlit.testing.v1 import AppTest

from backend.serving.jobs import jobs
from backend.settings import FusionSettings, LabSettings
from backend.storage import open_store
from pages.components import fusion_controls, fusion_form
from tests.pages.conftest import Opened, html_of
from tests.pages.fake import FakeWorkbench


def now(app: AppTest) -> LabSettings:
    found = app.session_state["lab-now"]
    assert isinstance(found, LabSettings)
    return found


def test_a_moved_knob_changes_the_figures(opened: Opened) -> None:
    app = opened("fusion")
    assert not app.exception
    assert not app.error
    drawn = html_of(app)
    assert "the reference itself" in drawn
    assert "all 48 validation households" in drawn
    assert "No example of this kind" not in drawn  # closed: it takes a fifth of a move's time
    app.session_state["lab-examples"] = True
    app.run()
    assert "No example of this kind" in html_of(app)
    app.button(key="lab-try").click().run()  # the example that the page offers
    assert now(app).popularity_weight == fusion_controls.EXAMPLE
    assert "popularity 1.00 → -0.500" in html_of(app)
    assert not [button for button in app.button if button.key == "lab-try"]
    app.slider(key="lab_popularity_weight").set_value(-1.0).run()
    assert not app.exception
    drawn = html_of(app)
    assert "popularity 1.00 → -1.00" in drawn
    assert app.query_params["wpop"] == "-1"
    assert "lists re-ranked in" in drawn
    assert "Household" in drawn  # an example that moved is shown
    assert "popularity" in set(app.dataframe[0].value["moved by"])
    app.button(key="lab-set").click().run()
    assert "the reference itself" in html_of(app)
    assert app.query_params["ref.wpop"] == "-1"
    app.slider(key="lab_diversity").set_value(0.5).run()
    assert "diversity 0 → 0.500" in html_of(app)
    app.button(key="lab-back").click().run()
    assert now(app).diversity == 0
    app.button(key="lab-reset").click().run()
    assert now(app).popularity_weight == 1
    assert [setting.popularity_weight for setting, _ in app.session_state["lab-trail"]][:3] == [1.0, -0.5, -1.0]


def test_a_link_restores_the_page(opened: Opened) -> None:
    app = opened("fusion", **{"wpop": "-0.5", "K": "12", "ref.div": "0.3", "tau": "soup", "x": "value", "y": "nonsense"})
    assert not app.exception
    setting = now(app)
    assert (setting.popularity_weight, setting.beams) == (-0.5, 12)
    assert app.session_state["lab-reference"].diversity == 0.3
    assert any("tau" in str(warning.value) for warning in app.warning)
    assert app.selectbox(key="lab-x").value == "value"
    assert app.selectbox(key="lab-y").value == "ndcg"


def test_a_link_to_an_example_opens_it(opened: Opened) -> None:
    app = opened("fusion", **{"wpop": "-0.5", "of": "JustForYou"})
    assert not app.exception
    assert app.selectbox(key="lab-example-part").value == "JustForYou"
    assert "Household" in html_of(app)


def test_presets_are_kept_and_load_on_both_pages(opened: Opened, own_database: str) -> None:
    app = opened("fusion", wpop="-0.5", wv="0.4")
    app.text_input(key="lab-preset-name").set_value("<b>dear</b> and new").run()
    app.button(key="lab-preset-save").click().run()
    assert not app.exception
    kept = open_store(own_database).presets("fusion")
    assert kept["name"].tolist() == ["<b>dear</b> and new"]
    assert fusion_form.shipped(FusionSettings()).value_weight == 0
    app.button(key="lab-reset").click().run()
    app.button(key="lab-preset-load").click().run()
    assert (now(app).popularity_weight, now(app).value_weight) == (-0.5, 0.4)
    other = opened("recommend")
    other.selectbox(key="preset-picked").set_value(0).run()
    assert not other.exception
    assert other.session_state["fusion_popularity_weight"] == -0.5
    assert other.session_state["fusion_value_weight"] == 0.4
    assert other.slider(key="fusion_value_weight").value == 0.4
    assert dict(other.query_params).get("wv") in ("0.4", ["0.4"])  # the link holds it too


def test_search_and_report(opened: Opened) -> None:
    app = opened("fusion")
    app.slider(key="lab-budget").set_value(20).run()
    app.button(key="lab-search-go").click().run()
    job = jobs().get(app.session_state["lab-job"])
    assert job is not None
    assert job.wait(60)
    app.run()
    assert not app.exception
    assert "settings tried" in html_of(app)
    drawn = json.loads(next(chart for chart in app.get("plotly_chart") if "tradeoff" in chart.proto.id).proto.spec)
    assert "Pareto front" in {trace.get("name") for trace in drawn["data"]}
    app.button(key="lab-test").click().run()
    assert not app.exception
    drawn = html_of(app)
    assert "<b>Validation</b>" in drawn
    assert "<b>Test</b>" in drawn
    assert "looked at 1 time." in drawn
    app.slider(key="lab_tau").set_value(0.5).run()
    assert "of another setting" in html_of(app)
    app.button(key="lab-test").click().run()
    assert "looked at 2 times" in html_of(app)


def test_without_a_model(opened: Opened) -> None:
    app = opened("fusion", without=("model", "evaluation"))
    assert not app.exception
    assert any("python -m backend train" in str(code.value) for code in app.code)


def test_without_stored_examples_they_are_offered(opened: Opened, bench: FakeWorkbench, monkeypatch: pytest.MonkeyPatch) -> None:
    labs = bench.fusion_labs()
    there: dict = {}
    monkeypatch.setattr(FakeWorkbench, "fusion_labs", lambda self: there)
    monkeypatch.setattr(FakeWorkbench, "prepare_fusion_lab", lambda self, households, report, cancel: there.update(labs))
    app = opened("fusion")
    assert not app.exception
    assert any("asked about each of them once" in str(info.value) for info in app.info)
    app.button(key="lab-prepare").click().run()
    for _ in range(50):
        if there:
            break
        time.sleep(0.05)
    app.run()
    assert not app.exception
    assert "all 48 validation households" in html_of(app)


def test_settings_and_links() -> None:
    default = fusion_form.shipped(FusionSettings(apf=False, top1_prefix=True, per_prefix=5000))
    assert (default.strength, default.beams, default.per_prefix) == (0.0, 1, 200)
    moved = default.model_copy(update={"tau": 0.25, "sigma_domain": "probability", "strength": 0.5, "diversity": 0.2})
    assert moved.fusion() == FusionSettings(**moved.model_dump())  # everything goes along to a recommendation
    again, bad = fusion_form.from_params(fusion_form.to_params(moved, default), default)
    assert again == moved
    assert not bad
