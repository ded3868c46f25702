"""Evaluation cases: what a recommender is asked, and what it is measured against.

- One example (a household's held-out basket) gives one case for each task that finds a label in it, in wordings that training
  never saw.
- A case is self-contained: history, its age in days, constraint and targets; so no recommender needs to look into the events.
- `as_new` turns a case into its "items new to the household" view: the same question with bought items hidden, measured on
  the targets that are new.
- The draws of a case depend on the seed, the household, the basket and the task alone: leaving other examples or tasks out does
  not change it.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from backend.data.schema import EVENT_ITEM, EVENT_USER, STEP, TIME, Dataset
from backend.instructions.tasks import Context, Task
from backend.instructions.templates import draw, fill

SLICES = ("low", "medium", "high")  # household activity, thirds by the number of baskets before the example

Ints = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Case:
    """One question to a recommender, with its answer."""

    user: int  # row of the household
    start: int  # the target basket is events[start:stop]
    stop: int
    task: str
    instruction: str
    targets: Ints  # distinct item rows
    allowed: npt.NDArray[np.bool_] | None  # (n_items,) the constraint that the instruction states
    history: Ints  # item rows, oldest → newest, with repeats
    new_targets: Ints  # targets that are not in the history
    ages: npt.NDArray[np.floating]  # days between each history event and the target basket
    baskets: int  # baskets before the example
    seen: Literal["allow", "hide"] = "allow"  # "hide": items of the history must not be recommended
    wording: str = ""  # what the instruction was made from, its slots open

    def as_new(self) -> Case:
        """The same question about items new to the household."""
        return replace(self, targets=self.new_targets, seen="hide")

    def wanting(self, items: npt.NDArray[np.bool_]) -> Case | None:
        """The same question where only these items are right answers; None where it has none. Shape: items (n_items,)."""
        targets = self.targets[items[self.targets]]
        return replace(self, targets=targets, new_targets=targets) if len(targets) else None

    def legal(self, n_items: int) -> npt.NDArray[np.bool_]:
        """Items that may be recommended: Shape: (n_items,)."""
        mask = np.ones(n_items, bool) if self.allowed is None else self.allowed.copy()
        if self.seen == "hide":
            mask[self.history] = False
        return mask


def build_cases(
    dataset: Dataset, examples: pd.DataFrame, tasks: Mapping[str, Task], seed: int, held_out: bool = True
) -> list[Case]:
    """Cases of all examples, in the order of the examples, then of the tasks.

    Args:
        dataset: the tables.
        examples: frame like `data.split.baskets` (user, start, stop, time …), one row an example.
        tasks: the task registry; an example gives no case for a task that finds no label in its basket.
        seed: seed of every draw (query, category, wording).
        held_out: use the wordings that training does not see.
    """
    items = dataset.events[EVENT_ITEM].to_numpy()
    steps = dataset.events[STEP].to_numpy()
    seconds = dataset.events[TIME].to_numpy("datetime64[s]").astype(np.int64)
    first_event = np.searchsorted(dataset.events[EVENT_USER].to_numpy(), np.arange(len(dataset.users)))
    cases = []
    for user, start, stop in zip(examples["user"], examples["start"], examples["stop"], strict=True):
        past = slice(int(first_event[user]), int(start))
        history = items[past]
        ordinals = np.cumsum(np.diff(steps[past], prepend=steps[past][:1]) != 0) if len(history) else np.zeros(0, np.int64)
        context = Context(int(user), history, ordinals, np.unique(items[start:stop]), int(start))
        ages = (seconds[start] - seconds[past]) / 86_400
        for name, task in tasks.items():
            rng = np.random.default_rng([seed, int(user), int(start), zlib.crc32(name.encode())])
            labelled = task.label(context, rng)
            if labelled is None:
                continue
            targets = np.unique(labelled.targets)
            wording = draw(name, labelled.slots, rng, held_out=held_out)
            cases.append(
                Case(
                    user=int(user),
                    start=int(start),
                    stop=int(stop),
                    task=name,
                    instruction=fill(wording, labelled.slots),
                    targets=targets,
                    allowed=labelled.allowed,
                    history=history,
                    new_targets=np.setdiff1d(targets, history),
                    ages=ages,
                    baskets=int(ordinals[-1]) + 1 if len(ordinals) else 0,
                    wording=wording,
                )
            )
    return cases


def activity_slices(baskets: Sequence[int] | Ints) -> npt.NDArray[np.str_]:
    """Activity slice of each example: thirds by the number of baskets before it; equal numbers fall into one slice.

    Shape: (n,) → (n,) of "low", "medium", "high".
    """
    counts = np.asarray(baskets)
    if not len(counts):
        return np.array([], dtype="<U6")
    cuts = np.quantile(counts, [1 / 3, 2 / 3])
    return np.array(SLICES)[np.searchsorted(cuts, counts, side="left")]
