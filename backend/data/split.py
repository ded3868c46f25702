"""Cutting the year by time: training, validation, test, without leakage.

- The unit is a whole basket: no basket is cut, and a basket belongs to the window in which it was paid.
- Training sees only events before `validation_start`. Everything learned or counted (embeddings, lift, prices, popularity)
  comes from `Split.train_events`.
- A validation or test example is one basket per user: the last one of the window that is large enough and has a past. Its
  input is all of the user's events before it, which may be newer than training; nothing is trained on them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from backend.data import schema
from backend.data.schema import Dataset
from backend.errors import RequestError
from backend.settings import DataSettings

MIN_TRAINED = 2  # smallest basket that anything is trained on, in distinct items
START, STOP, N_ITEMS = "start", "stop", "n_items"  # columns of `baskets`: slice of the events, distinct items inside


@dataclass(frozen=True)
class Split:
    """Baskets of the three windows, all with the columns of `baskets`, and the events that training may see."""

    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame
    train_events: np.ndarray  # (n_events,) bool


def baskets(dataset: Dataset) -> pd.DataFrame:
    """All baskets: user, start, stop (slice of the events), time, n_items (distinct), sorted by user and time."""
    events = dataset.events
    user, item, step = (events[name].to_numpy() for name in (schema.EVENT_USER, schema.EVENT_ITEM, schema.STEP))
    new = np.ones(len(events), dtype=bool)  # (n_events,) first line of a basket
    new[1:] = (user[1:] != user[:-1]) | (step[1:] != step[:-1])
    distinct = new.copy()
    distinct[1:] |= item[1:] != item[:-1]  # a basket's lines are sorted by item
    start = np.flatnonzero(new)
    return pd.DataFrame(
        {
            schema.EVENT_USER: user[start],
            START: start,
            STOP: np.append(start[1:], len(events)).astype(np.int64) if len(start) else start,
            schema.TIME: events[schema.TIME].to_numpy()[start],
            N_ITEMS: np.add.reduceat(distinct.astype(np.int64), start) if len(start) else start,
        }
    )


def with_past(frame: pd.DataFrame, least: int) -> pd.DataFrame:
    """Baskets with an earlier one of their user in the frame, and at least `least` distinct items; sorted as `baskets` sorts them."""
    return frame[frame[schema.EVENT_USER].duplicated() & (frame[N_ITEMS] >= least)]


def user_offsets(dataset: Dataset) -> np.ndarray:
    """Where each user's events begin: user u's are `events[offsets[u]:offsets[u + 1]]`.

    Shape: (n_users + 1,) int64.
    """
    return np.searchsorted(dataset.events[schema.EVENT_USER].to_numpy(), np.arange(len(dataset.users) + 1))


def split(dataset: Dataset, settings: DataSettings) -> Split:
    """Cut the dataset at the settings' dates.

    Raises:
        RequestError: a date that is none, dates in the wrong order, or no basket before `validation_start`.
    """
    validation_start, test_start = _date("validation_start", settings), _date("test_start", settings)
    if test_start <= validation_start:
        raise RequestError(
            f"test_start {settings.test_start} is not after validation_start {settings.validation_start}", "data settings"
        )
    frame = baskets(dataset)
    time = frame[schema.TIME]
    train = frame[time < validation_start].reset_index(drop=True)
    if train.empty:
        span = f"{time.min():%Y-%m-%d} to {time.max():%Y-%m-%d}" if len(frame) else "nothing"
        raise RequestError(
            f"no basket lies before validation_start {settings.validation_start}",
            f"the events hold {span}",
            "set data.validation_start and data.test_start inside this span",
        )
    fit = with_past(frame, settings.min_targets)
    return Split(
        train=train,
        validation=_last(fit[fit[schema.TIME].between(validation_start, test_start, inclusive="left")]),
        test=_last(fit[fit[schema.TIME] >= test_start]),
        train_events=(dataset.events[schema.TIME] < validation_start).to_numpy(),
    )


def _last(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop_duplicates(schema.EVENT_USER, keep="last").reset_index(drop=True)


def _date(field: str, settings: DataSettings) -> pd.Timestamp:
    value = getattr(settings, field)
    try:
        date = pd.Timestamp(value)
    except ValueError as error:
        raise RequestError(f"{value!r} is no date", f"data.{field}", "write it as YYYY-MM-DD") from error
    if pd.isna(date):
        raise RequestError(f"{value!r} is no date", f"data.{field}", "write it as YYYY-MM-DD")
    return date
