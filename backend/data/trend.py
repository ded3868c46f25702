"""What is bought lately, by everybody: popularity of two weeks, for each week of the training period.

- Grocery demand moves with the season, and two weeks of baskets say more of the next ones than the whole year does.
- A training context sees the newest window that had ended before it, so no basket counts itself. Serving and evaluation see the last two
  weeks of the training period, however long ago they are: nothing after it is counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from backend.data import schema as c
from backend.data.history import exact_days

_WINDOW, _WEEK = 14.0, 7.0  # days
_FLOOR = 1e-3  # share of baskets that counts as "hardly ever": one in a thousand
_JUST_AFTER = 1 / 86_400  # a second, in days: the last basket lies before the end


@dataclass(frozen=True)
class Trend:
    """Popularity of two weeks, by the week they ended.

    Shape:
        table: (weeks, n_items) float32, log(1 + share of the window's baskets/floor); row k ended k weeks before `end` (in days).
    """

    end: float
    table: np.ndarray

    def row(self, day: float) -> int:
        """The newest window that had ended by `day` (days since 1970); the oldest one, which is empty, where none had."""
        return int(np.clip(np.ceil((self.end - day) / _WEEK), 0, len(self.table) - 1))

    def grown(self, more: np.ndarray) -> Trend:
        """With further items behind the known ones. Shape: more (weeks, m), as `table` counts."""
        return Trend(self.end, np.concatenate([self.table, more], axis=1).astype(np.float32))


def trend(train_events: pd.DataFrame, n_items: int) -> Trend:
    """The trend of training events; an item stands at most once a basket."""
    if not len(train_events):
        return Trend(0.0, np.zeros((1, n_items), np.float32))
    items, steps, days = train_events[c.EVENT_ITEM].to_numpy(), train_events[c.STEP].to_numpy(), exact_days(train_events)
    end = float(days.max()) + _JUST_AFTER
    age = end - days
    rows = []
    for week in range(int(age.max() // _WEEK) + 2):  # the oldest is empty: for the first week's baskets
        inside = (age > week * _WEEK) & (age <= week * _WEEK + _WINDOW)
        baskets = max(len(np.unique(steps[inside])), 1)
        rows.append(np.log1p(np.bincount(items[inside], minlength=n_items) / baskets / _FLOOR))
    return Trend(end, np.array(rows, np.float32))
