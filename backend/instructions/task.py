"""What a task is: a context goes in, targets and the allowed items come out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from backend.instructions.index import ItemIndex

if TYPE_CHECKING:
    from backend.instructions.facts import Facts


@dataclass(frozen=True)
class Context:
    """What is known before a basket, and the basket.

    Attributes:
        user: row of the user.
        history: item rows, oldest → newest, with repeats. Shape: (h,)
        history_steps: ordinal of the basket of each, never falling. Shape: (h,)
        basket: distinct item rows of the target basket. Shape: (b,)
        start: row of the basket's first event, where rules that know the calendar, offers and pauses look; None = the history is
            all of the user's events before the basket, so the basket begins right behind it.
    """

    user: int
    history: np.ndarray
    history_steps: np.ndarray
    basket: np.ndarray
    start: int | None = None


@dataclass(frozen=True)
class Labelled:
    """An example of a task.

    Attributes:
        task: its name.
        slots: what fills the wording's slots.
        targets: item rows of the basket that the instruction asks for, at least one. Shape: (t,)
        allowed: the constraint that the instruction states, as a read-only mask; None = none. Shape: (n_items,)
    """

    task: str
    slots: Mapping[str, str]
    targets: np.ndarray
    allowed: np.ndarray | None = field(default=None)


class Task(ABC):
    """One recommendation demand."""

    name: ClassVar[str]
    group: ClassVar[str]  # the paper's four groups, and "Shop" for what shops ask for beyond them
    description: ClassVar[str]  # one sentence for the page
    example: ClassVar[str]  # an instruction of this task
    slots: ClassVar[tuple[str, ...]] = ()  # what its wordings must contain
    variants: ClassVar[tuple[tuple[str, ...], ...]] = ()  # further sets of slots that a wording may contain instead

    def __init__(self, index: ItemIndex) -> None:
        self.index = index

    @abstractmethod
    def label(self, context: Context, rng: np.random.Generator) -> Labelled | None:
        """The example that this basket gives, or None when it holds no target."""


class CountedTask(Task):
    """A demand whose rule counts on what the training period shows (`Facts`): themes, offers, popularity, pauses."""

    def __init__(self, index: ItemIndex, facts: Facts) -> None:
        super().__init__(index)
        self.facts = facts


def within(task: str, slots: Mapping[str, str], context: Context, allowed: np.ndarray) -> Labelled | None:
    """The basket's items that a constraint allows, or None where there is none."""
    targets = context.basket[allowed[context.basket]]
    allowed.setflags(write=False)
    return Labelled(task, slots, targets, allowed) if len(targets) else None
