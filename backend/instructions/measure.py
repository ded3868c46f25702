"""How well free text is read (the command is `python -m backend.commands.reading`).

- Held-out wordings: is the task read that they were written for? Slots are filled with names drawn from the dataset.
- Combined instructions (a TOML file, see tests/instructions/combined.toml): task, filters and unknown words against what a person
  expects; filters count as right only when all of them are exactly so.
- Shares with n and the Wilson 95 % interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backend.errors import RequestError
from backend.instructions.catalogue import Catalogue
from backend.instructions.demand import DemandReader, slot_values
from backend.instructions.reading import Reading, read
from backend.instructions.templates import slots_of, wordings
from backend.tokenization.tree import wilson

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
        low, high = wilson(np.array([self.right]), np.array([self.n]))
        return float(low[0]), float(high[0])

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.right / max(self.n, 1):.3f} [{low:.3f}, {high:.3f}] n={self.n}"


def held_out_texts(catalogue: Catalogue, tasks: Sequence[str], seed: int = 7, held_out: bool = True) -> Iterator[tuple[str, str]]:
    """(task, text): the tasks' wordings, their slots filled with names drawn by seed."""
    rng = np.random.default_rng(seed)
    values = slot_values(catalogue)
    for task in tasks:
        for wording in wordings(task, held_out):
            slots = slots_of(wording)
            for _ in range(DRAWS if slots else 1):
                chosen = {slot: values[slot][int(rng.integers(len(values[slot])))] for slot in slots}
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


def heard_confusion(reader: DemandReader, held_out: bool = True) -> dict[str, dict[str, int]]:
    """The same for the demand that a model with this reader hears: the most probable one."""
    asked = list(held_out_texts(reader.catalogue, reader.tasks, held_out=held_out))
    texts = [text for _, text in asked]
    table: dict[str, dict[str, int]] = {task: {} for task in reader.tasks}
    for (task, _), place in zip(asked, reader.read(texts, reader.catalogue.encode(texts)).argmax(1), strict=True):
        table[task][reader.tasks[place]] = table[task].get(reader.tasks[place], 0) + 1
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
