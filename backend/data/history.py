"""Purchase histories as the prompt sees them: the most recent distinct items, how often, and how long ago."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from backend.data import schema as c
from backend.data.schema import Dataset

COUNT_BUCKETS = 8  # 1, 2, 3, 4, 5–7, 8–12, 13–24, 25+ baskets
RECENCY_BUCKETS = 8  # days since the last purchase: ≤3, ≤7, ≤14, ≤30, ≤60, ≤120, ≤240, more
_DOUBLING_DAYS = 45.0
_COUNT_EDGES = np.array([1, 2, 3, 4, 7, 12, 24])
_RECENCY_EDGES = np.array([3, 7, 14, 30, 60, 120, 240])


@dataclass(frozen=True)
class History:
    """Distinct items, oldest last purchase first.

    Shape:
        items, counts, days: (h,) item rows, baskets that held the item, days since its last purchase.
    """

    items: np.ndarray
    counts: np.ndarray
    days: np.ndarray

    def __len__(self) -> int:
        return len(self.items)

    def recent(self, size: int) -> History:
        """The `size` most recent items; none of them for 0."""
        first = max(len(self.items) - size, 0)
        return History(self.items[first:], self.counts[first:], self.days[first:])

    def salient(self, size: int) -> History:
        """The `size` items that say most about the next basket: bought often, bought lately; in the order of the history.

        One doubling of the baskets that held an item weighs as much as 45 days.
        """
        keep = np.sort(np.argsort(-self._telling(), kind="stable")[:size])
        return History(self.items[keep], self.counts[keep], self.days[keep])

    def by_weight(self) -> History:
        """The same items, the most telling one last."""
        order = np.argsort(self._telling(), kind="stable")
        return History(self.items[order], self.counts[order], self.days[order])

    def _telling(self) -> np.ndarray:
        """How much each item says about the next basket. Shape: (h,)."""
        return np.log2(1.0 + self.counts) - self.days / _DOUBLING_DAYS

    def without(self, items: np.ndarray) -> History:
        """The history with some items dropped (what-if)."""
        keep = ~np.isin(self.items, items)
        return History(self.items[keep], self.counts[keep], self.days[keep])

    def count_buckets(self) -> np.ndarray:
        """Bucket of each count. Shape: (h,) int64 in [0, COUNT_BUCKETS)."""
        return np.searchsorted(_COUNT_EDGES, self.counts, side="left").clip(0, COUNT_BUCKETS - 1)

    def recency_buckets(self) -> np.ndarray:
        """Bucket of each age. Shape: (h,) int64 in [0, RECENCY_BUCKETS)."""
        return np.searchsorted(_RECENCY_EDGES, self.days, side="left").clip(0, RECENCY_BUCKETS - 1)


def exact_days(events: pd.DataFrame) -> np.ndarray:
    """When events were, in days since 1970 to the second. Shape: (events,) float64."""
    return events[c.TIME].to_numpy("datetime64[s]").astype(np.int64) / 86_400


class Histories:
    """Histories of all users at any moment, from arrays laid out once.

    Events are sorted by (user, time, step), so a history is the slice from the user's first event to `start`.
    """

    def __init__(self, dataset: Dataset) -> None:
        events = dataset.events
        self.items = events[c.EVENT_ITEM].to_numpy(np.int64)
        self.steps = events[c.STEP].to_numpy(np.int64)
        self.days = exact_days(events)
        users = events[c.EVENT_USER].to_numpy()
        self.first = np.searchsorted(users, np.arange(len(dataset.users) + 1))  # (users + 1,) row of each user's first event

    def slice(self, user: int, start: int) -> np.ndarray:
        """Item rows of all events of `user` before row `start`, oldest first, with repeats."""
        return self.items[self.first[user] : start]

    def before(self, user: int, start: int) -> History:
        """Distinct history of `user` before event row `start`; ages count from the day of that event, or from the user's last one."""
        low, high = int(self.first[user]), int(self.first[user + 1])
        days = self.days[low:start]
        now = self.days[start] if start < high else days[-1] if len(days) else 0
        return distinct(self.items[low:start], now - days)


def distinct(items: np.ndarray, ages: np.ndarray) -> History:
    """The history of some purchases: each item once, at the place of its last purchase.

    Shape:
        items, ages: (events,) item row and age in days, oldest first; an item stands at most once a basket.
    """
    unique, newest, counts = np.unique(items[::-1], return_index=True, return_counts=True)
    order = np.argsort(-newest, kind="stable")  # oldest last purchase first
    return History(unique[order], counts[order], np.floor(ages[::-1][newest[order]]).astype(np.int64))
