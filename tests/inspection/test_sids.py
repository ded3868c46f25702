"""Looking into the semantic IDs of a workspace that the project's own commands made."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from backend.errors import Cancelled, RequestError, WorkspaceError
from backend.inspection.sids import Sids
from backend.progress import CancelToken, silent
from backend.settings import TokenSettings
from backend.tokenization.prefixes import prefix_name
from backend.workbench import Workbench
from backend.workspace import Workspace


@pytest.fixture(scope="module")
def bench(trained: Path) -> Workbench:
    return Workbench.open(trained)


def test_a_title_that_is_not_changed_keeps_its_sid(bench: Workbench) -> None:
    for item, title in zip(bench.dataset.items["item_id"], bench.dataset.items["title"], strict=True):
        placed = bench.sids.retitle(item, f"  {title} ")
        assert placed.before == placed.after == bench.sids.sid(bench.sids.row(item))
        assert placed.changed == ()
        assert placed.cosine == pytest.approx(1.0, abs=1e-3)


def test_another_title_takes_the_codes_of_its_new_vector(bench: Workbench) -> None:
    sids, items = bench.sids, bench.dataset.items
    one, two = items.iloc[0], items.iloc[-1]
    placed = sids.retitle(one["item_id"], two["title"])
    edited = one["text"].replace(one["title"], two["title"])
    vector = sids._grounded(edited)
    expected = sids.quantizer.encode(vector[None])[0]
    if expected[0] != sids.quantizer.encode(sids.vectors[:1])[0, 0]:
        assert placed.after == prefix_name(expected.tolist())
    differ = [a != b for a, b in zip(placed.before.split("·"), placed.after.split("·"), strict=True)]
    assert placed.changed == tuple(np.flatnonzero(differ) + 1)
    assert placed.cosine < 0.999
    alone = sids.retitle(None, str(two["text"]))
    assert alone.before == ""
    assert alone.near["item_id"].iat[0] == two["item_id"], "the text of an item is nearest to that item"
    assert alone.near["cosine"].is_monotonic_decreasing


@pytest.mark.parametrize(("item", "title"), [("t-000", "   "), ("t-000", "x" * 301), ("nobody", "tea")])
def test_what_cannot_be_placed_is_a_users_error(bench: Workbench, item: str, title: str) -> None:
    with pytest.raises(RequestError):
        bench.sids.retitle(item, title)
    with pytest.raises(RequestError):
        bench.sids.node("z99")
    assert bench.sids.node("·") == bench.sids.node("") == "·"


def test_the_residual_path_ends_where_the_reconstruction_does(bench: Workbench) -> None:
    sids = bench.sids
    for row in (0, 17, 59):
        path, vector = sids.path(row), sids.vectors[row]
        left = vector - sids.quantizer.decode(sids.codes[row : row + 1])[0]
        assert path.levels["explained"].iat[-1] == pytest.approx(1 - (left**2).sum() / (vector**2).sum(), abs=1e-5)
        assert path.levels["gain"].sum() == pytest.approx(path.levels["explained"].iat[-1])
        assert path.levels["code"].tolist() == sids.codes[row].tolist()


def test_sharing_lists_are_disjoint_and_whole(bench: Workbench) -> None:
    sids, row = bench.sids, 5
    listed = [set(sids.sharing(row, level)["item_id"]) for level in range(1, 5)]
    naive = [set() for _ in range(5)]
    for other in range(len(sids.items)):
        same = 0
        while same < 4 and sids.codes[other, same] == sids.codes[row, same]:
            same += 1
        if other != row:
            naive[same].add(sids.items["item_id"].iat[other])
    assert listed == naive[1:]


def test_soft_parts_add_up_and_agree_with_the_model(bench: Workbench) -> None:
    import torch

    model = bench.generator().model
    parts = bench.soft_parts("t-003")
    assert parts.shares["share"].sum() == pytest.approx(1.0, abs=1e-4)
    row = bench.sids.row("t-003")
    with torch.inference_mode():
        whole = model.fuse(model._ids[row : row + 1], model._text[row : row + 1], None, model._known[row : row + 1])[0]
        silent_ids = model.fuse(model._ids[row : row + 1], model._text[row : row + 1], None, torch.tensor([False]))[0]
    found = parts.ablations.set_index("without")["cosine"]
    assert found["without behaviour"] == pytest.approx(float(whole @ silent_ids), abs=1e-5)
    assert parts.known
    assert parts.ablations["kept"].between(0, 10).all()


def test_counts_of_the_evaluation_reach_the_tree(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    shutil.copytree(trained, folder)
    workspace = Workspace(folder)
    plain = Workbench(workspace).sids
    assert plain.counts is None
    assert plain.measured() == []
    assert plain.hits("JustForYou", "all") is None
    with workspace.write("evaluation", {}, 7) as stage:
        counts = {"item": [0, 1, 0], "targets": [3, 2, 3], "hits": [1, 0, 3], "shown": [4, 1, 5]}
        names = {"recommender": ["popularity", "popularity", "SIGMA"], "task": "JustForYou", "view": "all"}
        stage.table("items", pd.DataFrame(counts).assign(**names))
    sids = Workbench(workspace).sids
    assert sids.measured() == [("JustForYou", "all")]
    assert sids.recommenders() == ["SIGMA", "popularity"]
    found = sids.hits("JustForYou", "all")
    assert found is not None
    assert found.at["·", "recall"] == 1.0
    theirs = sids.hits("JustForYou", "all", "popularity")
    assert theirs is not None
    assert theirs.at["·", "targets"] == 5
    assert theirs.at[sids.sid(0), "hits"] >= 1


def test_another_tokenization_is_made_once(bench: Workbench, own_cache: Path) -> None:
    sids, settings = bench.sids, TokenSettings(levels=2, codes=4, iterations=3)
    first = sids.other(settings, None, silent, CancelToken())
    assert sids.other_path(settings).is_file()
    again = sids.other(settings, None, silent, CancelToken())
    np.testing.assert_array_equal(first.right.sids, again.right.sids)
    assert first.left.sids is sids.codes
    assert sids.other_key(settings) != sids.other_key(settings, seed=8)
    assert sids.other_key(settings) != sids.other_key(TokenSettings(levels=2, codes=4, iterations=3, quantizer="rq-vae"))
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        sids.other(settings, 9, silent, token)
    assert not sids.other_path(settings, 9).exists()


def test_parts_that_do_not_fit_are_named(bench: Workbench) -> None:
    with pytest.raises(WorkspaceError, match="59 items"):
        Sids(bench.workspace, bench.dataset.items.iloc[:-1], bench.dataset.events, bench.lookup.people.item_row)


def test_health_is_that_of_the_build(bench: Workbench) -> None:
    stored = bench.workspace.stage("tokens").metrics
    found = bench.sids.health
    assert found["collisions"] == stored["collisions"]
    for one, two in zip(found["levels"], stored["levels"], strict=True):
        assert one == pytest.approx(two, rel=1e-5)
    assert [verdict.name for verdict in bench.sids.verdicts()] == ["Usage", "Perplexity", "Collisions", "Skew", "Meaning"]
