"""The recipe `jd` from the command line to the trace: legal lists, a frame of nodes that adds up, beams, translations."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file, save_file

from backend.cli import main
from backend.errors import RequestError, WorkspaceError
from backend.evaluation.report_recipes import jd as jd_section
from backend.generation.constrained import Logits, constrained_beam, free_beam
from backend.generation.jd import JdGenerator
from backend.generation.request import Request
from backend.generation.searched import Ended, beams_of, searched
from backend.pipeline import drop_checkpoints
from backend.settings import FusionSettings
from backend.tokenization.trie import Trie
from backend.workbench import Workbench
from backend.workspace import Workspace
from tests.shop import SETTINGS


@pytest.fixture(scope="module")
def jd_workspace(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose second recipe was trained by the command line, without a first one."""
    folder = tmp_path_factory.mktemp("jd") / "workspace"
    shutil.copytree(built, folder)
    assert main(["train", "--recipe", "jd", "--workspace", str(folder), *SETTINGS]) == 0
    return folder


@pytest.fixture(scope="module")
def bench(jd_workspace: Path) -> Workbench:
    return Workbench.open(jd_workspace)


@pytest.fixture(scope="module")
def generator(bench: Workbench) -> JdGenerator:
    return bench.jd.generator()


def test_training_again_keeps_the_stage(jd_workspace: Path) -> None:
    written = (jd_workspace / "jd" / "manifest.json").stat().st_mtime_ns
    assert main(["train", "--recipe", "jd", "--workspace", str(jd_workspace), *SETTINGS]) == 0
    assert (jd_workspace / "jd" / "manifest.json").stat().st_mtime_ns == written
    metrics = json.loads((jd_workspace / "jd" / "manifest.json").read_text())["metrics"]
    assert metrics["steps"] == 8
    assert not (jd_workspace / ".training").exists()


def test_a_finished_training_leaves_the_other_recipes_checkpoints(tmp_path: Path) -> None:
    folder = tmp_path / ".training"
    folder.mkdir()
    for name in ("model-1.safetensors", "model-2.safetensors", "jd-1.safetensors"):
        (folder / name).touch()
    drop_checkpoints(Workspace(tmp_path), "model")
    assert [path.name for path in folder.iterdir()] == ["jd-1.safetensors"]
    drop_checkpoints(Workspace(tmp_path), "jd")
    assert not folder.exists()


def test_damaged_or_foreign_weights_are_a_clear_error(jd_workspace: Path, tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    shutil.copytree(jd_workspace, folder)
    weights = folder / "jd" / "model.safetensors"
    state = load_file(weights)
    save_file({name: value[:1].clone() for name, value in state.items()}, weights)
    with pytest.raises(WorkspaceError, match="do not fit"):
        Workbench.open(folder).jd.generator()
    weights.write_bytes(b"no weights")
    with pytest.raises(WorkspaceError, match="missing or damaged"):
        Workbench.open(folder).jd.generator()


def test_the_command_answers_in_the_contracts_form(jd_workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["recommend", "--recipe", "jd", "--workspace", str(jd_workspace), "--instruction", "anything under $5", "--json"]
    assert main(argv) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["reading"]["filters"] == {"max_price": 5.0}
    assert [item["rank"] for item in answer["items"]] == list(range(1, len(answer["items"]) + 1))
    assert all(item["price"] <= 5 for item in answer["items"])
    assert {"title", "score", "prefix", "source"} <= answer["items"][0].keys()


def test_without_the_stage_the_error_says_how_to_train(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not Workbench.open(built).jd.there
    assert main(["recommend", "--recipe", "jd", "--workspace", str(built), "--instruction", "milk"]) == 1
    assert "train --recipe jd" in capsys.readouterr().err
    with pytest.raises(WorkspaceError, match="no jd stage"):
        Workbench.open(built).jd.generator()


def test_every_list_is_legal(bench: Workbench, generator: JdGenerator) -> None:
    items = bench.dataset.items
    category = str(items["category"].iloc[0])
    for request in (
        Request(user="u3", seen="hide"),
        Request(user="u3", category=category),
        Request(user="u3", max_price=4.0, instruction="nothing I bought before"),
        Request(profile="Married couple", history=("t-003", "t-010")),
        Request(profile="Somebody"),
    ):
        answer = bench.jd.recommend(request)
        listed = answer.items
        shopper = generator.shoppers.resolve(request)
        assert len(listed), request
        assert listed["item"].is_unique
        assert listed["score"].is_monotonic_decreasing
        if request.seen == "hide" or "before" in request.instruction:
            assert not listed["item"].isin(shopper.items).any()
        if request.category:
            assert set(listed["category"]) == {category}
        if request.max_price:
            assert listed["price"].max() <= request.max_price
        assert answer.jd.constrained["valid"].all()
        assert json.loads(json.dumps(answer.jd.request))


def test_a_total_is_kept(bench: Workbench) -> None:
    listed = bench.jd.recommend(Request(user="u1", max_total=8.0, fusion=FusionSettings(top=5))).items
    assert len(listed)
    assert listed["price"].sum() <= 8.0 + 1e-9


def test_the_nodes_add_up(generator: JdGenerator) -> None:
    trace = generator.recommend(Request(user="u2", category="Snacks"))
    nodes, depth = trace.nodes, generator.trie.depth
    assert set(nodes["level"]) == set(range(1, depth + 1))
    allowed = generator.dataset.items["category"].eq("Snacks").to_numpy()
    sids = {generator.sid(row) for row in np.flatnonzero(allowed)}
    prefixes = {"·".join(sid.split("·")[:length]) for sid in sids for length in range(1, depth + 1)}
    everything = {
        "·".join(generator.sid(row).split("·")[:length]) for row in range(len(allowed)) for length in range(1, depth + 1)
    }
    for node in nodes.to_dict("records"):
        assert (node["n_items"] > 0) == (node["sid"] in everything)
        assert node["legal"] == (node["sid"] in prefixes)
        assert node["after"] >= node["before"] - 1e-9 or not node["legal"], "the constraint only adds to what is legal"
        assert not node["kept"] or node["legal"]
        children = {
            p
            for p in prefixes
            if p.startswith(f"{node['parent']}·" if node["level"] > 1 else "") and p.count("·") == node["level"] - 1
        }
        assert node["branching"] == len(children)
    kept = nodes[nodes["kept"]]
    last = kept[kept["level"] == depth].sort_values("path", ascending=False)
    assert sorted(last["sid"]) == sorted(trace.constrained["sid"])
    assert np.allclose(last["path"], trace.constrained.sort_values("path", ascending=False)["path"], rtol=1e-4)
    by_sid = nodes.set_index("sid")["path"]
    for node in kept.to_dict("records"):
        above = 1.0 if node["level"] == 1 else by_sid[node["parent"]]
        assert node["path"] == pytest.approx(above * node["before"], rel=1e-4)


def test_beams_of_a_known_model() -> None:
    trie = Trie.build(np.array([[0, 0], [0, 1], [2, 2], [2, 2]]), 3)
    table = np.log(np.array([[0.2, 0.5, 0.3], [0.25, 0.25, 0.5], [0.1, 0.1, 0.8], [0.3, 0.3, 0.4]], np.float32))

    def model(codes: np.ndarray, origin: np.ndarray) -> Logits:
        rows = np.zeros(len(codes), np.intp) if not codes.shape[1] else codes[:, -1] + 1
        return Logits(table[rows])

    found, nodes = searched(trie, model, 4)
    frame = beams_of(trie, found)
    assert frame["sid"].tolist() == ["a2·b2", "a0·b0", "a0·b1"]
    assert frame["path"].tolist() == pytest.approx([0.12, 0.05, 0.05])
    assert frame["shared"].tolist() == [2, 1, 1]
    first = nodes[nodes["level"] == 1].set_index("sid")
    assert first.loc["a1", ["legal", "kept", "branching", "n_items"]].tolist() == [False, False, 2, 0]
    assert first.loc["a2", "after"] == pytest.approx(0.6)
    assert first.loc["a0", "n_items"] == 2
    unbound = beams_of(trie, free_beam(trie, model, 2))
    assert unbound["sid"].tolist() == ["a1·b2", "a2·b2"] or not unbound["valid"].all()
    assert unbound["item"].tolist()[0] == -1


def test_behind_the_end_there_is_only_the_end() -> None:
    ended = Ended(lambda codes, origin: Logits(np.zeros((len(codes), 3), np.float32)))
    said = ended(np.array([[1, 0], [1, 2]]), np.zeros(2, np.intp))
    log_p = said.codes - said.total()[:, None]
    assert log_p[0].tolist() == [0.0, -np.inf, -np.inf]
    assert np.allclose(np.exp(log_p[1]), 1 / 3)
    trie = Trie.build(np.array([[1, 0, 0], [1, 2, 0]]), 3)
    found = constrained_beam(trie, Ended(lambda codes, origin: Logits(np.zeros((len(codes), 3), np.float32))), 2)
    assert np.exp(found.log_p).tolist() == pytest.approx([1 / 9, 1 / 27])


def test_titles_and_sids(generator: JdGenerator) -> None:
    title = generator.titles[5]
    found = generator.title_to_sid(f"  {title} <s> ")
    assert len(found.beams) == 10
    assert found.beams["valid"].all()
    assert found.beams["log_p"].is_monotonic_decreasing
    assert isinstance(generator.sid_to_title(5), str)
    for wrong in ("", "   "):
        with pytest.raises(RequestError):
            generator.title_to_sid(wrong)


def test_the_free_beam_is_left_out_where_nobody_asks(generator: JdGenerator) -> None:
    trace = generator.recommend(Request(user="u2"), free_too=False)
    assert isinstance(trace.free, pd.DataFrame)
    assert trace.free.empty
    assert "free beam" not in trace.timings_ms
    assert {"reading", "prompt", "constrained beam", "total"} <= trace.timings_ms.keys()


def test_the_moment_is_when_the_next_basket_is_due(bench: Workbench, generator: JdGenerator) -> None:
    request = Request(user="u0")
    shopper = generator.shoppers.resolve(request)
    row = generator.shoppers.user_row("u0")
    last = bench.dataset.events[bench.dataset.events["user"] == row]["time"].max()
    now = generator.now(request)
    assert now == last + pd.Timedelta(days=shopper.days.min())
    assert now > last
    ids = bench.dataset.items["item_id"]
    latest = shopper.items[shopper.steps == shopper.steps[-1]]
    assert generator.now(Request(user="u0", dropped=tuple(ids.iloc[latest]))) == now, (
        "what is left out of a history moves no date"
    )
    assert generator.now(Request(profile="Somebody")) is None


def test_a_trained_model_is_measured(jd_workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["evaluate", "--recipe", "jd", "--split", "validation", "--limit", "6", "--workspace", str(jd_workspace), "--json"]
    assert main(argv) == 0
    measured = json.loads(capsys.readouterr().out)
    names = {row["recommender"] for row in measured["results"]}
    assert {"JD, constrained beam 20", "JD, free beam 50", "popularity", "own frequency"} <= names
    rows = {(row["what"], row["beams"]): row for row in measured["rows"]}
    assert rows["invalid SIDs, constrained beam", 20]["value"] == 0.0
    assert 0.0 <= rows["invalid SIDs, free beam", 20]["value"] <= 1.0
    assert rows["SID → title, every word", None]["n"] == 60
    assert {row["slice"] for row in measured["results"]} >= {"all"}
    assert "SASRec" in names
    count = {row["view"]: row["n"] for row in measured["results"] if row["slice"] == "all"}
    assert count.keys() >= {"all", "rare items"}
    assert 0 < count["rare items"] <= count["all"], "only baskets that hold a rare item"
    ideal = {
        (row["recommender"], row["view"]): row["mean"]
        for row in measured["results"]
        if (row["metric"], row["k"], row["slice"]) == ("hr", 20, "all")
    }
    assert ideal["popularity", "rare items"] < ideal["popularity", "all"], "best sellers are no right answers there"
    text = jd_section(measured)
    for said in ("| JD, constrained beam 20 |", "| SASRec |", "rare items", "invalid SIDs, free beam", measured["command"]):
        assert said in text
