"""What a model was trained on is what is asked of it: the setting, the samples, the evaluation's cases."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.cli import main
from backend.data.schema import Dataset
from backend.data.seasons import SeasonSplit
from backend.data.split import Split, split
from backend.data.store import dataset_settings, open_dataset
from backend.errors import RequestError
from backend.evaluation.cases import Case, build_cases
from backend.evaluation.seasons import season_cases
from backend.instructions.catalogue import TASKS
from backend.instructions.tasks import task_classes
from backend.instructions.trained import further_examples, tasks_of, trained_tasks
from backend.settings import TrainSettings
from backend.workspace import Workspace
from tests.shop import SETTINGS

EVERY = [task.name for task in task_classes()]


def test_the_default_is_every_task(built: Path, trained: Path) -> None:
    assert trained_tasks(Workspace.open(built)) == TrainSettings().tasks == tuple(EVERY)
    assert trained_tasks(Workspace.open(trained)) == TASKS, "the tiny preset names its own"


def test_only_the_named_ones_in_their_order(built: Path) -> None:
    workspace = Workspace.open(built)
    dataset = open_dataset(workspace)
    counted = np.ones(len(dataset.events), bool)
    assert list(tasks_of(workspace, dataset, counted, TASKS)) == list(TASKS)
    assert list(tasks_of(workspace, dataset, counted, ["Budget", "Query", "Season"])) == ["Budget", "Query", "Season"]
    with pytest.raises(RequestError, match=r"Buget.*choose from: JustForYou"):
        tasks_of(workspace, dataset, counted, ["Buget"])


def test_a_model_of_every_task(built: Path, tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    shutil.copytree(built, folder)
    options = ["--set", f"train.tasks={json.dumps(EVERY)}", "--set", "train.held_households=0.2"]
    assert main(["train", "--workspace", str(folder), *SETTINGS, *options]) == 0
    workspace = Workspace.open(folder)
    assert trained_tasks(workspace) == tuple(EVERY)
    assert workspace.stage("model").manifest["settings"]["train"]["held_households"] == 0.2
    assert len(further_examples(workspace)) == len(EVERY) - len(TASKS)
    dataset = open_dataset(workspace)
    parts = split(dataset, dataset_settings(workspace))
    cases = build_cases(dataset, parts.validation, tasks_of(workspace, dataset, parts.train_events), seed=7)
    asked = {case.task for case in cases}
    assert {"JustForYou", "Category", "Query", "Longtail", "Budget"} <= asked <= set(EVERY)
    for case in cases:
        assert case.allowed is None or case.allowed[case.targets].all()


@pytest.fixture(scope="module")
def seasonal(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose model was trained without a half of the households."""
    folder = tmp_path_factory.mktemp("seasonal") / "workspace"
    shutil.copytree(built, folder)
    options = ["--set", 'train.tasks=["JustForYou","Season","Holiday"]', "--set", "train.held_households=0.5"]
    assert main(["train", "--workspace", str(folder), *SETTINGS, *options]) == 0
    return folder


def test_seasons_are_asked_of_held_households_alone(seasonal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from backend.evaluation import questions, run

    seen: dict[str, Any] = {}

    def fitted(name: str, dataset: Dataset, parts: Split, **_: Any) -> Any:
        seen["parts"] = parts
        raise StopIteration

    def asked_about(dataset: Dataset, fair: SeasonSplit, *rest: Any) -> list[Case]:
        seen["fair"], seen["cases"] = fair, season_cases(dataset, fair, *rest)
        return seen["cases"]  # type: ignore[no-any-return]

    monkeypatch.setattr(run, "fit", fitted)
    monkeypatch.setattr(questions, "season_cases", asked_about)
    with pytest.raises(StopIteration):
        run.evaluate_workspace(Workspace.open(seasonal), "test", baselines=("popularity",))
    held = seen["fair"].held
    assert {case.task for case in seen["cases"]} <= {"Season", "Holiday"}
    assert seen["cases"]
    assert all(held[case.user] for case in seen["cases"])
    assert not held[seen["parts"].train["user"]].any(), "baselines are fitted without them too"


def test_the_share_of_held_households_is_always_stored() -> None:
    """The default may change; what a model was trained without may not."""
    assert TrainSettings(held_households=0.0).model_dump(mode="json")["held_households"] == 0.0
