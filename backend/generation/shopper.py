"""Who is asked for: from the ids of a request to profile, history and past events.

- Knows the tables only, no model; pages look shoppers up before the model is there.
- "Now" is when the next basket is due: the household's usual pause after its last one. Training asks at the moment of a basket, so an
  age of zero days would mean a second basket on the same day.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from backend.data import schema as c
from backend.data.history import Histories, History, distinct
from backend.data.schema import Dataset
from backend.errors import RequestError
from backend.generation.request import Request
from backend.instructions.templates import profile_text

_UNKNOWN = np.datetime64("NaT", "D")


@dataclass(frozen=True)
class Shopper:
    """Profile sentence, distinct history, and all past events for the household's record.

    Attributes:
        user: row of the household; None = a composed one.
        day: when it is asked for, as it were.

    Shape:
        items, days, steps: (events,) item row, age in days, basket; oldest first.
    """

    profile: str
    history: History
    items: np.ndarray
    days: np.ndarray
    steps: np.ndarray
    user: int | None = None
    day: np.datetime64 = _UNKNOWN


_RECENT_PAUSES = 10  # pauses between baskets whose median is the usual one


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
        profile, user, last, pause = "", None, self._last, self._pause
        items, steps, days = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
        if request.user is not None:
            row = self.user_row(request.user)
            own = slice(int(self.histories.first[row]), int(self.histories.first[row + 1]))
            profile = str(self.profiles.iloc[row])
            items, steps, days = self.histories.items[own], self.histories.steps[own], self._ages(own)
            user, last = row, float(self.histories.days[own][-1]) if len(days) else last
            pause = float(days[-1]) if len(days) else self._pause
        if request.profile is not None:
            profile, user = profile_text(request.profile), None  # its attributes are no longer those of the table
        if request.history is not None:
            items = np.array([self.item_row(item) for item in request.history], np.int64)
            steps, days = np.arange(len(items)), np.full(len(items), self._pause)
        if request.dropped:
            keep = ~np.isin(items, [self.item_row(item) for item in request.dropped])
            items, steps, days = items[keep], steps[keep], days[keep]
        return Shopper(profile, distinct(items, days), items, days, steps, user, np.datetime64(int(last + pause), "D"))

    def _ages(self, own: slice) -> np.ndarray:
        """Days from each event of a household to its next basket, should it keep to its usual pause."""
        days = self.histories.days[own]
        pauses = _pauses(days)[-_RECENT_PAUSES:]
        return (days[-1] - days + (np.median(pauses) if len(pauses) else self._pause)) if len(days) else days

    @cached_property
    def _last(self) -> float:
        """The last moment of the data, in days since 1970."""
        return float(self.histories.days.max(initial=0.0))

    @cached_property
    def _pause(self) -> float:
        """The usual pause of all households, in days."""
        pauses = _pauses(self.histories.days)
        return float(np.median(pauses)) if len(pauses) else 0.0


def _pauses(days: np.ndarray) -> np.ndarray:
    """Days between one basket and the next; where another household begins, time runs backwards, and that is no pause."""
    steps = np.diff(days)
    return steps[steps > 0]
