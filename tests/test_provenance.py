"""Who made a result: a commit that a file differs from does not pass for what was run."""

from __future__ import annotations

import subprocess
from pathlib import Path

from backend.workspace import _commit


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
