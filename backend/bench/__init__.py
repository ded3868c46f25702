"""Speed on this machine: `python -m backend bench WHAT`.

Every measure returns rows of plain values; the frame around them says which machine, commit and date they belong to.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from backend.progress import CancelToken, Report, silent

MEASURES: Mapping[str, str] = {
    "latency": "backend.bench.latency",
    "fusion": "backend.bench.fusion",
    "decode": "backend.bench.decode",
    "startup": "backend.bench.startup",
}  # name → module with `rows`


def measure(
    what: str,
    workspace: str | None,
    repeats: int,
    report: Report = silent,
    cancel: CancelToken | None = None,
    extent: str = "default",
) -> dict[str, Any]:
    """Measure, and say where and when.

    Args:
        what: a name of `MEASURES`.
        workspace: folder; None = the shipped demo.
        repeats: timed repetitions of each row.
        extent: of `decode`: "quick", "default" or "full".

    Returns:
        `machine`, `commit`, `date`, `rows` (the command line's contract).

    Raises:
        SigmascopeError: the workspace cannot be used.
        Cancelled: asked to stop.
    """
    more = {"extent": extent} if what == "decode" else {}
    return framed(importlib.import_module(MEASURES[what]).rows(workspace, repeats, report, cancel or CancelToken(), **more))


def framed(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What was measured just now, with `machine`, `commit` and `date` (the command line's contract)."""
    from backend.workspace import provenance

    about = provenance()
    machine = about["machine"]
    return {
        "machine": f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}",
        "commit": about["commit"],
        "date": about["date"],
        "rows": list(rows),
    }
