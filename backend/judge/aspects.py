"""What a judge says: four aspects of how an item suits a household now, each on a scale of levels (PSJ-A, S-GRec §3.1).

- Every judge stands behind one protocol: the trained student, an endpoint, a local language model. Who asks does not know which.
- A level is a whole number; the *expected* level lies between, and orders items that share one.
- An aspect in which a judge is no better than a plain baseline is not used: its levels are -1, its expected levels NaN.
- A reason cites evidence: something that can be looked up in the household's receipts, its profile, the item or the calendar.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from backend.data import schema as c
from backend.data.history import Histories
from backend.data.schema import Dataset

ASPECTS = ("profile", "future", "novelty", "context")  # s0 … s3 of the paper
MEANING: Mapping[str, str] = {
    "profile": "does it suit the kind of household and its standing habits?",
    "future": "will it, or something close to it, be wanted soon?",
    "novelty": "is it new to the household, and welcome?",
    "context": "does it suit this time of the year?",
}
LEVELS = 4
NOBODY = -1  # row of a household that is none of the table's
WORDS: Mapping[str, tuple[str, ...]] = {  # what each level is called
    "profile": ("foreign", "rare", "at home", "a staple"),
    "future": ("unlikely", "its category", "something close", "the item itself"),
    "novelty": ("known", "new, but far", "new in a wanted category", "new and close"),
    "context": ("out of season", "as always", "in season", "its very time"),
}

Ints = npt.NDArray[np.integer]
Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Situation:
    """Whom a judge is asked about, and when. Nothing in it is later than `day`; `user` may be `NOBODY`, a composed household.

    Shape:
        history: (events,) item rows, oldest first, with repeats; ages: (events,) days ago; steps: (events,) ordinal of the basket.
    """

    user: int
    profile: str
    history: Ints
    ages: Floats
    steps: Ints
    day: np.datetime64
    instruction: str = ""


class Situations:
    """Makes situations over one dataset."""

    def __init__(self, dataset: Dataset) -> None:
        self.profiles, self.past = dataset.users[c.PROFILE].tolist(), Histories(dataset)

    def before(self, user: int, start: int, instruction: str = "") -> Situation:
        """A household just before the basket that begins in event row `start`."""
        events, now = slice(int(self.past.first[user]), start), self.past.days[start]
        return Situation(
            user, self.profiles[user], self.past.items[events], now - self.past.days[events], self.past.steps[events],
            np.datetime64(int(now), "D"), instruction,
        )  # fmt: skip


@dataclass(frozen=True)
class Judgement:
    """What was said of some items.

    Shape:
        levels: (n, aspects) int, -1 where the aspect is not used; expected: (n, aspects) float between 0 and LEVELS - 1, NaN likewise;
        reasons: for each item a sentence by aspect; empty where none were asked for.
    """

    levels: Ints
    expected: Floats
    reasons: list[Mapping[str, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.levels)


class Judge(Protocol):
    """Judges items for a household."""

    name: str

    def judge(self, situation: Situation, items: Ints, reasons: bool = False) -> Judgement:
        """Levels of items. Shape: items (n,) rows."""


def holistic(expected: Floats, weights: Floats) -> Floats:
    """s_hol = w(x)ᵀ s(x, a), as a share of the highest level: between 0 and 1 (S-GRec §3.1 B).

    The weight of an aspect that is not used goes to the others in proportion; where none is used, or all weight lies on what is not,
    the score is NaN.

    Shape:
        expected: (n, aspects); weights: (aspects,) ≥ 0, or (n, aspects); returns: (n,).
    """
    used = np.isfinite(expected)
    own = np.where(used, weights, 0.0)
    total = own.sum(-1)
    score = (own * np.where(used, expected, 0.0)).sum(-1) / (LEVELS - 1)
    return np.divide(score, total, out=np.full(len(expected), np.nan), where=total > 0)
