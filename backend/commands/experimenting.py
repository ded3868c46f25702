"""`experiment`: tables of variants, wordings, cold starts."""

from __future__ import annotations

import argparse
import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from backend.commands.arguments import EXPERIMENTS
from backend.commands.bars import bars, jsonable, show, table, write_json
from backend.commands.options import changes_of, check_limit
from backend.errors import RequestError, WorkspaceError
from backend.progress import CancelToken, Report
from backend.settings import checked, merged

_MEASURED = ("wordings", "cold-start", "representations", "judge-weight")  # experiments that are no table of variants
_POLICIES = ("arms", "judged-share", "levers")  # tables of policies
_ABREAST = 4  # tasks in one table


def experiment(args: argparse.Namespace, out: TextIO, cancel: CancelToken) -> None:
    """`experiment`: long comparisons that can be left and gone on with."""
    seeds = _seeds(args.seeds)
    check_limit(args.limit)
    if args.minutes is not None and not 0 < args.minutes < 100_000:
        raise RequestError(f"{args.minutes:g} is no number of minutes", "--minutes", "give a number above zero")
    target = _target(args.out)
    if args.what not in EXPERIMENTS and not args.what.endswith(".toml"):
        raise RequestError(
            f"unknown experiment {args.what[:40]!r}", mend=f"choose one of {', '.join(EXPERIMENTS)}, or name a TOML file"
        )
    from backend.workspace import Workspace

    workspace = Workspace.open(args.workspace)
    for stage in ("dataset", "grounding") if args.what == "representations" else ("dataset", "grounding", "tokens", "model"):
        workspace.fresh_stage(stage)
    folder = Path(args.variants) if args.variants else workspace.path / "variants"
    if workspace.read_only and not args.variants and args.what not in ("wordings", "judge-weight"):
        raise WorkspaceError("the demo workspace is read-only", str(workspace.path), "name a folder with --variants DIR")
    if args.what in _POLICIES:
        from backend.commands import policies

        found = policies.compare(args, workspace, folder, seeds, cancel)
    else:
        found = _run(args, workspace, folder, seeds, cancel)
    found["command"] = _command(args)
    if target:
        _write(target, found)
    if args.json:
        write_json(out, found)
    else:
        show(out, *([policies.headline(found)] if args.what in _POLICIES else _headlines(found, args.what)))


def _run(args: argparse.Namespace, workspace: Any, folder: Path, seeds: list[int], cancel: CancelToken) -> dict[str, Any]:
    if args.what == "representations":
        return _representations(args, workspace, folder, seeds, cancel)
    from backend.experiments.making import settings_of

    start = settings_of(workspace)
    start = checked(merged(start.model_dump(mode="json"), changes_of(args.set)))
    if args.what in _MEASURED and (args.only or len(seeds) > 1 or args.finished):
        raise RequestError(f"{args.what} is no table of variants", "--only, --seeds, --finished", "leave them out")
    with bars() as report:
        if args.what == "cold-start":
            from backend.experiments.cold import cold_start
            from backend.experiments.tables import Variant

            settings = Variant("held items").settings(start, args.minutes)
            settings = settings.model_copy(update={"seed": seeds[0]}) if seeds else settings
            return cold_start(workspace, folder, settings, args.split, args.limit, report, cancel)
        if args.what == "judge-weight":
            return _judge_weight(workspace, args, report, cancel)
        if args.what == "wordings":
            return _wordings(workspace, args, report, cancel)
        from backend.experiments.comparing import compare, plans
        from backend.experiments.tables import read_table

        planned = plans(workspace, read_table(args.what, args.only), folder, args.minutes, seeds, start)
        return compare(workspace, planned, args.split, args.limit, args.what == "ablations", args.finished, report, cancel)


def _representations(
    args: argparse.Namespace, workspace: Any, folder: Path, seeds: list[int], cancel: CancelToken
) -> dict[str, Any]:
    if len(seeds) > 1 or args.finished:
        raise RequestError("representations are trained with one seed, all of them", "--seeds, --finished", "leave them out")
    from backend.experiments.representations import representations
    from backend.settings import load_preset

    changes = merged(changes_of(args.set), {"seed": seeds[0]} if seeds else {})
    start = load_preset("default", **changes)
    with bars() as report:
        return representations(workspace, folder, start, args.split, args.limit, args.minutes, args.only, report, cancel)


def _wordings(workspace: Any, args: argparse.Namespace, report: Report, cancel: CancelToken) -> dict[str, Any]:
    if args.minutes is not None or args.set:
        raise RequestError("wordings trains nothing", "--minutes, --set", "leave them out")
    from backend.evaluation.questions import questions
    from backend.evaluation.wordings import measure_wordings
    from backend.experiments.cold import fusion_of
    from backend.generation.generator import load_generator

    asked = questions(workspace, args.split, args.limit, report=report)
    fusion = fusion_of(workspace)
    found = measure_wordings(load_generator(workspace, asked.dataset), asked, fusion, report, cancel)
    return {**found, "split": args.split, "fusion": fusion.model_dump(mode="json")}


def _judge_weight(workspace: Any, args: argparse.Namespace, report: Report, cancel: CancelToken) -> dict[str, Any]:
    if args.minutes is not None or args.set:
        raise RequestError("judge-weight trains nothing", "--minutes, --set", "leave them out")
    from backend.experiments.judge_weight import judge_weight

    return judge_weight(workspace, args.split, args.limit, report=report, cancel=cancel)


def _seeds(text: str | None) -> list[int]:
    try:
        return [int(part) for part in text.split(",")] if text else []
    except ValueError as error:
        raise RequestError(f"{str(text)[:40]!r} names no seeds", "--seeds", "write them as 7,8,9") from error


def _target(text: str | None) -> Path | None:
    """Where the result goes, known to be writable before hours of work."""
    if text is None:
        return None
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise RequestError("the result cannot be written there", text, "name a file in a folder that you may write to")
    return path


def _write(path: Path, found: Mapping[str, Any]) -> None:
    """The result as JSON, one row a line, so that versions of it can be compared."""
    parts = []
    for name, value in jsonable(found).items():
        text = json.dumps(value, ensure_ascii=False)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            text = "[\n" + ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in value) + "\n ]"
        parts.append(f" {json.dumps(name)}: {text}")
    temporary = path.with_name(path.name + ".writing")
    temporary.write_text("{\n" + ",\n".join(parts) + "\n}\n", "utf-8")
    temporary.replace(path)


def _command(args: argparse.Namespace) -> str:
    """The command as it can be given again, without this machine's folders."""
    words = ["python", "-m", "backend", "experiment", Path(args.what).name, "--workspace", "DIR"]
    for name in ("minutes", "seeds", "limit"):
        value = getattr(args, name)
        words += [] if value is None else [f"--{name}", f"{value:g}" if isinstance(value, float) else str(value)]
    words += [] if args.split == "test" else ["--split", args.split]
    words += ["--finished"] if args.finished else []
    words += [word for name in ("only", "set") for value in getattr(args, name) for word in (f"--{name}", value)]
    return shlex.join(words)


def _headlines(found: Mapping[str, Any], what: str) -> list[Any]:
    """HR@10 of every system on every task, a table for every few tasks: a terminal is narrow."""
    rows = [row for row in found["results"] if row["metric"] == "hr" and row["k"] == 10] or found["results"]
    tasks = list(dict.fromkeys((row["task"], row["view"]) for row in rows))
    cell = {(row["recommender"], row["task"], row["view"]): row for row in rows}
    tables = []
    for first in range(0, len(tasks), _ABREAST):
        some = tasks[first : first + _ABREAST]
        heads = {task + ("" if view == "all" else f", {view}"): "left" for task, view in some}
        lines = []
        for name in dict.fromkeys(row["recommender"] for row in rows):
            own = [cell.get((name, *key)) for key in some]
            if any(own):
                cells = (f"{row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}]" if row else None for row in own)
                lines.append([name, *cells])
        title = "" if first else f"{what}, {found['split']} split, 95 % bootstrap intervals"
        tables.append(table({"HR@10": "left", **heads}, lines, title))
    return tables
