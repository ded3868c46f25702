"""The shippable copy of a workspace: no tables, no household's rows, and the further stages where they fit."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from backend.commands import bundle as bundling
from backend.commands.bundle import bundle
from backend.workspace import Workspace


@pytest.fixture
def whole(aligned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr(bundling, "ship", lambda space, folder: None)  # maps have tests of their own
    shutil.copytree(aligned, tmp_path / "workspace")
    workspace = Workspace(tmp_path / "workspace")
    with workspace.write("evaluation", {"split": "test"}, 7) as stage:
        stage.table("results", pd.DataFrame({"mean": [0.5]}))
        stage.table("examples", pd.DataFrame({"user": [1]}))
    return workspace


def test_what_goes_along(whole: Workspace, tmp_path: Path) -> None:
    size = bundle(whole, tmp_path / "copy")
    copy = Workspace(tmp_path / "copy")
    files = {str(path.relative_to(copy.path)) for path in copy.path.rglob("*") if path.is_file()}
    assert size == sum((copy.path / name).stat().st_size for name in files)
    assert {"judge/student.safetensors", "policy/policy.safetensors", "evaluation/results.parquet"} <= files
    assert all(copy.fits(stage) for stage in ("model", "judge", "policy"))
    assert "evaluation/examples.parquet" not in files
    assert not [name for name in files if name.startswith("dataset/") and name.endswith(".parquet")]


def test_a_stage_that_does_not_fit_stays_behind(whole: Workspace, tmp_path: Path) -> None:
    shutil.rmtree(whole.path / "judge")
    bundle(whole, tmp_path / "copy")
    assert not (tmp_path / "copy" / "judge").exists()
    assert not (tmp_path / "copy" / "policy").exists()
