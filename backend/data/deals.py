"""What was on offer when: read off the receipts, because the tables hold no price tags.

- An item is on deal in a week when at least half of the week's lines, of three or more, carry a discount or a coupon.
- A household's own lines are left out where its basket is labelled: otherwise an item would be "on deal" because this very basket
  says so. What others paid in the same week stands for the shop's plan of offers, which a shop knows beforehand.
- Weeks count from the dataset's first day. A source without discounts and coupons has no deals.
"""

from __future__ import annotations

import numpy as np

from backend.data import schema as c
from backend.data.schema import Dataset

MIN_LINES = 3  # lines of a week (of other households) that make an offer believable
MIN_SHARE = 0.5  # of them with a discount or a coupon
DAYS = 7


class Deals:
    """Offers of every week.

    Attributes:
        week_of: week of each event. Shape: (n_events,)
        dealt: whether the line carries a discount or a coupon. Shape: (n_events,)
    """

    def __init__(self, dataset: Dataset) -> None:
        events = dataset.events
        self.n_items = dataset.n_items
        day = events[c.TIME].to_numpy("datetime64[D]").astype(np.int64)
        self.week_of = (day - (day.min() if len(day) else 0)) // DAYS
        self.item_of = events[c.EVENT_ITEM].to_numpy(np.int64)
        self.dealt = (events[c.DISCOUNT].to_numpy(float) > 0) | (events[c.COUPON].to_numpy(float) > 0)
        key, place = np.unique(self.week_of * self.n_items + self.item_of, return_inverse=True)
        self._week, self._item = key // max(self.n_items, 1), key % max(self.n_items, 1)
        self._lines = np.bincount(place, minlength=len(key))
        self._dealt = np.bincount(place, self.dealt, minlength=len(key))

    def on_deal(self, week: int, without: np.ndarray | None = None) -> np.ndarray:
        """Items on deal in a week.

        Args:
            without: rows of events that are not to be counted; those of other weeks change nothing. Shape: (n,)

        Shape:
            returns: (n_items,) bool.
        """
        low, high = np.searchsorted(self._week, [week, week + 1])
        lines, dealt = np.zeros(self.n_items), np.zeros(self.n_items)
        lines[self._item[low:high]], dealt[self._item[low:high]] = self._lines[low:high], self._dealt[low:high]
        if without is not None and len(without):
            own = without[self.week_of[without] == week]
            lines -= np.bincount(self.item_of[own], minlength=self.n_items)
            dealt -= np.bincount(self.item_of[own], self.dealt[own], minlength=self.n_items)
        return (lines >= MIN_LINES) & (dealt >= MIN_SHARE * lines)

    def for_others(self, start: int, own: slice) -> np.ndarray:
        """Items on deal in the week of an event by the receipts of the other households.

        Args:
            start: row of the event.
            own: rows of the household's events; weeks never fall among them.

        Shape:
            returns: (n_items,) bool.
        """
        week = int(self.week_of[start])
        low, high = np.searchsorted(self.week_of[own], [week, week + 1]) + own.start
        return self.on_deal(week, np.arange(low, high))


def current(dataset: Dataset) -> np.ndarray:
    """Items on deal now: in the last seven days of the dataset, by the same rule. Shape: (n_items,) bool."""
    day = dataset.events[c.TIME].to_numpy("datetime64[D]")
    if not len(day):
        return np.zeros(dataset.n_items, bool)
    last = dataset.events[day > day.max() - DAYS]
    dealt = (last[c.DISCOUNT].to_numpy(float) > 0) | (last[c.COUPON].to_numpy(float) > 0)
    item = last[c.EVENT_ITEM].to_numpy(np.int64)
    lines, deals = (np.bincount(item, weight, minlength=dataset.n_items) for weight in (np.ones(len(item)), dealt))
    return (lines >= MIN_LINES) & (deals >= MIN_SHARE * lines)
