"""Comparisons of policies beside the stage: what the judge's share buys, which lever decides, how arms fare on the test window.

- A line of a table is a change of the policy settings; its arms are trained with every seed from the workspace's own model and measured on
  one window of time. Nothing of the workspace changes but the folder of finished runs.
- Killed at any moment, the same command goes on where it was: a run (an arm under a seed) is whole or absent.
- A judge that costs (an endpoint) is asked again only about what its cache on disk does not hold.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from backend.alignment.ground import Ground
from backend.alignment.runs import Run, arm_rows
from backend.alignment.training import check_arms, judged_by, run_arms
from backend.disk import disk_error
from backend.errors import RequestError
from backend.evaluation.questions import SplitName
from backend.judge.making import PROXY
from backend.progress import CancelToken, Progress, Report, silent
from backend.settings import PolicySettings, merged
from backend.workspace import Workspace, fingerprint, provenance

TABLES = Path(__file__).with_name("policies.toml")


def policy_tables() -> list[str]:
    """The tables that ship with the project."""
    return list(tomllib.loads(TABLES.read_text("utf-8")))


def lines_of(
    table: str, start: PolicySettings, changes: Mapping[str, Any], only: Sequence[str] = ()
) -> dict[str, PolicySettings]:
    """The settings of a table's lines.

    Args:
        start: what a line changes.
        changes: of all lines, from the command line; they win.
        only: lines to keep; none = all.

    Raises:
        RequestError: an unknown line, or an impossible setting.
    """
    found = tomllib.loads(TABLES.read_text("utf-8"))[table]
    for name in only:
        if name not in found:
            raise RequestError(f"the table {table} has no line {name[:40]!r}", "--only", f"choose from: {'; '.join(found)}")
    try:
        lines = {
            name: PolicySettings(**merged(merged(start.model_dump(mode="json"), line), changes))
            for name, line in found.items()
            if not only or name in only
        }
    except ValidationError as error:
        first = error.errors()[0]
        raise RequestError(f"impossible setting: {first['msg']}", f"policy.{'.'.join(map(str, first['loc']))}") from error
    for settings in lines.values():
        check_arms(settings)
    return lines


def settings_in(workspace: Workspace) -> PolicySettings:
    """The workspace's own policy settings, or the default where it has no policies; its arms stay out of it."""
    if not workspace.has("policy"):
        return PolicySettings()
    kept = workspace.stage("policy").manifest.get("settings") or {}
    return PolicySettings(**{name: value for name, value in kept.items() if name in PolicySettings.model_fields})


def compare_policies(
    workspace: Workspace,
    table: str,
    lines: Mapping[str, PolicySettings],
    folder: Path,
    window: SplitName = "test",
    report: Report = silent,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """Train and measure the lines of a table.

    Args:
        folder: keeps the finished runs.

    Returns:
        JSON-able: `rows` as a policy stage has them, each with its `line` and `share` of contexts that the judge is asked about.

    Raises:
        RequestError: an unknown task; a judge that cannot be asked or is not used.
        WorkspaceError: a stage is missing, stale or damaged, or the folder cannot be written.
        Cancelled: asked to stop; finished runs stay.
    """
    inputs = {name: workspace.fresh_stage(name).fingerprint for name in ("model", "judge")}
    seed = int(workspace.stage("judge").manifest["settings"]["seed"])
    grounds: dict[str, Ground] = {}
    rows: list[dict[str, Any]] = []
    everything: list[Run] = []
    for number, (name, settings) in enumerate(lines.items()):
        report(Progress("lines", number, len(lines), name))
        ground = grounds.setdefault(settings.scope, Ground(workspace, settings.scope, seed, report, cancel))
        own = fingerprint({"settings": settings.model_dump(mode="json"), "window": window, "seed": seed, **inputs})
        place = folder / f"policies-{own}"
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error, folder) from error
        runs = run_arms(ground, settings, place, window, table)
        everything += runs
        rows += [{"line": name, "share": settings.judged, **row} for row in arm_rows(runs)]
        report(Progress("lines", number + 1, len(lines), name))
    first = next(iter(lines.values()))
    about = provenance()
    return {
        **{key: about[key] for key in ("commit", "date", "machine")},
        "table": table,
        "split": window,
        "seeds": list(first.seeds),
        "labels": PROXY,
        "judge": judged_by(workspace, everything),
        "lines": {name: settings.model_dump(mode="json") for name, settings in lines.items()},
        "rows": rows,
    }
