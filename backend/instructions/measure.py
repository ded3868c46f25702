"""How well free text is read: `python -m backend.instructions.measure [--workspace DIR] [--combined FILE] [--all-tasks]`.

- Held-out wordings: is the task read that they were written for? Slots are filled with names drawn from the dataset.
- Combined instructions (a TOML file, see tests/instructions/combined.toml): task, filters and unknown words against what a person
  expects; filters count as right only when all of them are exactly so.
- Shares with n and the Wilson 95 % interval.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backend.data import calendar
from backend.data.store import open_dataset
from backend.errors import RequestError, SigmascopeError
from backend.grounding import encoders
from backend.instructions.catalogue import TASKS, Catalogue, prepare
from backend.instructions.reading import Reading, read
from backend.instructions.shop import PRICES, TOTALS, dollars
from backend.instructions.tasks import task_classes
from backend.instructions.templates import in_sentence, slots_of, wordings
from backend.workspace import Workspace

_Z = 1.959964  # 95 %
DRAWS = 3  # names that each held-out wording is filled with


@dataclass(frozen=True)
class Share:
    """A share of right answers with its Wilson interval."""

    right: int
    n: int

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper end (Wilson 1927); 0 and 1 where nothing was asked."""
        if not self.n:
            return 0.0, 1.0
        share, spread = self.right / self.n, _Z**2 / self.n
        middle = (share + spread / 2) / (1 + spread)
        half = _Z / (1 + spread) * np.sqrt(share * (1 - share) / self.n + spread / (4 * self.n))
        return float(middle - half), float(middle + half)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.right / max(self.n, 1):.3f} [{low:.3f}, {high:.3f}] n={self.n}"


def held_out_texts(catalogue: Catalogue, tasks: Sequence[str], seed: int = 7, held_out: bool = True) -> Iterator[tuple[str, str]]:
    """(task, text): the tasks' wordings, their slots filled with names drawn by seed."""
    rng = np.random.default_rng(seed)
    values: Mapping[str, Sequence[str]] = {
        "category": [in_sentence(name.category) for name in catalogue.names if name.category],
        "query": [in_sentence(name.query) for name in catalogue.names if name.query],
        "items": [in_sentence(name.query) for name in catalogue.names if name.query],
        "season": calendar.SEASONS,
        "holiday": [word for word in calendar.words() if word not in calendar.SEASONS],
        "price": [dollars(price) for price in PRICES],
        "total": [dollars(total) for total in TOTALS],
    }
    for task in tasks:
        for wording in wordings(task, held_out):
            slots = slots_of(wording)
            for _ in range(DRAWS if slots else 1):
                chosen = {slot: values[slot][int(rng.integers(len(values[slot])))] for slot in slots if len(values[slot])}
                if len(chosen) == len(set(slots)):
                    yield task, wording.format_map(chosen)


def confusion(catalogue: Catalogue, tasks: Sequence[str], held_out: bool = True) -> dict[str, dict[str, int]]:
    """How often each task's wordings are read as each task."""
    table: dict[str, dict[str, int]] = {task: {} for task in tasks}
    for task, text in held_out_texts(catalogue, tasks, held_out=held_out):
        try:
            said = read(text, catalogue).task
        except RequestError:
            said = "refused"
        table[task][said] = table[task].get(said, 0) + 1
    return table


def check(wish: Mapping[str, Any], reading: Reading | None, every_task: bool) -> dict[str, bool]:
    """What of a combined instruction was read as expected: task, filters, unknown, theme (those that the wish states)."""
    if wish.get("error"):
        return {"filters": reading is None}
    if reading is None:
        return dict.fromkeys(("task", "filters"), False)
    found: dict[str, Any] = dict(reading.filters)
    wanted = dict(wish["filters"])
    for filters in (found, wanted):
        if "exclude" in filters:
            filters["exclude"] = {name.casefold() for name in filters["exclude"]}
    tasks = wish.get("all", wish["task"]) if every_task else wish["task"]
    out = {"task": reading.task in tasks, "filters": found == wanted}
    if "unknown" in wish:
        unknown = " ".join(reading.unknown).casefold()
        out["unknown"] = all(word in unknown for word in wish["unknown"])
    if "theme" in wish:
        out["theme"] = reading.theme == wish["theme"]
    return out


def combined(catalogue: Catalogue, wishes: Sequence[Mapping[str, Any]], every_task: bool) -> tuple[dict[str, Share], list[str]]:
    """Shares by what is asked (task, filters, unknown, theme), and the instructions that were misread, with how."""
    counts: dict[str, list[bool]] = {}
    wrong = []
    for wish in wishes:
        try:
            reading = read(wish["text"], catalogue)
        except RequestError:
            reading = None
        result = check(wish, reading, every_task)
        for name, right in result.items():
            counts.setdefault(name, []).append(right)
        if not all(result.values()):
            failed = ", ".join(name for name, right in result.items() if not right)
            got = "refused" if reading is None else f"{reading.task} {reading.filters} {reading.theme} unknown {reading.unknown}"
            wrong.append(f"{wish['text']}  [{failed}]  {got}")
    return {name: Share(sum(values), len(values)) for name, values in counts.items()}, wrong


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m backend.instructions.measure", description="How well free text is read.")
    parser.add_argument("--workspace", help="default: the shipped demo")
    parser.add_argument("--combined", help="TOML file of combined instructions")
    parser.add_argument("--all-tasks", action="store_true", help="as if the model were trained on every task")
    parser.add_argument("--seen", action="store_true", help="the training wordings instead of the held-out ones")
    args = parser.parse_args(arguments)
    try:
        workspace = Workspace.open(args.workspace)
        dataset = open_dataset(workspace)
        stored = workspace.stage("grounding").arrays("names")["vectors"].astype(np.float32)
    except SigmascopeError as error:
        print("error:", error, file=sys.stderr)
        return 1
    tasks = tuple(task.name for task in task_classes()) if args.all_tasks else TASKS
    catalogue = prepare(dataset, encoders.shared_text_encoder().encode, stored, tasks)
    print("wordings:", "seen" if args.seen else "held out", "· tasks:", len(tasks))
    right = n = 0
    for task, read_as in confusion(catalogue, tasks, not args.seen).items():
        share = Share(read_as.get(task, 0), sum(read_as.values()))
        right, n = right + share.right, n + share.n
        others = ", ".join(f"{name} {count}" for name, count in sorted(read_as.items(), key=lambda one: -one[1]) if name != task)
        print(f"  {task:12} {share}  {others}")
    print(f"  {'all':12} {Share(right, n)}")
    if args.combined:
        wishes = tomllib.loads(Path(args.combined).read_text("utf-8"))["wish"]
        shares, wrong = combined(catalogue, wishes, args.all_tasks)
        print(f"combined instructions: {len(wishes)}")
        for name, share in shares.items():
            print(f"  {name:12} {share}")
        for line in wrong:
            print("  -", line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
