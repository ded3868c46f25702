"""What the training period shows, for the label rules: the tail, themed pools, what goes together; and when a basket was paid.

- Everything that is counted is counted on `counted` events alone, the training period's. Two things are not counts but facts of
  the moment, which the shop or the household knows by then: the offers of the basket's week (from other households' receipts) and
  the household's own purchases before the basket.
- Each fact is made at its first use: a model trained without Complement never counts pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cached_property, lru_cache

import numpy as np
import scipy.sparse as sp

from backend.data import calendar
from backend.data import schema as c
from backend.data.deals import Deals
from backend.data.record import due_again
from backend.data.schema import Dataset
from backend.data.tail import tail_items
from backend.instructions.task import Context

MIN_SHARED = 20  # training baskets with both items that make a pair believable
MIN_TOGETHER = 4.0  # … and the pair must be this many times as frequent as chance would make it; large baskets alone make it 2


class Facts:
    """Facts of a dataset.

    Args:
        dataset: the tables.
        counted: the events that may be counted. Shape: (n_events,) bool
        meant: items of a calendar word by meaning (see `themed.by_meaning`), beside those by lift. Shape: (n_items,) bool each
    """

    def __init__(self, dataset: Dataset, counted: np.ndarray, meant: Mapping[str, np.ndarray] | None = None) -> None:
        self.dataset, self.counted, self.meant = dataset, np.asarray(counted, bool), meant or {}
        self.times = dataset.events[c.TIME].to_numpy("datetime64[s]")
        self.items = dataset.events[c.EVENT_ITEM].to_numpy(np.int64)
        self.price = dataset.items[c.PRICE].to_numpy(float)
        users = dataset.events[c.EVENT_USER].to_numpy()
        self.first = np.searchsorted(users, np.arange(len(dataset.users) + 1))  # (users + 1,) row of each user's first event
        self.on = lru_cache(maxsize=512)(self._on)  # day number → date
        self.pool = lru_cache(maxsize=None)(self._pool)

    def start(self, context: Context) -> int:
        """Row of the basket's first event."""
        return int(self.first[context.user]) + len(context.history) if context.start is None else context.start

    def day(self, context: Context) -> date:
        """The day of the basket."""
        return self.on(int(self.times[self.start(context)].astype("datetime64[D]").astype(np.int64)))

    @staticmethod
    def _on(number: int) -> date:
        return np.datetime64(number, "D").astype(object)

    @cached_property
    def tail(self) -> np.ndarray:
        """Items outside the head of best sellers. Shape: (n_items,) bool"""
        return tail_items(np.bincount(self.items[self.counted], minlength=self.dataset.n_items))

    def _pool(self, word: str) -> np.ndarray:
        """Themed items of a calendar word: by lift in the counted days of its windows, and by meaning. Shape: (n_items,) bool"""
        pool = calendar.themed(self.dataset, self.counted, calendar.inside(self.times, word))
        if word in self.meant:
            pool |= self.meant[word]
        pool.setflags(write=False)
        return pool

    @cached_property
    def deals(self) -> Deals:
        """The offers of every week."""
        return Deals(self.dataset)

    @cached_property
    def partners(self) -> sp.csr_matrix:
        """Which items go together: in ≥ `MIN_SHARED` counted baskets, ≥ `MIN_TOGETHER` times as often as chance, of different categories.

        Shape:
            returns: (n_items, n_items) bool, symmetric.
        """
        n = self.dataset.n_items
        steps, basket = np.unique(self.dataset.events[c.STEP].to_numpy()[self.counted], return_inverse=True)
        held = sp.csr_matrix((np.ones(len(basket), np.float32), (basket, self.items[self.counted])), shape=(len(steps), n))
        held.data[:] = 1.0  # an item counts once a basket
        both = (held.T @ held).tocoo()
        baskets = np.asarray(held.sum(0)).ravel()
        category = np.unique(self.dataset.items[c.CATEGORY].to_numpy(str), return_inverse=True)[1]
        usual = baskets[both.row] * baskets[both.col] / max(len(steps), 1)
        keep = (both.data >= MIN_SHARED) & (both.data >= MIN_TOGETHER * usual) & (category[both.row] != category[both.col])
        return sp.csr_matrix((np.ones(int(keep.sum()), bool), (both.row[keep], both.col[keep])), shape=(n, n))

    def due(self, context: Context) -> np.ndarray:
        """Items that the household is due to buy again (`record.due_again`). Shape: (n_items,) bool"""
        start = self.start(context)
        seconds = self.times[start - len(context.history) : start + 1].astype(np.int64)
        ages = (seconds[-1] - seconds[:-1]) / 86_400
        bought, place, times = np.unique(context.history, return_inverse=True, return_counts=True)
        last, first = np.full(len(bought), np.inf), np.zeros(len(bought))
        np.minimum.at(last, place, ages)
        np.maximum.at(first, place, ages)
        mask = np.zeros(self.dataset.n_items, bool)
        mask[bought] = due_again(times, first, last)
        return mask
