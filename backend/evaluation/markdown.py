"""Result files as Markdown: tables, intervals, and the line that says where figures come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Rows = Sequence[Mapping[str, Any]]
Columns = tuple[tuple[str, str], ...]  # (task, view)
TASKS: Columns = (("JustForYou", "all"), ("JustForYou", "new"), ("Category", "all"), ("Query", "all"), ("Discover", "all"))
FURTHER: Columns = tuple(
    (task, "all") for task in ("Longtail", "Season", "Holiday", "Deals", "Budget", "Complement", "Replenish")
)


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


def _columns(rows: Rows) -> list[tuple[str, str]]:
    """(task, view) of a table, the usual ones first."""
    there = list(dict.fromkeys((row["task"], row["view"]) for row in rows))
    return [key for key in TASKS if key in there] + [key for key in there if key not in TASKS]


def grid(rows: Rows, corner: str, show: Callable[[Mapping[str, Any]], str]) -> str:
    """Systems × tasks; `show` writes a cell."""
    columns = _columns(rows)
    cell = {(row["recommender"], row["task"], row["view"]): row for row in rows}
    counts = {key: next(row["n"] for row in rows if (row["task"], row["view"]) == key) for key in columns}
    body = []
    for name in dict.fromkeys(row["recommender"] for row in rows):
        found = [cell.get((name, *key)) for key in columns]
        body.append([name.removeprefix("SIGMA, "), *(show(row) if row else "–" for row in found)])
    return markdown_table([corner, *(f"{label(*key)} (n={counts[key]:,})" for key in columns)], body)
