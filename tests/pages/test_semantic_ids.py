"""The Semantic IDs page over the invented workbench, and over a workspace that the project's commands made."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from backend.figures import sids as figures_sid
from backend.serving.jobs import jobs
from backend.settings import TokenSettings
from pages.components import sid_state, state
from tests.pages.conftest import ROOT, Opened, html_of
from tests.pages.fake import INJECTION, FakeWorkbench
from tests.pages.fake_codes import write_codes


@pytest.fixture
def coded(bench: FakeWorkbench) -> FakeWorkbench:
    return write_codes(bench)


def node_of(bench: FakeWorkbench, row: int, levels: int = 1) -> str:
    return "·".join(bench.sids.sid(row).split("·")[:levels])


def node_in(app: AppTest) -> str:
    """The node in the page's address."""
    value = app.query_params["node"]
    return value if isinstance(value, str) else value[0]


def test_it_opens_on_the_whole_tree(opened: Opened, coded: FakeWorkbench) -> None:
    app = opened("semantic_ids")
    assert not app.exception
    assert not app.error
    drawn = html_of(app)
    assert "All items" in drawn
    assert 'class="sg-strip"' in drawn
    for name in ("Usage", "Perplexity", "Collisions", "Skew", "Meaning"):
        assert name in drawn
    assert "look below 95%" in drawn, "thresholds are named"
    assert "SIGMA" in drawn  # hits inside the node, ours …
    assert "popularity" in drawn  # … and the best other
    assert "<script>" not in drawn
    assert INJECTION not in drawn


def test_a_link_restores_node_item_and_drawing(opened: Opened, coded: FakeWorkbench) -> None:
    node, item = node_of(coded, 40, 2), str(coded.dataset.items["item_id"][40])
    app = opened(
        "semantic_ids", node=node.replace("·", "."), item=item, kind="icicle", colour="popularity", task="JustForYou.new"
    )
    assert not app.exception
    assert not app.warning
    assert app.session_state[sid_state.key("node")] == node
    assert app.session_state[sid_state.key("kind")] == "icicle"
    drawn = html_of(app)
    assert "typical words" in drawn
    assert "purchases an item" in drawn  # the legend of the scale
    assert "items new to the shopper" in drawn
    assert f'keeps its SID:</span><span class="sg-sid"><span class="sg-code sg-l0">{node.split("·")[0]}' in drawn
    assert node_in(app) == node.replace("·", ".")
    assert "item" in app.query_params


def test_a_link_to_an_item_opens_its_branch(opened: Opened, coded: FakeWorkbench) -> None:
    app = opened("semantic_ids", item=str(coded.dataset.items["item_id"][7]))
    assert app.session_state[sid_state.key("node")] == node_of(coded, 7)


def test_a_mangled_link_still_opens(opened: Opened, coded: FakeWorkbench) -> None:
    app = opened("semantic_ids", node="z9", item="nobody", kind="cake", task="no.thing", size="items")
    assert not app.exception
    assert not app.error
    said = str(app.warning[0].value)
    assert all(word in said for word in ("node", "item", "kind", "task"))
    assert "size" not in said


def test_the_way_through_the_tree(opened: Opened, coded: FakeWorkbench) -> None:
    node = node_of(coded, 40, 2)
    app = opened("semantic_ids", node=node.replace("·", "."))
    beside = [button for button in app.button if str(button.key).startswith("sid-beside-")]
    assert beside
    target = str(beside[0].key).removeprefix("sid-beside-")
    beside[0].click().run()
    assert app.session_state[sid_state.key("node")] == target
    app.button(f"sid-up-{target.split('·')[0]}").click().run()
    assert app.session_state[sid_state.key("node")] == target.split("·")[0]
    app.button("sid-up-·").click().run()
    assert not app.exception
    assert app.session_state[sid_state.key("node")] == "·"


def test_an_edited_title_moves_its_item(opened: Opened, coded: FakeWorkbench) -> None:
    row = 40
    item = str(coded.dataset.items["item_id"][row])
    other = str(coded.dataset.items["title"][1500])
    app = opened("semantic_ids", item=item)
    assert "keeps its SID:" in html_of(app)
    app.text_input(f"sid-title-{item}").set_value(other).run()
    assert not app.exception
    placed = coded.sids.retitle(item, other)
    drawn = html_of(app)
    assert placed.changed
    assert drawn.count(' sg-moved"') == len(placed.changed)
    app.text_input(f"sid-title-{item}").set_value("").run()
    assert not app.exception
    assert "the title is empty" in str(app.error[0].value)


def test_finding_an_item(opened: Opened, coded: FakeWorkbench) -> None:
    app = opened("semantic_ids")
    app.text_input("sid-find").set_value("granola 12 oz").run()
    pills = next(group for group in app.button_group if group.key == "sid-found")
    assert len(pills.options) == 8
    pills.set_value(coded.items_search("granola 12 oz", limit=8)["item_id"].iat[0]).run()
    assert not app.exception
    assert "Granola" in next(button.label for button in app.button if button.key == "open-sid-item")


def test_without_counts_the_command_is_named(opened: Opened, bench: FakeWorkbench) -> None:
    write_codes(bench, counts=False)
    app = opened("semantic_ids", colour="recall@10")
    assert not app.exception
    assert any("python -m backend evaluate" in str(code.value) for code in app.code)
    assert app.session_state[sid_state.key("colour")] == sid_state.DEFAULTS["colour"]


@pytest.mark.parametrize(
    ("without", "command"), [(("tokens", "model", "evaluation"), "build"), (("model", "evaluation"), "train")]
)
def test_missing_stages_name_their_command(opened: Opened, bench: FakeWorkbench, without: tuple[str, ...], command: str) -> None:
    if "tokens" not in without:
        write_codes(bench, counts=False, soft=False)
        for stage in without:
            (bench.workspace.path / stage / "manifest.json").unlink()
        app = opened("semantic_ids")
    else:
        app = opened("semantic_ids", without=without)
    assert not app.exception
    assert not app.error
    assert any(f"python -m backend {command} --workspace" in str(code.value) for code in app.code)


def test_a_damaged_stage_is_told(opened: Opened, coded: FakeWorkbench) -> None:
    coded._sids = None
    (coded.workspace.path / "tokens" / "store.safetensors").write_bytes(b"no")
    app = opened("semantic_ids")
    assert not app.exception
    assert "damaged" in str(app.error[0].value)


def test_comparing_runs_beside_the_page(opened: Opened, coded: FakeWorkbench, own_cache: Path) -> None:
    app = opened("semantic_ids")
    next(group for group in app.button_group if group.key == "sid-other-kind").set_value("rq-kmeans").run()
    app.number_input("sid-other-codes").set_value(6).run()
    app.button("sid-compare").click().run()
    assert not app.exception
    settings = TokenSettings(levels=4, codes=6, balance=20.0, iterations=4)
    run = jobs().get(coded.sids.other_key(settings))
    assert run is not None
    assert run.wait(30)
    time.sleep(0.1)
    app.run()
    assert not app.exception
    drawn = html_of(app)
    assert f"{run.result.moved:,} of {len(coded.dataset.items):,} items" in drawn
    assert "RQ-KMeans 4 × 6, balance 20" in drawn
    assert coded.sids.other_path(settings).is_file()


def test_the_drawing_stays_under_a_megabyte(coded: FakeWorkbench) -> None:
    tree = coded.sids.tree
    for kind in figures_sid.KINDS:
        frame = tree.below("·")
        figure = figures_sid.tree(frame, kind, "items", "purity", {}, "")
        assert len(figure.data[0].ids) == len(frame) <= 1500
        assert len(figure.to_json()) < 1e6
        assert figure.data[0].values[0] == len(coded.dataset.items)


def test_colours_follow_the_figures(coded: FakeWorkbench) -> None:
    tree = coded.sids.tree
    frame = tree.below("·").join(coded.sids.hits("JustForYou", "all"))
    painted = figures_sid.tree(frame, "treemap", "purchases", "purity", {}).data[0].marker.colors
    first = frame[frame["level"] == 1]
    purest, mixed = (list(frame.index).index(node) for node in (first["purity"].idxmax(), first["purity"].idxmin()))
    assert int(painted[purest][1:3], 16) < int(painted[mixed][1:3], 16), "purer is darker"
    frame.loc[first.index[0], ["targets", "recall"]] = [0, float("nan")]
    recall = figures_sid.tree(frame, "treemap", "items", "recall@10", {}).data[0]
    assert recall.marker.colors[list(frame.index).index(first.index[0])] == figures_sid.UNKNOWN
    assert "no target" in recall.hovertext[list(frame.index).index(first.index[0])]


@pytest.fixture
def real(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    monkeypatch.setenv(state.WORKSPACE_VARIABLE, str(trained))
    state.workbench.clear()
    yield AppTest.from_file(str(ROOT / "app.py"), default_timeout=300)
    state.workbench.clear()


def test_over_a_real_workspace(real: AppTest) -> None:
    real.run()
    real.switch_page("pages/semantic_ids.py").run()
    assert not real.exception
    assert not real.error
    drawn = html_of(real)
    assert "behaviour" in drawn  # the soft token's parts
    assert "nearest items kept" in drawn
    assert "All items" in drawn
    real.toggle("sid-alone").set_value(True).run()
    assert not real.exception
    assert "gets</span>" in html_of(real)
