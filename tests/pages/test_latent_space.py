"""The Latent space page on the invented workbench."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from backend.grounding import atlas
from backend.serving.jobs import jobs
from backend.storage import open_store
from pages.components import space_maps
from pages.components import space_state as own
from pages.components import state as shared
from tests.grounding.test_atlas import stub
from tests.pages.conftest import ROOT, Opened, html_of
from tests.pages.fake import INJECTION, FakeWorkbench, fake_workspace
from tests.pages.fake_space import fake_space


@pytest.fixture
def laid(own_cache: Path, bench: FakeWorkbench) -> FakeWorkbench:
    fake_space(bench)
    return bench


def state(app: AppTest, name: str) -> object:
    return app.session_state[own.key(name)] if own.key(name) in app.session_state else None  # noqa: SIM401


def test_cold(laid: FakeWorkbench, opened: Opened) -> None:
    app = opened("latent_space")
    assert not app.exception
    assert not app.error
    drawn = html_of(app)
    assert "<b>Text</b>" in drawn
    assert "<b>Grounded</b>" in drawn
    assert "Grocery" in drawn  # the legend
    assert any("Click a point" in str(info.value) for info in app.info)
    assert "Measure it" in [button.label for button in app.button]  # the report is made when asked for
    assert app.query_params == {}


def test_a_search_flies_to_the_item_and_shows_its_neighbours(laid: FakeWorkbench, opened: Opened) -> None:
    app = opened("latent_space")
    app.text_input(own.key("find")).set_value("orange juice 8 oz").run()
    pills = app.pills(own.key("found"))
    item = str(laid.items_search("orange juice 8 oz", limit=8)["item_id"].iat[0])
    pills.set_value(item).run()
    assert not app.exception
    assert state(app, "item") == state(app, "fly") == item
    opens = [button for button in app.button if str(button.key).startswith("open-near-")]
    assert len(opens) == 20  # ten in each of the two spaces
    assert all("range juice" in button.label for button in opens if "-text-" in str(button.key))
    drawn = html_of(app)
    assert "the two spaces" in drawn
    assert "place" in drawn
    assert app.query_params["item"] == [item] or app.query_params["item"] == item


def test_the_inspector_opens_and_leads_back(laid: FakeWorkbench, opened: Opened) -> None:
    app = opened("latent_space", item="i0400")
    app.button("space-details").click().run()
    assert not app.exception
    assert "item id" in html_of(app)
    assert any("Show in Semantic IDs" in str(link.proto.label) for link in app.get("page_link"))
    app.button("inspector-latent_space").click().run()  # a page leads to itself by a button
    assert not app.exception
    assert app.query_params["item"] in ("i0400", ["i0400"])


def test_the_link_restores_the_state(laid: FakeWorkbench, opened: Opened) -> None:
    app = opened(
        "latent_space", a="id", b="fused", colour="price", size="purchases", item="i0400", text="espresso pods", over=own.PATH
    )
    assert not app.exception
    assert app.selectbox(own.key("a")).value == "id"
    assert app.selectbox(own.key("colour")).value == "price"
    assert app.text_input(own.key("text")).value == "espresso pods"
    drawn, said = html_of(app), "".join(str(caption.value) for caption in app.caption)
    assert "sg-scale" in drawn
    assert "Nearest to “espresso pods”" in drawn
    assert "Nobody ever bought a text" in said
    assert "path of household" in said
    assert laid.dataset.items["title"].iat[400] in drawn


def test_a_bad_link_still_opens(laid: FakeWorkbench, opened: Opened) -> None:
    app = opened("latent_space", a="nowhere", colour="<script>", item="nobody", near="many", zzz="1")
    assert not app.exception
    said = str(app.warning[0].value)
    for name in ("a", "colour", "item", "near", "zzz"):
        assert name in said
    assert app.selectbox(own.key("a")).value == "text"


def test_a_chosen_set_is_a_table_to_take_along(laid: FakeWorkbench, opened: Opened) -> None:
    app = opened("latent_space")
    app.session_state[own.key("set")] = list(range(100, 160))
    app.run()
    assert not app.exception
    table = next(frame.value for frame in app.dataframe if "item_id" in frame.value.columns)
    assert table["item_id"].tolist() == [f"i{row:04d}" for row in range(100, 160)]
    assert any("60 items" in str(element.value) for element in app.html)
    app.button("space-unselect").click().run()
    assert state(app, "set") is None


def test_all_that_a_search_finds_can_be_taken(laid: FakeWorkbench, opened: Opened) -> None:
    app = opened("latent_space")
    app.text_input(own.key("find")).set_value("sorbet").run()
    app.button("space-take").click().run()
    items = laid.dataset.items
    assert sorted(state(app, "set")) == sorted((items["title"].str.contains("orbet")).to_numpy().nonzero()[0].tolist())


def test_a_generation_is_drawn(laid: FakeWorkbench, opened: Opened) -> None:
    app = opened("latent_space", a="fused", b="", over=own.GENERATION)
    assert not app.exception
    said = "".join(str(caption.value) for caption in app.caption)
    assert "this is an example" in said  # nothing was asked in this session
    assert "query vector" in said


def test_titles_are_text_and_never_markup(laid: FakeWorkbench, opened: Opened) -> None:
    assert laid.dataset.items["title"].iat[0] == INJECTION
    app = opened("latent_space", item="i0000")
    assert not app.exception
    assert "&lt;script&gt;" in html_of(app)
    assert "<script" not in html_of(app)


def test_maps_are_laid_out_when_asked(
    own_cache: Path, bench: FakeWorkbench, opened: Opened, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stub(monkeypatch, tmp_path)
    space = fake_space(bench, laid_out=False)
    app = opened("latent_space")
    assert not app.exception
    assert "not laid out yet" in str(app.info[0].value)
    app.button("space-lay-out").click().run()
    key = space.key(own._BLANK, ["text", "grounded"])
    assert jobs().get(key).wait(30)
    app.run()
    assert not app.exception
    assert "<b>Grounded</b>" in html_of(app)


def test_a_failed_layout_is_said(
    own_cache: Path, bench: FakeWorkbench, opened: Opened, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stub(monkeypatch, tmp_path, "sys.exit('no memory left')")
    space = fake_space(bench, laid_out=False)
    app = opened("latent_space", seed="9")
    app.button("space-lay-out").click().run()
    assert jobs().get(space.key(atlas.AtlasSettings(seed=9), ["text", "grounded"])).wait(30)
    app.run()
    assert not app.exception
    assert "no memory left" in str(app.error[0].value)
    assert app.button("space-lay-out")  # and can be tried again


def test_what_is_missing_names_its_command(own_cache: Path, bench: FakeWorkbench, opened: Opened) -> None:
    app = opened("latent_space", without=("grounding", "tokens", "model", "evaluation"))
    assert not app.exception
    assert any("build" in str(info.value) for info in app.info)


def test_without_a_model_three_spaces_are_left(own_cache: Path, bench: FakeWorkbench, opened: Opened) -> None:
    bench.workspace = fake_workspace(without=("model", "evaluation"))
    space, complete = fake_space(bench, laid_out=False), FakeWorkbench()
    fake_space(complete)  # the maps of the three others do not depend on the model
    app = opened("latent_space")
    assert space.available()["fused"]
    assert not app.exception
    assert app.selectbox(own.key("a")).options == ["Text", "Behaviour", "Grounded"]
    assert any("Fused" in str(info.value) and "train" in str(info.value) for info in app.info)
    assert "<b>Grounded</b>" in html_of(app)


def test_on_a_workspace_that_the_commands_made(
    trained: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The real vectors, generator and report; only UMAP is stood in for."""
    stub(monkeypatch, tmp_path)
    monkeypatch.setenv(shared.WORKSPACE_VARIABLE, str(trained))
    shared.workbench.clear()
    space = shared.current().space
    space.prepare(own._BLANK, ["text", "id", "grounded", "fused"])
    space.make_report()
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=300).run()
    app.switch_page("pages/latent_space.py")
    for name, value in {
        "a": "fused",
        "over": own.GENERATION,
        "text": "ground beef",
        "item": "t-000",
        "colour": "SID level 1",
    }.items():
        app.query_params[name] = value
    app.run()
    shared.workbench.clear()
    assert not app.exception
    assert not app.error, app.error[0].value
    drawn = html_of(app)
    assert "Nearest to “ground beef”" in drawn
    assert "Ground beef" in drawn
    assert "Nearest in Fused" in drawn
    assert "What grounding gained" in drawn
    answer = app.session_state["answer"][1]
    queries = space.generation(answer, own._BLANK)
    assert len(queries) == int(answer.trace.prefixes["kept"].sum())
    fused, sids, own_queries = space.index("fused").vectors, space.vectors.sids(), space.vectors.queries(answer)
    assert sids is not None
    for prefix, cos, nearest, h in zip(queries["prefix"], queries["cos"], queries["nearest"], own_queries, strict=True):
        inside = [item for item, sid in enumerate(sids) if f"a{sid[0]}" == prefix]
        best = max(inside, key=lambda item: float(fused[item] @ h))
        assert cos == pytest.approx(float(fused[best] @ h), abs=1e-4)
        assert cos == pytest.approx(float(fused[nearest] @ h), abs=1e-4)


def test_a_box_chooses_and_a_click_focuses(laid: FakeWorkbench, monkeypatch: pytest.MonkeyPatch) -> None:
    held: dict[str, object] = {}
    monkeypatch.setattr(own.st, "session_state", held)
    xy = laid.space.map("text", own._BLANK)

    class Selection(dict):
        points = property(lambda self: self["points"])

    def select(points: list[int], box: bool) -> None:
        chosen = Selection(points=[{"curve_number": 0, "point_index": row} for row in points], box=[{}] if box else [], lasso=[])
        held["map"] = type("Event", (), {"selection": chosen})
        space_maps._selected("map", laid, xy)

    select([5, 6], box=True)
    assert held[own.key("set")] == [5, 6]
    select([9], box=False)
    assert held[own.key("item")] == "i0009"
    assert held[own.key("set")] == [5, 6]  # a click leaves the set
    select([], box=False)
    assert held[own.key("set")] is None


def test_a_set_is_kept_and_becomes_a_basket(laid: FakeWorkbench, opened: Opened, own_database: str) -> None:
    app = opened("latent_space")
    app.session_state[own.key("set")] = list(range(100, 160))
    app.run()
    app.text_input("space-save-name").set_value("<b>sixty</b>").run()
    app.button("space-save").click().run()
    assert not app.exception
    kept = open_store(own_database).selections()
    assert kept[["name", "space", "n_items"]].to_numpy().tolist() == [["<b>sixty</b>", "text", 60]]
    app.button("space-unselect").click().run()
    app.button("space-load").click().run()
    assert state(app, "set") == list(range(100, 160))
    other = opened("recommend", profile="A couple.")
    other.selectbox(key="set-picked").set_value(0).run()
    assert not other.exception
    basket = other.session_state["basket"]
    bought = laid.space.purchases()
    assert len(basket) == 40
    assert {f"i{row:04d}" for row in range(100, 160)} > set(basket)
    assert min(bought[int(item[1:])] for item in basket) >= sorted(bought[100:160])[19]
    app = opened("latent_space")
    app.button("space-delete").click().run()
    assert open_store(own_database).selections().empty


def test_only_what_a_task_missed(laid: FakeWorkbench, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laid.space, "outcomes", lambda: {"Query: missed": np.arange(50, 80)})
    app = opened("latent_space", only="Query: missed", density="1")
    assert not app.exception
    assert not app.warning
    assert app.selectbox(own.key("only")).value == "Query: missed"
    assert app.toggle(own.key("density")).value is True
    assert "30 Query: missed" in html_of(app)
    specs = [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")][:2]
    assert all(spec["data"][0]["selectedpoints"] == list(range(50, 80)) for spec in specs)
    assert all(spec["data"][-1]["type"] == "contour" for spec in specs)
    app.session_state[own.key("set")] = [10, 60, 61]
    app.run()
    assert space_maps.shown_rows([10, 60, 61], np.arange(50, 80)).tolist() == [60, 61]
    app.toggle(own.key("density")).set_value(False).run()
    app.selectbox(own.key("only")).set_value(own.EVERY).run()
    assert not {"only", "density"} & set(app.query_params)
