"""The arms as they were measured: the policy stage of a workspace, and the result files that hold such a table. Reads JSON only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from backend.inspection.evidence import RESULTS, Origin, origin_of
from backend.inspection.health import StageInfo
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
    table: str = ""  # the comparison that it is a line of (`experiments.policies`); "" = a training of its own


def every_arms(workspace: Workspace, stage: StageInfo, folder: Path = RESULTS) -> list[Arms]:
    """This workspace's training of policies, as far as there is one, then those of the result files.

    Args:
        stage: the policy stage.
    """
    found: list[Arms] = []
    if stage.state in ("ok", "stale") and "rows" in stage.metrics:
        machine = workspace.stage("policy").manifest.get("machine")
        where = Path("DIR") if workspace.read_only else workspace.path  # the shipped demo cannot be trained in
        command = f"{command_of('policy', where)}{policy_changes(stage.settings)} --json"
        about = {"settings": stage.settings, "date": stage.date, "commit": stage.commit, "machine": machine, "command": command}
        found += _arms("this workspace", "policy/manifest.json", {**stage.metrics, **about})
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        found += _file(path)
    runs: dict[str, Arms] = {}
    for each in found:
        # a run and its result file are one
        runs.setdefault((each.table and each.name) or each.origin.date or each.name, each)
    return list(runs.values())


def _file(path: Path) -> list[Arms]:
    """The arms of a result file; none where it holds none or cannot be read (the Evidence page names such files)."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return []
        return _arms(path.stem, path.name, json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def _arms(name: str, file: str, data: Mapping[str, Any]) -> list[Arms]:
    """One run, or the lines of a table of them."""
    rows = [row for row in data["rows"] if "arm" in row]
    settings, found = data.get("settings") or {}, []
    for line in dict.fromkeys(row.get("line", "") for row in rows):
        own = [row for row in rows if row.get("line", "") == line]
        judged = own[0].get("share", settings.get("judged"))
        title = f"{name}: {line}" if line else name
        frame = pd.DataFrame(own).assign(run=title, judged=judged)
        origin = replace(origin_of(file, data), n=f"{int(frame['n'].max()):,}")
        found.append(Arms(title, judged, str(settings.get("chosen") or ""), frame, origin, str(data.get("table") or "")))
    return found
