"""The judge's scores of the whole catalogue: those that the policies were paid by, opened again when the judge changes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from backend.alignment.arm import Scorer
from backend.alignment.rewards import BusinessReward
from backend.data.split import split
from backend.data.store import dataset_settings, open_dataset
from backend.evaluation.cases import build_cases
from backend.evaluation.components import moment_of
from backend.generation.generator import Generator
from backend.generation.judged import Moment
from backend.instructions.tasks import registry
from backend.judge.aspects import ASPECTS
from backend.judge.availability import why_missing
from backend.judge.making import load_judge
from backend.judge.scores import JudgeScores
from backend.settings import RewardSettings
from backend.workspace import Workspace
from tests.small import small_model


def manifest(folder: Path, **metrics: object) -> None:
    path = folder / "judge" / "manifest.json"
    text = json.loads(path.read_text())
    path.write_text(json.dumps({**text, "metrics": {**text["metrics"], **metrics}}))


@pytest.fixture(scope="module")
def workspace(aligned: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """With all aspects in use, whatever the tiny shop's measures say."""
    folder = tmp_path_factory.mktemp("scores") / "workspace"
    shutil.copytree(aligned, folder)
    manifest(folder, used=list(ASPECTS))
    return Workspace(folder)


def test_they_are_the_rewards_of_the_policies(workspace: Workspace) -> None:
    dataset = open_dataset(workspace)
    parts = split(dataset, dataset_settings(workspace))
    cases = build_cases(dataset, parts.test.head(6), registry(dataset), seed=3)
    reward = BusinessReward(dataset, parts.train_events, RewardSettings())
    scorer, scores = Scorer(dataset, reward, load_judge(workspace, dataset)), JudgeScores(workspace, dataset)
    generator = Generator(small_model(dataset), dataset)
    items = np.arange(dataset.n_items)
    for case in cases:
        found = scores.scores(moment_of(generator, case))
        np.testing.assert_allclose(found, scorer.semantic(case, items), rtol=1e-6)
        assert (found >= 0).all()
        assert (found <= 1).all()
        assert len(np.unique(found)) > 1


def test_a_composed_household_is_scored_too(workspace: Workspace) -> None:
    dataset = open_dataset(workspace)
    none = np.zeros(0, np.int64)
    day = dataset.events["time"].max().to_datetime64().astype("datetime64[D]")
    scores = JudgeScores(workspace, dataset)
    unknown = scores.scores(Moment(None, day, none, np.zeros(0), none))
    assert np.isfinite(unknown).all()
    one = np.array([3])
    assert not np.allclose(unknown, scores.scores(Moment(None, day, one, np.array([4.0]), np.array([0]))))


def test_a_judge_that_was_trained_again_is_opened_again(workspace: Workspace, tmp_path: Path) -> None:
    shutil.copytree(workspace.path, tmp_path / "own")
    own = Workspace(tmp_path / "own")
    dataset = open_dataset(own)
    scores = JudgeScores(own, dataset)
    day = dataset.events["time"].max().to_datetime64().astype("datetime64[D]")
    moment = Moment(0, day, np.array([3, 5]), np.array([9.0, 4.0]), np.array([0, 1]))
    first, made = scores.scores(moment), scores.fingerprint()
    assert made
    manifest(own.path, used=["novelty"])
    path = own.path / "judge" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "fingerprint": "another"}))
    assert scores.fingerprint() == "another"
    assert not np.allclose(first, scores.scores(moment))


def test_why_there_are_none(workspace: Workspace, trained: Path, tmp_path: Path) -> None:
    assert why_missing(workspace) == ""
    assert "train --recipe sgrec" in why_missing(Workspace(trained))
    made = workspace.stage("judge").fingerprint
    assert why_missing(workspace, made) == ""
    assert "prepare them again" in why_missing(workspace, "")
    shutil.copytree(workspace.path, tmp_path / "own")
    manifest(tmp_path / "own", used=[])
    assert "not used" in why_missing(Workspace(tmp_path / "own"))
    path = tmp_path / "own" / "dataset" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "fingerprint": "other"}))
    assert "stale" in why_missing(Workspace(tmp_path / "own"))
    (tmp_path / "own" / "judge" / "manifest.json").write_text("{")
    assert "cannot be read" in why_missing(Workspace(tmp_path / "own"))
