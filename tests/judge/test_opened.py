"""A judge is opened once, whoever asks, and again when it was made again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from backend.data.store import open_dataset
from backend.errors import WorkspaceError
from backend.judge.opened import is_open, opened
from backend.workspace import Workspace


def test_once_for_all(aligned: Path, tmp_path: Path) -> None:
    shutil.copytree(aligned, tmp_path / "own")
    workspace = Workspace(tmp_path / "own")
    dataset = open_dataset(workspace)
    assert not is_open(workspace)
    first = opened(workspace, dataset)
    assert opened(Workspace(tmp_path / "own"), dataset) is first
    assert is_open(workspace)
    manifest = tmp_path / "own" / "judge" / "manifest.json"
    manifest.write_text(manifest.read_text())
    assert not is_open(workspace), "it was made again"
    assert opened(workspace, dataset) is not first
    shutil.rmtree(manifest.parent)
    assert not is_open(workspace)
    with pytest.raises(WorkspaceError, match="no judge stage"):
        opened(workspace, dataset)
