"""How well free text is read: `python -m backend.commands.reading [--workspace DIR] [--combined FILE] [--tasks A,B] [--wordings N] …`."""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from backend.commands.bars import show, table
from backend.data.store import open_dataset
from backend.errors import RequestError, SigmascopeError
from backend.grounding import encoders
from backend.instructions.catalogue import prepare
from backend.instructions.demand import DemandReader, fit_demand
from backend.instructions.measure import Share, combined, confusion, heard_confusion
from backend.instructions.tasks import task_classes
from backend.instructions.trained import reader_of, trained_tasks
from backend.settings import Settings
from backend.workspace import Workspace

_EVERY = tuple(task.name for task in task_classes())


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m backend.commands.reading", description="How well free text is read.")
    parser.add_argument("--workspace", help="default: the shipped demo")
    parser.add_argument("--combined", help="TOML file of combined instructions")
    parser.add_argument(
        "--tasks", help="as if the model were trained on these, separated by commas: its reader is fitted anew (default: its own)"
    )
    parser.add_argument("--wordings", type=int, metavar="N", help="fitted anew on this many training wordings of each task")
    parser.add_argument("--seen", action="store_true", help="the training wordings instead of the held-out ones")
    parser.add_argument("--heard", action="store_true", help="the most probable demand alone, whatever names and prices are said")
    args = parser.parse_args(arguments)
    try:
        if args.wordings is not None and args.wordings < 5:
            raise RequestError(f"--wordings {args.wordings} is too few", "--wordings", "take 5 or more")
        wishes = _wishes(args.combined) if args.combined else []
        workspace = Workspace.open(args.workspace)
        dataset = open_dataset(workspace)
        stored = workspace.stage("grounding").arrays("names")["vectors"].astype(np.float32)
        tasks = _named(args.tasks) if args.tasks else trained_tasks(workspace)
        catalogue = prepare(dataset, encoders.shared_text_encoder().known_vectors, stored, tasks)
        reader = None if args.tasks or args.wordings else reader_of(workspace, catalogue)
        if reader is None:
            fitted = fit_demand(tasks, catalogue, catalogue.encode, Settings().seed, args.wordings)
            reader = DemandReader(fitted, tasks, catalogue)
    except SigmascopeError as error:
        show(sys.stderr, f"error: {error}")
        return 1
    catalogue.asks = reader.of
    rows, right, n = [], 0, 0
    understood = heard_confusion(reader, not args.seen) if args.heard else confusion(catalogue, tasks, not args.seen)
    for task, read_as in understood.items():
        share = Share(read_as.get(task, 0), sum(read_as.values()))
        right, n = right + share.right, n + share.n
        others = ", ".join(f"{name} {count}" for name, count in sorted(read_as.items(), key=lambda one: -one[1]) if name != task)
        rows.append((task, share, others))
    told: list[Any] = [f"{'seen' if args.seen else 'held-out'} wordings of {len(tasks)} tasks"]
    told.append(table({"task": "left", "read as it": "left", "else as": "left"}, [*rows, ("all", Share(right, n), "")]))
    if wishes:
        shares, wrong = combined(catalogue, wishes, set(_EVERY) <= set(tasks))
        told += ["", f"{len(wishes)} combined instructions", table({"of": "left", "right": "left"}, list(shares.items())), *wrong]
    show(sys.stdout, *told)
    return 0


def _named(text: str) -> tuple[str, ...]:
    """The tasks that a user names."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    unknown = [name for name in names if name not in _EVERY]
    if unknown:
        raise RequestError(f"unknown task {unknown[0][:40]!r}", "--tasks", f"choose among {', '.join(_EVERY)}")
    return names


def _wishes(file: str) -> list[dict[str, Any]]:
    """The combined instructions of a TOML file."""
    try:
        found: list[dict[str, Any]] = tomllib.loads(Path(file).read_text("utf-8"))["wish"]
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError) as error:
        raise RequestError(
            "no combined instructions can be read", file, f"a TOML file with [[wish]] tables is wanted ({error})"
        ) from error
    return found


if __name__ == "__main__":
    sys.exit(main())
