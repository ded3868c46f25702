"""Trainings of policies as they were measured: a run and the file that its command wrote are one."""

from __future__ import annotations

import json
from pathlib import Path

from backend.alignment.training import result
from backend.inspection.health import inspect
from backend.inspection.judge_arms import every_arms
from backend.workspace import Workspace


def test_a_run_and_its_result_file_are_one(aligned: Path, tmp_path: Path) -> None:
    workspace = Workspace(aligned)
    stage, found = inspect(workspace).stages["policy"], result(workspace)
    (tmp_path / "same.json").write_text(json.dumps(found), "utf-8")
    (tmp_path / "other.json").write_text(json.dumps({**found, "date": "2001-01-01T00:00:00Z"}), "utf-8")
    (tmp_path / "broken.json").write_text("{", "utf-8")
    assert [run.name for run in every_arms(workspace, stage, tmp_path)] == ["this workspace", "other"]


def test_a_read_only_workspace_names_no_folder_to_train_in(aligned: Path, tmp_path: Path) -> None:
    told = [
        every_arms(workspace, inspect(workspace).stages["policy"], tmp_path)[0].origin.command
        for workspace in (Workspace(aligned), Workspace(aligned, read_only=True))
    ]
    assert f"--workspace {aligned}" in told[0]
    assert "--workspace DIR" in told[1]
    assert all("--set 'policy.lr=0.01'" in each for each in told)
