"""Result tables for the README, made from the files that the commands wrote; nothing is typed in by hand.

    python -m backend.evaluation.report            # fills the marked sections of README.md

Sources: the manifests and tables of the shipped workspace, and `assets/results/*.json` (what `bench … --json` printed, and the evaluations of
other workspaces).

A section is what stands between `<!-- results:NAME -->` and `<!-- /results:NAME -->`.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from backend.evaluation import report_decode as decode
from backend.evaluation import report_experiments as experiments
from backend.evaluation import report_recipes as recipes
from backend.evaluation.markdown import FURTHER, TASKS, Columns, change, interval, label, markdown_table, provenance
from backend.workspace import DEMO

ROOT = Path(__file__).parent.parent.parent
RESULTS = ROOT / "assets" / "results"
_NAMES = {
    "hr": "HR",
    "ndcg": "NDCG",
    "constraint": "Constraint satisfaction",
    "breadth": "Categories in the list",
    "value": "Value of hits, $",
}
_MISSING = "Not measured yet."


def quality(data: Mapping[str, Any], metric: str = "hr", tasks: Columns = TASKS) -> str:
    """Recommenders × tasks, one metric at 10; nothing where no task was measured by it."""
    rows = [row for row in data["results"] if row["metric"] == metric]
    cell = {(row["recommender"], row["task"], row["view"]): row for row in rows}
    names = list(dict.fromkeys(row["recommender"] for row in rows))
    columns = [key for key in tasks if any((name, *key) in cell for name in names)]
    if not columns:
        return ""
    head = [f"{_NAMES[metric]}@10"]
    head += [f"{label(*key)} (n={cell[names[0], *key]['n']})" for key in columns]
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
    """The main tables: HR, NDCG and constraint satisfaction at 10; the other metrics are in the evaluation stage's `results.parquet`."""
    parts = [
        f"Split: {data['split']}, seed {data['seed']}, {data['resamples']} bootstrap resamples, 95 % intervals. Baselines cannot read: they get the "
        "constraint of an instruction as a hard filter. The model reads it from the instruction, except in the row that says so.",
        "",
    ]
    tables = (quality(data, metric, tasks) for metric in ("hr", "ndcg", "constraint") for tasks in (TASKS, FURTHER))
    parts += [line for table in tables if table for line in (table, "")]
    return "\n".join([*parts, provenance(data)])


def differences(data: Mapping[str, Any]) -> str:
    """Paired differences of the model to each baseline on JustForYou, where nobody needs to read; NDCG@10 and HR@10."""
    rows = [row for row in data.get("differences", []) if row["recommender"] == "SIGMA" and row["task"] == "JustForYou"]
    table = [
        [
            row["reference"],
            label(row["task"], row["view"]),
            f"{row['metric'].upper()}@{row['k']}",
            change(row),
            row["n"],
        ]
        for row in rows
    ]
    return markdown_table(["SIGMA minus", "task", "metric", "difference", "n"], table) + "\n\n" + provenance(data)


def variants(data: Mapping[str, Any]) -> str:
    """Paired differences of the step-3 variants to the model as tuned, HR@10."""
    rows = [row for row in data.get("differences", []) if row["reference"] == "SIGMA" and row["recommender"].startswith("SIGMA,")]
    rows = [row for row in rows if row["metric"] == "hr"]
    columns = [key for key in (*TASKS, *FURTHER) if any((row["task"], row["view"]) == key for row in rows)]
    cell = {(row["recommender"], row["task"], row["view"]): row for row in rows}
    body = []
    for name in dict.fromkeys(row["recommender"] for row in rows):
        found = [cell.get((name, *key)) for key in columns]
        body.append([name.removeprefix("SIGMA, "), *(change(row) if row else "–" for row in found)])
    head = ["HR@10, minus SIGMA as tuned", *(label(*key) for key in columns)]
    return markdown_table(head, body) + "\n\n" + provenance(data)


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

    return markdown_table(head, [[show(row.get(name, "")) for name in head] for row in rows]) + "\n\n" + provenance(data)


def _manifest(stage: str, demo: Path) -> dict[str, Any] | None:
    path = demo / stage / "manifest.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


def _with_rows(manifest: Mapping[str, Any], rows: list[dict[str, Any]], command: str) -> dict[str, Any]:
    return {**manifest, "rows": rows, "command": command}


def grounding(demo: Path) -> dict[str, Any] | None:
    """Held-out recall of each view, from the grounding stage."""
    manifest = _manifest("grounding", demo)
    return manifest and _with_rows(manifest, manifest["metrics"]["views"], "python -m backend build")


def tokens(demo: Path) -> dict[str, Any] | None:
    """Health of each level, from the tokens stage."""
    manifest = _manifest("tokens", demo)
    if manifest is None:
        return None
    health = manifest["metrics"]
    whole = {key: health[key] for key in ("largest_prefix", "smallest_prefix", "collisions")}
    return _with_rows(manifest, [{**row, **whole} for row in health["levels"]], "python -m backend build")


def training(demo: Path) -> dict[str, Any] | None:
    """Time and peak memory of the stages."""
    rows = []
    for stage in ("dataset", "grounding", "tokens", "model"):
        manifest = _manifest(stage, demo)
        if manifest is None:
            return None
        metrics = manifest["metrics"]
        seconds = metrics["minutes"] * 60 if stage == "model" else manifest["seconds"]
        rows.append(
            {
                "stage": stage,
                "minutes": round(seconds / 60, 2),
                "peak memory (MiB)": metrics.get("peak_memory_mb", "–"),
                "steps": metrics.get("steps", "–"),
                "contexts": metrics.get("contexts", "–"),
                "trained parameters": metrics.get("trained_parameters", "–"),
            }
        )
    return _with_rows(manifest or {}, rows, "python -m backend build && python -m backend train")


def measured(demo: Path) -> dict[str, Any] | None:
    """The evaluation stage of the shipped workspace."""
    about, table = demo / "evaluation" / "evaluation.json", demo / "evaluation" / "results.parquet"
    if not (about.is_file() and table.is_file()):
        return None
    results = pd.read_parquet(table)
    results = results[(results["slice"] == "all") & (results["k"] == 10)]
    pairs = pd.read_parquet(demo / "evaluation" / "differences.parquet")
    pairs = pairs[(pairs["k"] == 10) & pairs["metric"].isin(["hr", "ndcg"])]
    data: dict[str, Any] = json.loads(about.read_text("utf-8"))
    command = f"python -m backend evaluate --workspace DIR --split {data['split']}"
    return {**data, "results": results.to_dict("records"), "differences": pairs.to_dict("records"), "command": command}


def fusion(demo: Path) -> dict[str, Any] | None:
    """The fusion trials on validation, best first: what each knob is worth."""
    path, data = demo / "evaluation" / "fusion_trials.json", measured(demo)
    if data is None or not path.is_file():
        return None
    trials = sorted(json.loads(path.read_text("utf-8")), key=lambda trial: -trial["ndcg@10"])
    shown = [*trials[:8], *trials[-4:]]
    rows = [
        {
            "setting": ", ".join(f"{k} {v}" for k, v in trial["setting"].items()),
            "mean NDCG@10": trial["ndcg@10"],
            **trial["parts"],
        }
        for trial in shown
    ]
    return {
        **data,
        "rows": rows,
        "command": "python -m backend evaluate (chosen on 600 validation households; best 8 and worst 4 of the trials)",
    }


Source = Callable[[Path], "dict[str, Any] | None"]
SECTIONS: Mapping[str, tuple[str | Source, Callable[[Mapping[str, Any]], str]]] = {
    "quality": (measured, evaluation),
    "differences": (measured, differences),
    "variants": (measured, variants),
    "ablations": ("ablations", experiments.ablations),
    "backbones": ("backbones", experiments.trained),
    "budgets": ("budgets", experiments.trained),
    "wordings": ("wordings", experiments.wordings),
    "cold-start": ("cold-start", experiments.cold_start),
    "jd": ("jd", recipes.jd),
    "representations": ("representations", recipes.representations),
    "decode": ("decode", decode.section),
    "policy": ("policy", recipes.policy),
    "policy-test": ("policy-test", recipes.policy),
    "judged-share": ("judged-share", recipes.lines),
    "levers": ("levers", recipes.lines),
    "grounding": (grounding, rows_table),
    "tokens": (tokens, rows_table),
    "training": (training, rows_table),
    "latency": ("latency", rows_table),
    "startup": ("startup", rows_table),
    "fusion": (fusion, rows_table),
    "fusion-speed": ("fusion", rows_table),
    "redraw": ("redraw", rows_table),
}


def fill(text: str, results: Path = RESULTS, demo: Path = DEMO) -> str:
    """A document with its marked sections filled in from the result files."""

    def load(source: str | Source) -> dict[str, Any] | None:
        if callable(source):
            return source(demo)
        path = results / f"{source}.json"
        return json.loads(path.read_text("utf-8")) if path.is_file() else None

    def section(match: re.Match[str]) -> str:
        name = match.group(1)
        source, draw = SECTIONS[name]
        data = load(source)
        return f"<!-- results:{name} -->\n{draw(data) if data else _MISSING}\n<!-- /results:{name} -->"

    return re.sub(r"<!-- results:([\w-]+) -->.*?<!-- /results:\1 -->", section, text, flags=re.S)


def main() -> None:
    """Fill README.md (or the file named on the command line) in place."""
    parser = argparse.ArgumentParser(prog="python -m backend.evaluation.report", description="Fill the result tables of a file.")
    parser.add_argument("file", nargs="?", type=Path, default=ROOT / "README.md", help="default: README.md")
    path: Path = parser.parse_args().file
    path.write_text(fill(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
