"""Warming a workbench up: in the background, once; what stays is left out of later garbage collections, and a user's error is not lost."""

from __future__ import annotations

import gc
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from backend.errors import WorkspaceError
from backend.settings import FusionSettings
from backend.workbench import Workbench
from backend.workspace import Workspace


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when everything alive was set aside; nothing is, so that other tests keep their garbage."""
    event = threading.Event()
    monkeypatch.setattr(gc, "freeze", event.set)
    return event


def test_what_stays_is_set_aside_when_the_model_is_there(built: Path, frozen: threading.Event) -> None:
    there: list[bool] = []

    def load(workspace: Workspace, dataset: Any) -> Any:
        there.append(frozen.is_set())
        return object()

    bench = Workbench(Workspace(built), generator_loader=load)
    bench.warm()
    assert frozen.wait(60)
    assert there == [False], "the model came first"
    assert bench.ready


def test_without_a_model_nothing_is_set_aside(built: Path, frozen: threading.Event) -> None:
    asked = threading.Event()

    def load(workspace: Workspace, dataset: Any) -> Any:
        asked.set()
        raise WorkspaceError("there is no model")

    bench = Workbench(Workspace(built), generator_loader=load)
    bench.warm()
    assert asked.wait(60)
    assert not frozen.wait(0.5)
    with pytest.raises(WorkspaceError, match="no model"):
        bench.generator()


def test_the_fusion_that_was_chosen_is_read_again_when_it_is_evaluated_again(trained: Path, tmp_path: Path) -> None:
    workspace = Workspace(shutil.copytree(trained, tmp_path / "own", ignore=shutil.ignore_patterns("evaluation")))
    bench = Workbench(workspace)
    assert bench.fusion() == FusionSettings()
    for tau in (0.2, 0.3):
        with workspace.write("evaluation", {}, seed=7) as stage:
            stage.json("fusion", {"best": {"tau": tau, "top": 5}})
        assert bench.fusion() == bench.fusion() == FusionSettings(tau=tau)  # as many items as usual
