"""Maps: sampling, placing, the process that lays them out, the shelf. UMAP itself is stood in for: it compiles for many seconds."""

from __future__ import annotations

import logging
import sys
import threading
import time
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from backend.errors import Cancelled, WorkspaceError
from backend.grounding import atlas, umap_worker
from backend.grounding.atlas import AtlasSettings, place, project, stratified
from backend.grounding.neighbours import Index, neighbour_lists, normalised
from backend.grounding.regions import regions
from backend.grounding.shelf import Shelf
from backend.progress import CancelToken

STUB = """
import os, sys, time, numpy as np
from pathlib import Path
from safetensors.numpy import load_file, save_file
folder = Path(sys.argv[1])
for name in sorted({key.split(".")[0] for key in load_file(folder / "input.safetensors")}):
    print(name, 1, 10, flush=True)
    MODE
    vectors = load_file(folder / "input.safetensors")[f"{name}.vectors"]
    save_file({"xy": np.ascontiguousarray(vectors[:, :2])}, folder / f"{name}.safetensors")
"""


def stub(monkeypatch: pytest.MonkeyPatch, folder: Path, mode: str = "pass") -> None:
    """A worker that takes the first two dimensions for the map, sleeps, or fails."""
    script = folder / "stub.py"
    script.write_text(STUB.replace("MODE", mode), "utf-8")
    monkeypatch.setattr(atlas, "_WORKER", (str(script),))


def test_a_small_catalogue_is_not_sampled() -> None:
    assert stratified(pd.Series(list("aabb")), 10, 1).tolist() == [0, 1, 2, 3]


def test_the_sample_keeps_proportions_and_the_small() -> None:
    groups = pd.Series(np.repeat(["large", "middle", "one"], [9000, 999, 1])).sample(frac=1, random_state=3, ignore_index=True)
    rows = stratified(groups, 500, 7)
    count = groups.iloc[rows].value_counts()
    assert len(rows) == len(set(rows.tolist())) == 500
    assert (np.diff(rows) > 0).all()
    assert count["one"] == 1
    assert abs(count["large"] - 450) <= 1
    assert stratified(groups, 500, 7).tolist() == rows.tolist()
    assert stratified(groups, 500, 8).tolist() != rows.tolist()
    assert len(stratified(pd.Series(range(50)), 20, 1)) == 20  # more groups than room


def test_project_places_what_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stub(monkeypatch, tmp_path)
    vectors = normalised(np.random.default_rng(0).normal(size=(400, 6)))
    vectors[5] = 0
    groups, seen = pd.Series(["a", "b"] * 200), []
    laid = project({"text": vectors, "id": vectors}, groups, AtlasSettings(max_points=100), seen.append)
    assert set(laid) == {"text", "id"}
    shown = np.isfinite(laid["id"][:, 0])
    assert shown.sum() == 100  # "showing 100 of 400"
    assert not shown[5]
    np.testing.assert_allclose(laid["id"][shown], vectors[shown, :2], atol=1e-6)
    assert any(event.stage == "map" and event.total == 10 for event in seen)


def test_a_cancel_ends_the_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stub(monkeypatch, tmp_path, "time.sleep(60)")
    token = CancelToken()
    threading.Timer(0.5, token.cancel).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        project({"text": np.eye(30, dtype=np.float32)}, pd.Series(["a"] * 30), AtlasSettings(), cancel=token)
    assert time.monotonic() - began < 20


def test_a_failed_process_is_a_users_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stub(monkeypatch, tmp_path, "sys.exit('no memory left')")
    with pytest.raises(WorkspaceError, match="no memory left"):
        project({"text": np.eye(30, dtype=np.float32)}, pd.Series(["a"] * 30), AtlasSettings())


def test_the_worker_hands_umap_the_exact_neighbours(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    given = {}

    class Umap:
        def __init__(self, **kwargs: object) -> None:
            given.update(kwargs)

        def fit_transform(self, vectors: np.ndarray) -> np.ndarray:
            given["tqdm_kwds"]["file"].write("\r  3/200")
            return vectors[:, :2]

    monkeypatch.setitem(sys.modules, "umap", types.SimpleNamespace(UMAP=Umap))
    vectors = normalised(np.random.default_rng(0).normal(size=(80, 6)))
    near, cos = neighbour_lists(Index(vectors), 14)
    xy = umap_worker.project(vectors, near, cos, 15, 0.2, 3, "text")
    assert xy.shape == (80, 2)
    indices, distances = given["precomputed_knn"]
    assert indices.shape == (80, 15)
    assert (indices[:, 0] == np.arange(80)).all()  # UMAP counts the item itself
    np.testing.assert_array_equal(indices[:, 1:], near)
    np.testing.assert_allclose(distances[:, 1:], 1 - cos, atol=1e-6)
    assert (given["metric"], given["random_state"], given["min_dist"]) == ("cosine", 3, 0.2)
    assert capsys.readouterr().out == "text 3 200\n"
    assert umap_worker.project(vectors[:3], near[:3], cos[:3], 15, 0.2, 3).shape == (3, 2)  # too few for a graph


def test_a_point_is_placed_among_its_neighbours() -> None:
    rng = np.random.default_rng(4)
    centres = np.eye(8)[:3]
    vectors = normalised(centres[np.arange(90) % 3] + 0.05 * rng.normal(size=(90, 8)))
    xy = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])[np.arange(90) % 3] + 0.1 * rng.normal(size=(90, 2))
    index = Index(vectors)
    found = place(centres, index, xy)
    np.testing.assert_allclose(found, [[0, 0], [10, 0], [0, 10]], atol=0.3)
    np.testing.assert_allclose(place(vectors[:1], index, xy), xy[:1], atol=0.3)  # an item lands beside itself
    xy[::3] = np.nan  # the first group was not sampled: its neighbours are elsewhere, or nowhere
    assert np.isnan(place(centres[:1], Index(vectors[::3]), xy[::3])).all()


def test_regions_are_named_by_what_is_at_home_there() -> None:
    rng = np.random.default_rng(6)
    group = np.arange(300) % 3
    xy = (np.array([[0, 0], [30, 0], [0, 30]])[group] + rng.normal(size=(300, 2))).astype(np.float32)
    narrow = pd.Series(np.array(["pizza", "soap", "milk"])[group])
    narrow[group == 2] = [f"sort {row % 50}" for row in range(100)]  # nothing is at home there: the broad name
    broad = pd.Series(np.array(["frozen", "household", "dairy"])[group])
    found = regions(xy, narrow, broad).set_index("label")
    assert set(found.index) == {"pizza", "soap", "dairy"}
    assert found.loc["soap", "x"] == pytest.approx(30, abs=1)
    assert found.loc["soap", "share"] == 1.0
    assert regions(xy[:10], narrow[:10], broad[:10]).empty


def test_the_shelf_keeps_and_forgives(own_cache: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf(tmp_path)
    table = pd.DataFrame({"x": np.float32([1, 2]), "y": np.float32([3, np.nan])})
    assert shelf.table("map") is None
    shelf.put_table("map", table)
    shelf.put_arrays("lists", {"rows": np.arange(4)})
    shelf.put_json("report", {"k": 10})
    pd.testing.assert_frame_equal(shelf.table("map"), table)
    assert shelf.arrays("lists")["rows"].tolist() == [0, 1, 2, 3]
    assert shelf.json("report") == {"k": 10}
    assert sorted(path.name for path in shelf.own.iterdir()) == ["lists.safetensors", "map.parquet", "report.json"]  # no leavings
    for path in shelf.own.iterdir():
        path.write_bytes(path.read_bytes()[:7])
    with caplog.at_level(logging.WARNING):
        assert shelf.table("map") is None
        assert shelf.arrays("lists") is None
        assert shelf.json("report") is None
    assert caplog.text.count("made again") == 3
    shelf.put_table("map", table)  # and is made again
    assert shelf.table("map") is not None


def test_what_ships_is_found_first(own_cache: Path, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.put_json("report", {"from": "cache"})
    shelf.shipped.mkdir()
    (shelf.shipped / "report.json").write_text('{"from": "bundle"}')
    assert shelf.json("report") == {"from": "bundle"}
    (shelf.shipped / "report.json").write_text("{")
    assert shelf.json("report") == {"from": "cache"}
    (shelf.own / "report.json").unlink()
    assert shelf.json("report") is None


def test_a_map_is_known_by_settings_and_stage() -> None:
    name = AtlasSettings().name("text", "abc")
    assert name == AtlasSettings().name("text", "abc")
    assert (
        len(
            {
                name,
                AtlasSettings(seed=8).name("text", "abc"),
                AtlasSettings().name("text", "abd"),
                AtlasSettings().name("id", "abc"),
            }
        )
        == 4
    )
