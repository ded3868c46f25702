"""The arms as they were measured: the policy stage of a workspace, and the result files that hold such a table. Reads JSON only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from backend.evidence import RESULTS, Origin, origin_of
from backend.health import StageInfo
from backend.settings import policy_changes
from backend.workspace import Workspace, command_of

_MOST_BYTES = 4 << 20  # of a result file


@dataclass(frozen=True)
class Arms:
    """What one training of policies measured: rows as `alignment.training.arm_rows` has them, with `run` and `judged` (share of contexts)."""

    name: str
    judged: float | None
    chosen: str  # the arm whose weights the stage serves
    frame: pd.DataFrame
    origin: Origin


def every_arms(workspace: Workspace, stage: StageInfo, folder: Path = RESULTS) -> list[Arms]:
    """This workspace's training of policies, as far as there is one, then those of the result files.

    Args:
        stage: the policy stage.
    """
    found: list[Arms | None] = []
    if stage.state in ("ok", "stale") and "rows" in stage.metrics:
        machine = workspace.stage("policy").manifest.get("machine")
        where = Path("DIR") if workspace.read_only else workspace.path  # the shipped demo cannot be trained in
        command = f"{command_of('policy', where)}{policy_changes(stage.settings)} --json"
        about = {"settings": stage.settings, "date": stage.date, "commit": stage.commit, "machine": machine, "command": command}
        found.append(_arms("this workspace", "policy/manifest.json", {**stage.metrics, **about}))
    found += [_file(path) for path in (sorted(folder.glob("*.json")) if folder.is_dir() else [])]
    runs: dict[str, Arms] = {}
    for each in found:
        if each is not None:
            runs.setdefault(each.origin.date or each.name, each)  # a run and its result file are one
    return list(runs.values())


def _file(path: Path) -> Arms | None:
    """The arms of a result file; None where it holds none or cannot be read (the Evidence page names such files)."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        return _arms(path.stem, path.name, json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _arms(name: str, file: str, data: Mapping[str, Any]) -> Arms | None:
    rows = [row for row in data["rows"] if "arm" in row]
    if not rows:
        return None
    settings = data.get("settings") or {}
    judged = settings.get("judged")
    frame = pd.DataFrame(rows).assign(run=name, judged=judged)
    most = int(frame["n"].max())
    return Arms(name, judged, str(settings.get("chosen") or ""), frame, replace(origin_of(file, data), n=f"{most:,}"))
