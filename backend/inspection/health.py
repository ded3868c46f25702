"""The health of a workspace: which stages are there, which are stale, and their headline figures.

Reads manifests only, so it answers in milliseconds and before any heavy library is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from backend.errors import WorkspaceError
from backend.workspace import EXTRAS, STAGES, Workspace, command_of

State = Literal["ok", "stale", "missing", "damaged"]


@dataclass(frozen=True)
class StageInfo:
    """One stage as its manifest tells it."""

    name: str
    state: State
    reason: str = ""  # why it is stale or damaged
    command: str = ""  # what makes it (again)
    seconds: float | None = None
    date: str = ""
    commit: str = ""
    machine: str = ""
    fingerprint: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Info:
    """A workspace at a glance."""

    path: str
    demo: bool
    stages: Mapping[str, StageInfo]

    @property
    def state(self) -> State:
        """The worst state of all stages; what the health dot shows."""
        found = [stage.state for stage in self.stages.values()]
        order: tuple[State, ...] = ("damaged", "missing", "stale", "ok")
        return next(state for state in order if state in found)

    @property
    def usable(self) -> bool:
        """Whether everything that a recommendation needs is there and fits together."""
        return all(self.stages[name].state == "ok" for name in ("dataset", "grounding", "tokens", "model"))

    @property
    def problems(self) -> list[str]:
        """One sentence for each stage that is not ok."""
        return [
            f"{stage.name} is {stage.state}{': ' + stage.reason if stage.reason else ''}"
            for stage in self.stages.values()
            if stage.state != "ok"
        ]


def inspect(workspace: Workspace, demo: bool = False) -> Info:
    """State and headline figures of every stage; never raises for a single bad stage."""
    names = [*STAGES, *(name for name in EXTRAS if workspace.has(name))]
    return Info(str(workspace.path), demo, {name: _stage(workspace, name) for name in names})


def empty(path: str, reason: str) -> Info:
    """The health of a folder that holds no workspace."""
    return Info(path, False, {name: StageInfo(name, "missing", reason, command_of(name, path)) for name in STAGES})


def _stage(workspace: Workspace, name: str) -> StageInfo:
    """State and headline figures of one stage; never raises for a bad one."""
    command = command_of(name, workspace.path)
    if not workspace.has(name):
        return StageInfo(name, "missing", command=command)
    try:
        manifest, reason = workspace.stage(name).manifest, workspace.stale(name)
    except (WorkspaceError, KeyError, TypeError) as error:
        return StageInfo(name, "damaged", str(error), command)
    machine = manifest.get("machine") or {}
    return StageInfo(
        name,
        "stale" if reason else "ok",
        reason,
        command,
        manifest.get("seconds"),
        str(manifest.get("date", "")),
        str(manifest.get("commit", "")),
        f"{machine.get('cpu', 'unknown')}, {machine.get('cores', '?')} cores" if isinstance(machine, dict) else str(machine),
        str(manifest.get("fingerprint", "")),
        dict(manifest.get("metrics") or {}),
        dict(manifest.get("settings") or {}),
    )
