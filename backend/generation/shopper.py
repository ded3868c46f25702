"""Who is asked for: from the ids of a request to profile, history and past events.

Knows the tables only, no model; pages look shoppers up before the model is there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.data import schema as c
from backend.data.history import Histories, History, compose
from backend.data.schema import Dataset
from backend.errors import RequestError
from backend.generation.request import Request
from backend.instructions.templates import profile_text


@dataclass(frozen=True)
class Shopper:
    """Profile sentence, distinct history, and all past events for the repeat prior.

    Shape:
        items, days, steps: (events,) item row, age in days, basket; oldest first.
    """

    profile: str
    history: History
    items: np.ndarray
    days: np.ndarray
    steps: np.ndarray


class Shoppers:
    """Ids of a dataset's households and items → rows; requests → shoppers."""

    def __init__(self, dataset: Dataset) -> None:
        self.profiles = dataset.users[c.PROFILE]
        self.histories = Histories(dataset)
        self.item_rows = {item: row for row, item in enumerate(dataset.items[c.ITEM])}
        self._users = {user: row for row, user in enumerate(dataset.users[c.USER])}

    def user_row(self, user_id: str) -> int:
        """Row of a household.

        Raises:
            RequestError: nobody has this id.
        """
        if user_id not in self._users:
            mend = "`python -m backend info` shows some ids, the Recommend page searches them"
            raise RequestError(f"unknown household {str(user_id)[:40]!r}", "user", mend)
        return self._users[user_id]

    def item_row(self, item_id: str) -> int:
        """Row of an item.

        Raises:
            RequestError: no item has this id.
        """
        if item_id not in self.item_rows:
            raise RequestError(f"unknown item {str(item_id)[:40]!r}", "item", "use an item_id of this workspace's catalogue")
        return self.item_rows[item_id]

    def resolve(self, request: Request) -> Shopper:
        """The shopper of a request: a household, or one that was composed; without the items that were dropped.

        Raises:
            RequestError: unknown household or item, or a profile that is too long.
        """
        profile, nothing = "", np.zeros(0, np.int64)
        items, days, steps, history = nothing, nothing, nothing, compose(nothing)
        if request.user is not None:
            row = self.user_row(request.user)
            low, high = int(self.histories.first[row]), int(self.histories.first[row + 1])
            profile, history = str(self.profiles.iloc[row]), self.histories.before(row, high)
            items, steps = self.histories.items[low:high], self.histories.steps[low:high]
            days = self.histories.days[high - 1] - self.histories.days[low:high] if high > low else nothing
        if request.profile is not None:
            profile = profile_text(request.profile)
        if request.history is not None:
            items = np.array([self.item_row(item) for item in request.history], np.int64)
            history, days, steps = compose(items), np.zeros(len(items), np.int64), np.arange(len(items))
        if request.dropped:
            dropped = np.array([self.item_row(item) for item in request.dropped], np.int64)
            keep = ~np.isin(items, dropped)
            history, items, days, steps = history.without(dropped), items[keep], days[keep], steps[keep]
        return Shopper(profile, history, items, days, steps)
