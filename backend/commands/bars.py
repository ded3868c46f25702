"""How the command line looks: progress bars from the event stream, tables, JSON.

- Bars go to standard error, answers to standard output. Where standard error is no terminal, a stage says one line when it begins, one
  a minute, and one when it is done.
- Texts of catalogues are data: they are never read as markup, and control characters do not reach the terminal.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from backend.progress import Progress as Event
from backend.progress import Report

_EVERY_SECONDS = 60.0  # between two lines of a stage where there is no terminal


@contextmanager
def bars() -> Iterator[Report]:
    """A reporter that draws each stage as a bar (or a few lines) on standard error."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield _Lines(sys.stderr)
        return
    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, TaskID] = {}

        def report(event: Event) -> None:
            if event.stage not in tasks:
                tasks[event.stage] = progress.add_task(event.stage, total=event.total, note="")
            progress.update(tasks[event.stage], completed=event.done, total=event.total, note=plain(_note(event)))

        yield report


class _Lines:
    """The reporter for logs and pipes."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.last: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        now = time.monotonic()
        if event.done < event.total and now - self.last.get(event.stage, -math.inf) < _EVERY_SECONDS:
            return
        self.last[event.stage] = now
        print(plain(f"{event.stage} {event.done}/{event.total} {_note(event)}").rstrip(), file=self.stream, flush=True)


def _note(event: Event) -> str:
    metrics = "  ".join(f"{name} {value:.3g}" for name, value in event.metrics.items())
    return "  ".join(part for part in (event.message, metrics) if part)


def plain(text: object) -> str:
    """A text without control characters."""
    return "".join(mark if mark.isprintable() else " " for mark in str(text))


def table(columns: Mapping[str, str], rows: Sequence[Sequence[Any]], title: str = "") -> Table:
    """A table for the terminal.

    Args:
        columns: heading → "left" or "right".
        rows: one sequence of cells a row; numbers get three significant digits.
    """
    drawn = Table(title=plain(title) or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name, side in columns.items():
        drawn.add_column(name, justify="right" if side == "right" else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*[Text(cell(value)) for value in row])
    return drawn


def cell(value: object) -> str:
    """A value as a table shows it."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return plain(value)


def short(values: Mapping[str, Any], most: int = 8) -> str:
    """The single values among some figures, on one line."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{inner}": each for inner, each in value.items()}
        else:
            flat[name] = value
    single = [f"{name} {cell(value)}" for name, value in flat.items() if isinstance(value, (str, int, float))]
    return ", ".join(single[:most]) + (" …" if len(single) > most else "")


def show(out: TextIO, *parts: Table | str) -> None:
    """Print tables and lines."""
    console = Console(file=out, highlight=False, soft_wrap=False, width=None if out.isatty() else 120)
    for part in parts:
        console.print(Text(plain(part)) if isinstance(part, str) else part)


def write_json(out: TextIO, value: Any) -> None:
    """One JSON object on one line: plain ASCII, no NaN."""
    print(json.dumps(jsonable(value), allow_nan=False), file=out, flush=True)


def jsonable(value: Any) -> Any:
    """The value as JSON knows it: plain dicts, lists, numbers and texts, null for NaN."""
    if isinstance(value, Mapping):
        return {str(key): jsonable(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [jsonable(inner) for inner in value]
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:  # a numpy number
        value = value.item()
    if hasattr(value, "tolist"):
        return jsonable(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)
