"""Result tables for the README, made from the files that the commands wrote; nothing is typed in by hand.

    python -m backend.evaluation.report            # fills the marked sections of README.md from assets/results/*.json

A section is what stands between `<!-- results:NAME -->` and `<!-- /results:NAME -->`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
RESULTS = ROOT / "assets" / "results"
_TASKS = (("JustForYou", "all"), ("JustForYou", "new"), ("Category", "all"), ("Query", "all"), ("Discover", "all"))
_MISSING = "Not measured yet."


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A GitHub table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])


def interval(row: Mapping[str, Any], digits: int = 3) -> str:
    """`.612 [.590, .633]`."""
    texts = [f"{row[key]:.{digits}f}".replace("0.", ".", 1) for key in ("mean", "low", "high")]
    return f"{texts[0]} [{texts[1]}, {texts[2]}]"


def _provenance(data: Mapping[str, Any]) -> str:
    machine = data.get("machine", {})
    name = f"{machine.get('cpu')}, {machine.get('cores')} cores" if isinstance(machine, Mapping) else str(machine)
    return f"`{data.get('command')}` · commit {data.get('commit')} · {data.get('date')} · {name}"


def quality(data: Mapping[str, Any], metric: str = "hr") -> str:
    """Recommenders × tasks, one metric at 10."""
    rows = [row for row in data["results"] if row["metric"] == metric]
    cell = {(row["recommender"], row["task"], row["view"]): row for row in rows}
    names = list(dict.fromkeys(row["recommender"] for row in rows))
    columns = [key for key in _TASKS if any((name, *key) in cell for name in names)]
    head = [f"{metric.upper() if metric != 'constraint' else 'Satisfaction'}@10"]
    head += [f"{task}{', new items' if view == 'new' else ''} (n={cell[names[0], task, view]['n']})" for task, view in columns]
    best = {key: max(cell[name, *key]["mean"] for name in names if (name, *key) in cell) for key in columns}
    body = []
    for name in names:
        texts = []
        for key in columns:
            row = cell.get((name, *key))
            text = interval(row) if row and row["mean"] == row["mean"] else "–"
            texts.append(f"**{text}**" if row and row["mean"] == best[key] else text)
        body.append([name, *texts])
    return markdown_table(head, body)


def evaluation(data: Mapping[str, Any]) -> str:
    """The main table: HR, NDCG and constraint satisfaction at 10."""
    parts = [f"Split: {data['split']}, seed {data['seed']}, {data['resamples']} bootstrap resamples, 95 % intervals.", ""]
    for metric in ("hr", "ndcg", "constraint"):
        if any(row["metric"] == metric for row in data["results"]):
            parts += [quality(data, metric), ""]
    return "\n".join([*parts, _provenance(data)])


def differences(data: Mapping[str, Any]) -> str:
    """Paired differences of the model to each baseline, NDCG@10 and HR@10."""
    rows = [row for row in data.get("differences", []) if row["recommender"] == "SIGMA"]
    table = [
        [
            row["reference"],
            row["task"] + (", new items" if row["view"] == "new" else ""),
            f"{row['metric'].upper()}@{row['k']}",
            f"{row['diff']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]",
            row["n"],
        ]
        for row in rows
    ]
    return markdown_table(["SIGMA minus", "task", "metric", "difference", "n"], table) + "\n\n" + _provenance(data)


def rows_table(data: Mapping[str, Any]) -> str:
    """Any result file that holds `rows`."""
    rows = data["rows"]
    if not rows:
        return _MISSING
    head = list(rows[0])

    def show(value: Any) -> str:
        if isinstance(value, float):
            return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
        if isinstance(value, Mapping):
            return ", ".join(f"{key} {show(inner)}" for key, inner in value.items())
        return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)

    return markdown_table(head, [[show(row.get(name, "")) for name in head] for row in rows]) + "\n\n" + _provenance(data)


SECTIONS: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
    "quality": ("evaluation", evaluation),
    "differences": ("evaluation", differences),
    "ablations": ("ablations", evaluation),
    "backbones": ("backbones", evaluation),
    "budgets": ("budgets", rows_table),
    "grounding": ("grounding", rows_table),
    "tokens": ("tokens", rows_table),
    "training": ("training", rows_table),
    "latency": ("latency", rows_table),
    "startup": ("startup", rows_table),
    "fusion": ("fusion", rows_table),
}


def fill(text: str, results: Path = RESULTS) -> str:
    """A document with its marked sections filled in from the result files."""

    def section(match: re.Match[str]) -> str:
        name = match.group(1)
        file, draw = SECTIONS.get(name, ("", rows_table))
        path = results / f"{file}.json"
        body = draw(json.loads(path.read_text("utf-8"))) if path.is_file() else _MISSING
        return f"<!-- results:{name} -->\n{body}\n<!-- /results:{name} -->"

    return re.sub(r"<!-- results:([\w-]+) -->.*?<!-- /results:\1 -->", section, text, flags=re.S)


def main() -> None:
    """Fill README.md (or the file named on the command line) in place."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "README.md"
    path.write_text(fill(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
