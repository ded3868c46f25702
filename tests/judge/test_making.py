"""The judge stage: made once, opened again, stale when its inputs change; held-out households stay unseen."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from backend.data.store import open_dataset
from backend.errors import Cancelled, WorkspaceError
from backend.judge.aspects import ASPECTS, Situations
from backend.judge.making import PROXY, held_households, load_judge, make_judge
from backend.progress import CancelToken, Progress
from backend.settings import load_preset
from backend.workspace import Workspace

QUICK = load_preset("tiny").judge


@pytest.fixture(scope="module")
def judged(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("judged") / "workspace"
    shutil.copytree(built, folder)
    workspace = Workspace(folder)
    make_judge(workspace, QUICK)
    return workspace


def test_what_is_stored_judges_again(judged: Workspace) -> None:
    dataset = open_dataset(judged)
    found = load_judge(judged, dataset)
    metrics = judged.stage("judge").metrics
    assert metrics["labels"] == PROXY
    assert set(found.judge.aspects) == set(metrics["used"])
    situation = Situations(dataset).before(0, int(Situations(dataset).past.first[1]) - 1)
    said = found.judge.judge(situation, np.arange(10), reasons=True)
    for column, name in enumerate(ASPECTS):
        assert (said.levels[:, column] >= 0).all() == (name in metrics["used"])
    weights = found.weights.of(found.evidence.user_facts(situation)[None])
    assert weights.sum() == pytest.approx(1.0)
    rows = metrics["aspects"]
    assert {row["judge"] for row in rows} == {"student", "cosine similarity", "popularity"}
    assert all(row["n"] <= metrics["households"]["held out"] for row in rows)
    assert {row["method"] for row in metrics["weights"]} >= {"uniform", "group-relative", "Bradley-Terry"}


def test_a_judge_that_is_there_is_kept(judged: Workspace) -> None:
    before = judged.stage("judge").manifest
    events: list[Progress] = []
    make_judge(judged, QUICK, report=events.append)
    assert [event.message for event in events] == ["kept"]
    assert judged.stage("judge").manifest == before


def test_held_out_households_are_not_counted(judged: Workspace) -> None:
    dataset = open_dataset(judged)
    held = held_households(len(dataset.users), QUICK.held, 7)
    popular = np.expm1(load_judge(judged, dataset).evidence.popular)
    seen = dataset.events[(dataset.events["time"] < "2017-11-13") & ~held[dataset.events["user"].to_numpy()]]
    assert np.allclose(popular, np.bincount(seen["item"], minlength=dataset.n_items))
    assert 0 < held.sum() < len(held)


def test_cancelled_or_without_tokens_nothing_is_written(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path / "own")
    workspace, cancel = Workspace(tmp_path / "own"), CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        make_judge(workspace, QUICK, cancel=cancel)
    assert not workspace.has("judge")
    with pytest.raises(WorkspaceError, match="no judge stage"):
        load_judge(workspace, open_dataset(workspace))
