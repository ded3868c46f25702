"""What a household's own record says of each item: the plain features behind the model's repeat prior (ours).

- Grocery shopping is mostly buying again, so how often, how lately and how regularly an item was bought says more than any embedding.
- Features are what a person would count on the receipts; how much each means is learned (`backend.model.priors`).
- Everything comes from the household's events before the basket in question. Nothing here knows other households.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from backend.data import schema as c
from backend.data.deals import Deals, current
from backend.data.schema import Dataset

OWN = ("rate, 60 days", "rate, 14 days", "rate, ever", "days since", "times", "due", "last basket")
HALF_LIVES = (60.0, 14.0, np.inf)  # days after which a purchase counts half, of the three rates
LATELY = 10  # baskets that count as lately
HABIT = 3  # purchases that make a habit
DUE = (0.75, 3.0)  # mean pauses since the last purchase: sooner is stocked, later is given up
_FLOOR = 0.01  # purchase rate that counts as "never": one basket in a hundred


@dataclass(frozen=True)
class Record:
    """A household's record.

    Shape:
        items: (s,) distinct item rows that were bought, rising; own: (s, len(OWN)) float32;
        familiar: (n_items,) log(1 + rate of the item's category/floor); lately: (n_items,) 1 where the category is in the last ten baskets;
        due: (n_items,) bool, what should be bought again by its usual pause; deals: (n_items,) bool, what is on offer, None = not known;
        week: row of the trend (`backend.data.trend`) at that time, 0 = now.
    """

    items: np.ndarray
    own: np.ndarray
    familiar: np.ndarray
    lately: np.ndarray
    due: np.ndarray
    deals: np.ndarray | None = None
    week: int = 0


class Records:
    """Makes records over one catalogue."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset, self.n_items = dataset, dataset.n_items
        names, self.category_of = np.unique(dataset.items[c.CATEGORY].fillna("").to_numpy(str), return_inverse=True)
        self.n_categories = len(names)

    @cached_property
    def deals_now(self) -> np.ndarray:
        """What is on offer now, in the last week of the data. Shape: (n_items,) bool"""
        return current(self.dataset)

    @cached_property
    def deals(self) -> Deals:
        """The offers of every week."""
        return Deals(self.dataset)

    def deals_at(self, user: int, start: int) -> np.ndarray:
        """What is on offer in the week of a household's event, by the receipts of the others. Shape: (n_items,) bool"""
        first, end = np.searchsorted(self.dataset.events[c.EVENT_USER].to_numpy(), [user, user + 1])
        return self.deals.for_others(start, slice(int(first), int(end)))

    def of(
        self, items: np.ndarray, ages: np.ndarray, steps: np.ndarray, week: int = 0, deals: np.ndarray | None = None
    ) -> Record:
        """The record of some purchases.

        Args:
            week: row of the trend at that time, 0 = now.
            deals: what is on offer at that time; None = not known. Shape: (n_items,) bool

        Shape:
            items, ages, steps: (events,) item row, age in days, basket of each past event; oldest first, events of a basket adjacent.
        """
        if not len(items):
            nothing = np.zeros(self.n_items, np.float32)
            due = np.zeros(self.n_items, bool)
            return Record(np.zeros(0, np.int64), np.zeros((0, len(OWN)), np.float32), nothing, nothing, due, deals, week)
        bought, place, times = np.unique(items, return_inverse=True, return_counts=True)
        first = np.concatenate([[True], steps[1:] != steps[:-1]])  # one event of each basket
        last_age, first_age = np.full(len(bought), np.inf), np.zeros(len(bought))
        np.minimum.at(last_age, place, ages)
        np.maximum.at(first_age, place, ages)
        gap = (first_age - last_age) / np.maximum(times - 1, 1)  # days between two purchases, on average
        own = np.zeros((len(bought), len(OWN)), np.float32)
        for column, half_life in enumerate(HALF_LIVES):
            weight = np.exp2(-ages / half_life)
            own[:, column] = np.log1p(np.bincount(place, weight) / weight[first].sum() / _FLOOR)
        own[:, 3], own[:, 4] = np.log1p(last_age), np.log1p(times)
        own[:, 5] = np.where(times > 1, np.log((last_age + 1) / (gap + 1)), 0.0)  # above 0: overdue
        own[:, 6] = np.isin(bought, items[steps == steps[-1]])
        weight = np.exp2(-ages / HALF_LIVES[0])
        rate = np.bincount(self.category_of[items], weight, self.n_categories) / weight[first].sum()
        starts = np.flatnonzero(first)
        lately = np.zeros(self.n_categories, np.float32)
        lately[self.category_of[items[starts[max(len(starts) - LATELY, 0)] :]]] = 1.0
        familiar = np.log1p(rate / _FLOOR).astype(np.float32)
        due = np.zeros(self.n_items, bool)
        due[bought] = due_again(times, first_age, last_age)
        return Record(bought, own, familiar[self.category_of], lately[self.category_of], due, deals, week)


def due_again(times: np.ndarray, first_age: np.ndarray, last_age: np.ndarray) -> np.ndarray:
    """Which items are due to be bought again: bought often enough to be a habit, the last time as long ago as it usually is.

    Shape:
        times, first_age, last_age: (s,) purchases, days since the first and since the last; returns: (s,) bool.
    """
    pause = (first_age - last_age) / np.maximum(times - 1, 1)
    early, late = DUE
    return (times >= HABIT) & (pause > 0) & (last_age >= early * pause) & (last_age <= late * pause)


def basket_ordinals(ages: np.ndarray) -> np.ndarray:
    """Ordinal of the basket of each event, from exact ages: events of one basket share theirs. Shape: (events,) → (events,)."""
    return np.cumsum(np.diff(ages, prepend=ages[:1]) != 0)
