"""A judge is opened once in a process, whoever asks: the Judge page, the recommendation that weighs its score, several sessions.

Opening counts evidence over all receipts, which takes seconds; what is opened is never changed. A judge that was made again (its manifest was
written again) is opened again, and the one before is let go.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from backend.data.schema import Dataset
from backend.workspace import Workspace

if TYPE_CHECKING:
    from backend.judge.making import OpenJudge

_KEPT = 2  # workspaces whose judge stays open
_open: dict[tuple[str, str], OpenJudge] = {}
_lock = threading.Lock()


def opened(workspace: Workspace, dataset: Dataset) -> OpenJudge:
    """The judge of a workspace.

    Args:
        dataset: the workspace's tables.

    Raises:
        WorkspaceError: the stage is missing, stale or damaged.
    """
    key = _key(workspace)
    with _lock:
        if key not in _open:
            from backend.judge.making import load_judge  # takes a second to import, and most requests need none

            found = load_judge(workspace, dataset)
            for other in [other for other in _open if other[0] == key[0]]:
                del _open[other]
            while len(_open) >= _KEPT:
                del _open[next(iter(_open))]
            _open[key] = found
        return _open[key]


def is_open(workspace: Workspace) -> bool:
    """Whether the judge is there at once."""
    return workspace.fits("judge") and _key(workspace) in _open


def _key(workspace: Workspace) -> tuple[str, str]:
    stage = workspace.fresh_stage("judge")
    written = (stage.path / "manifest.json").stat().st_mtime_ns
    return str(workspace.path.resolve()), f"{stage.fingerprint} {written}"
