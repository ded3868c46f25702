"""The latent spaces behind the page, over invented vectors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from backend.errors import RequestError
from backend.evaluation import OURS
from backend.figures import colouring
from backend.figures.style import OTHER
from backend.generation.request import Request
from backend.grounding import atlas
from backend.grounding.atlas import AtlasSettings
from backend.inspection.atlas_files import ship
from backend.inspection.space import LatentSpace
from backend.inspection.vectors import SPACES, Vectors
from backend.progress import CancelToken
from backend.workbench import Workbench
from tests.grounding.test_atlas import stub
from tests.pages.fake import FakeWorkbench, fake_workspace
from tests.pages.fake_space import fake_space

S = AtlasSettings()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeWorkbench]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGMASCOPE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield FakeWorkbench()


@pytest.fixture(scope="module")
def space(bench: FakeWorkbench) -> LatentSpace:
    return fake_space(bench)


def test_what_is_missing_is_laid_out_once_and_kept(bench: FakeWorkbench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stub(monkeypatch, tmp_path)
    space = fake_space(bench, laid_out=False)
    assert space.missing(S, list(SPACES)) == list(SPACES)
    assert space.regions("text", S).empty
    space.prepare(S, ["text", "id"])
    assert space.missing(S, list(SPACES)) == ["grounded", "fused"]
    n = bench.dataset.n_items
    assert np.isfinite(space.map("text", S)).all()
    assert np.isnan(space.map("id", S)).any(axis=1).tolist() == [False] * (n - 1) + [True]
    monkeypatch.setattr(atlas, "_WORKER", ("-c", "raise SystemExit(3)"))
    again = fake_space(bench, laid_out=False)  # another process: from the shelf
    again.prepare(S, ["text", "id"], cancel=CancelToken())
    np.testing.assert_array_equal(again.map("text", S), space.map("text", S))
    assert again.missing(S.model_copy(update={"seed": 8}), ["text"]) == ["text"]
    assert len({space.key(S, ["text"]), space.key(S, ["id"]), space.key(S.model_copy(update={"seed": 8}), ["text"])}) == 3


def test_a_map_of_another_catalogue_is_not_taken(bench: FakeWorkbench, own_cache: Path) -> None:
    space = fake_space(bench)
    name = S.name("text", space.vectors.source("text"))
    table = space.shelf.table(name)
    assert table is not None
    space.shelf.put_table(name, table.head(5))
    assert space.map("text", S) is None


def test_spaces_that_cannot_be_shown_say_why(bench: FakeWorkbench) -> None:
    assert fake_space(bench, laid_out=False).available() == dict.fromkeys(SPACES, "")
    vectors = fake_space(bench, laid_out=False).vectors
    vectors.workspace = fake_workspace(without=("model", "evaluation"))
    reasons = LatentSpace(vectors, lambda: bench.dataset, bench.lookup.people.user_row).available()
    assert "train" in reasons["fused"]
    assert reasons["text"] == reasons["grounded"] == ""


def test_neighbours_stand_with_their_similarity_elsewhere(space: LatentSpace, bench: FakeWorkbench) -> None:
    table = space.neighbours("text", 400, k=10, others=["id", "grounded"])
    items = bench.dataset.items
    assert set(items["type"].iloc[table["row"]]) == {items["type"].iat[400]}
    assert table["text"].is_monotonic_decreasing
    for name in ("text", "id", "grounded"):
        vectors = space.index(name).vectors
        np.testing.assert_allclose(table[name], vectors[table["row"]] @ vectors[400], atol=1e-5)
    cos = space.index("id").vectors @ space.index("id").vectors[400]
    cos[400] = -np.inf
    order = np.argsort(-cos, kind="stable").tolist()
    assert table["id_rank"].tolist() == [order.index(row) + 1 for row in table["row"]]
    assert space.neighbours("id", bench.dataset.n_items - 1).empty  # never bought


def test_most_moved(space: LatentSpace) -> None:
    table = space.moved("text", "id", limit=30)
    kept = space.agreement("text", "id")
    assert table["kept"].tolist() == kept[table["row"]].tolist()
    assert table["kept"].max() <= np.nanquantile(kept, 0.05)
    assert table["kept"].is_monotonic_increasing
    assert (table[table["kept"] == table["kept"].iat[0]]["purchases"].diff().dropna() <= 0).all()
    assert np.isfinite(table["kept"]).all()
    assert np.nanmin(space.agreement("text", "text")) == 1.0


def test_a_typed_text_lands_among_its_like(space: LatentSpace, bench: FakeWorkbench) -> None:
    found = space.probe("text", "espresso pods", S)
    assert found is not None
    items = bench.dataset.items
    assert set(items["type"].iloc[found["row"]]) == {"espresso pods"}
    mean = space.map("text", S)[found["row"]].mean(axis=0)
    np.testing.assert_allclose(found.attrs["xy"], mean, atol=0.15)
    assert space.probe("id", "espresso pods", S) is None  # nobody ever bought a text


def test_texts_that_cannot_be_placed(space: LatentSpace) -> None:
    for text in ("   ", "x" * 301):
        with pytest.raises(RequestError, match="cannot be placed"):
            Vectors.of_text(space.vectors, "text", text)


def test_a_path_is_in_order_of_time(space: LatentSpace) -> None:
    path = space.path("107")
    assert len(path) == 80
    assert path["time"].is_monotonic_increasing
    assert path["basket"].is_monotonic_increasing
    with pytest.raises(RequestError, match="unknown household"):
        space.path("nobody")


def test_the_queries_of_a_generation(space: LatentSpace, bench: FakeWorkbench) -> None:
    answer = bench.recommend(Request(user="107", instruction="pizza"))
    table = space.generation(answer, S)
    assert len(table) == 20
    assert table["phi"].is_monotonic_decreasing
    assert np.isfinite(table[["x", "y"]]).all(axis=None)
    vectors, sids, queries = space.index("fused").vectors, space.vectors.sids(), space.vectors.queries(answer)
    for prefix, nearest, cos, query in zip(table["prefix"], table["nearest"], table["cos"], queries, strict=True):
        inside = np.flatnonzero(sids[:, 0] == int(prefix[1:]))  # compared with the items of its own prefix, no others
        assert nearest in inside
        assert cos == pytest.approx(float((vectors[inside] @ query).max()), abs=1e-5)


def test_colours_of_everything(space: LatentSpace, bench: FakeWorkbench) -> None:
    items = bench.dataset.items
    names = colouring.options(space, items)
    assert {"department", "price", "purchases", "category", "brand"} <= set(names)
    assert not {"item_id", "title", "text"} & set(names)
    for name in names:
        shade = colouring.shade(space, items, name, "text", "grounded")
        assert shade.codes.dtype == np.uint8
        assert len(shade.codes) == len(shade.known) == len(items)
        assert len(shade.names) == len(shade.colours)
        assert bool(shade.names) != bool(shade.ticks)
        if shade.names:
            assert shade.codes.max() < len(shade.names)
    departments = colouring.shade(space, items, "department", "text", "id")
    assert [departments.names[code] for code in departments.codes[:3]] == items["department"].head(3).tolist()
    assert departments.colours[-1] == OTHER  # the ninth and tenth department
    price = colouring.shade(space, items, "price", "text", "id")
    assert np.corrcoef(price.codes, np.log(items["price"]))[0, 1] > 0.95
    sizes = colouring.sizes(np.array([0.0, 1.0, 4.0, np.nan]), 4)
    assert sizes.dtype == np.uint8
    assert sizes[0] == sizes[3] < sizes[1] < sizes[2]


def test_figures_of_the_evaluation_colour_items(
    space: LatentSpace, bench: FakeWorkbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "measured", lambda: pd.DataFrame({"item": [0, 2], "hr@10": [0.0, 1.0]}))
    assert "hr@10" in colouring.options(space, bench.dataset.items)
    shade = colouring.shade(space, bench.dataset.items, "hr@10", "text", "id")
    assert shade.known[:3].tolist() == [True, False, True]
    assert shade.codes[0] < shade.codes[2]


def test_what_ships_is_everything_that_a_cold_page_needs(
    bench: FakeWorkbench, own_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stub(monkeypatch, tmp_path)
    space = fake_space(bench, laid_out=False)
    monkeypatch.setattr("backend.grounding.pairs._MIN_HOUSEHOLDS", 1)
    space.shelf.put_arrays(f"text-{space.vectors.source('text')}", {"vectors": space.index("text").vectors.astype(np.float16)})
    size = ship(space, tmp_path / "atlas")
    assert size == sum(path.stat().st_size for path in (tmp_path / "atlas").iterdir()) > 0
    monkeypatch.setenv("SIGMASCOPE_CACHE", str(tmp_path / "elsewhere"))
    cold = fake_space(bench, laid_out=False)
    assert cold.missing(S, list(SPACES)) == list(SPACES)
    cold.shelf.shipped = tmp_path / "atlas"
    assert cold.missing(S, list(SPACES)) == []
    report = cold.report()
    assert report is not None
    assert {(cell["left"], cell["right"]) for cell in report["overlap"]} >= {("text", "id"), ("grounded", "fused")}
    assert [space["space"] for space in report["spaces"]] == list(SPACES)
    assert report["views"][0]["view"] == "collaborative"
    monkeypatch.setattr(cold.vectors, "load", None)  # nothing of this needs a vector
    assert all(len(cold.lists(name)) == bench.dataset.n_items for name in SPACES)
    assert all(set(cold.regions(name, S)) == {"label", "x", "y", "n", "share"} for name in SPACES)


def test_the_evaluations_figures_colour_the_map() -> None:
    """On the shipped demo, whose counts hold several recommenders, tasks and views of every item."""
    bench = Workbench.open()
    counts = bench.workspace.stage("evaluation").table("items")
    own = counts[
        (counts["recommender"] == OURS) & (counts["task"] == "Query") & (counts["view"] == "all") & (counts["targets"] > 3)
    ]
    names = colouring.metrics(bench.space)
    assert len(names) == counts["task"].nunique()
    for name in names:
        shade = colouring.shade(bench.space, bench.dataset.items, name, "text", "grounded")
        assert shade.known.any()
    table = bench.space.measured()
    assert table is not None
    found = table.set_index("item")["recall@10, Query"]
    for row in own.head(20).itertuples():
        assert found[row.item] == row.hits / row.targets
    outcomes = bench.space.outcomes()
    assert len(outcomes) == 4 * counts["task"].nunique()
    wanted, hit, missed = (set(outcomes[f"Query: {name}"].tolist()) for name in ("wanted", "hit", "missed"))
    assert wanted == set(found.dropna().index)
    assert hit == set(found[found > 0].index)
    assert missed == wanted - hit
    assert not set(outcomes["Query: shown in vain"].tolist()) & hit
    assert bench.space.outcome_split() in ("validation", "test")
