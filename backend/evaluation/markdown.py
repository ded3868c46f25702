"""Result files as Markdown: tables, intervals, and the line that says where figures come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

TASKS = (("JustForYou", "all"), ("JustForYou", "new"), ("Category", "all"), ("Query", "all"), ("Discover", "all"))


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A GitHub table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])


def label(task: str, view: str) -> str:
    """A column's or row's heading: "JustForYou, new items"."""
    return task if view == "all" else f"{task}, {'new items' if view == 'new' else view}"


def interval(row: Mapping[str, Any], digits: int = 3) -> str:
    """`.612 [.590, .633]`."""
    texts = [f"{row[key]:.{digits}f}" for key in ("mean", "low", "high")]
    texts = [text.removeprefix("0") if text.startswith("0.") else text for text in texts]
    return f"{texts[0]} [{texts[1]}, {texts[2]}]"


def provenance(data: Mapping[str, Any]) -> str:
    """Command, commit, date and machine of a result."""
    machine = data.get("machine", {})
    name = f"{machine.get('cpu')}, {machine.get('cores')} cores" if isinstance(machine, Mapping) else str(machine)
    return f"`{data.get('command')}` · commit {data.get('commit')} · {data.get('date')} · {name}"


def change(row: Mapping[str, Any], digits: int = 3) -> str:
    """A paired difference: `+.012 [+.003, +.021]`."""
    return f"{row['diff']:+.{digits}f} [{row['low']:+.{digits}f}, {row['high']:+.{digits}f}]"
