"""Who made a result: a commit that a file differs from does not pass for what was run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from backend import workspace
from backend.cli import main
from backend.commands import measuring
from backend.workspace import _commit, provenance, running_commit


def test_a_changed_folder_is_not_its_commit(tmp_path: Path) -> None:
    def git(*argv: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *argv], cwd=tmp_path, check=True, capture_output=True
        )

    assert _commit(tmp_path) == "unknown", "no repository"
    git("init")
    (tmp_path / "code.py").write_text("1")
    git("add", ".")
    git("commit", "-m", "one")
    clean = _commit(tmp_path)
    assert clean.isalnum()
    (tmp_path / "code.py").write_text("2")
    assert _commit(tmp_path) == f"{clean}+"
    git("commit", "-am", "two")
    assert _commit(tmp_path) not in (clean, f"{clean}+")


def test_a_long_run_is_of_the_commit_that_it_began_with(monkeypatch: pytest.MonkeyPatch) -> None:
    at, found = ["began"], []

    def evaluate(*_: object) -> None:
        at[0] = "somebody commits meanwhile"
        found.append(provenance()["commit"])

    monkeypatch.setattr(workspace, "_commit", lambda folder: at[0])
    monkeypatch.setattr(measuring, "evaluate", evaluate)
    running_commit.cache_clear()
    try:
        assert main(["evaluate"]) == 0
    finally:
        running_commit.cache_clear()
    assert found == ["began"]
