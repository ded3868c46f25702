"""What step 3 knows of a judge: one number an item, how well it suits a household now (S-GRec's s_hol, distilled).

- Nothing is asked of a language model here: the number comes from a trained student that reads receipts (`judge.student`).
- The judge's room stands above this one. Whoever opens a generator hands it something that can be asked, or nothing.
- What is fused is log(s_hol / the best of the catalogue): 0 for the item that the judge likes best, below 0 for all others. A weight of
  it is the exponent of s_hol; and since it only takes away, re-ranking may leave out prefixes that cannot reach the list (`rescoring`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from backend.generation.shopper import Shopper

FLOOR = 0.01  # a score below this counts as this much


@dataclass(frozen=True)
class Moment:
    """A household at a moment; nothing in it is later than `day`.

    Shape:
        items, days, steps: (events,) item row, age in days, basket; oldest first.
    """

    user: int | None  # row of the household; None = a composed one
    day: np.datetime64
    items: np.ndarray
    days: np.ndarray
    steps: np.ndarray

    @classmethod
    def of(cls, shopper: Shopper) -> Moment:
        """The moment of a request."""
        return cls(shopper.user, shopper.day, shopper.items, shopper.days, shopper.steps)


class Judged(Protocol):
    """Scores of all items by a judge, cheap enough for every request."""

    def missing(self) -> str:
        """Why there are no scores; "" where there are."""

    def fingerprint(self) -> str:
        """What the scores depend on; "" where there are none."""

    def scores(self, moment: Moment) -> np.ndarray:
        """s_hol of every item. Shape: (n_items,) between 0 and 1.

        Raises:
            WorkspaceError: the judge cannot be read.
        """


def log_shares(scores: np.ndarray) -> np.ndarray:
    """What is fused: log of each score as a share of the best. Shape: (n_items,) → (n_items,) float32, ≤ 0."""
    safe = np.maximum(np.asarray(scores, np.float64), FLOOR)
    return np.log(safe / safe.max(initial=FLOOR)).astype(np.float32)
