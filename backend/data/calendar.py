"""Calendar windows and what sells in them more than usual.

- A window is a span of days with a word a person would use ("Halloween", "summer"). Holiday dates come from the
  `holidays` package; a window opens some days before the holiday, when people shop for it, and closes on its day.
- Lift of an item in a window: its share of sales that fall inside, over the window's share of all sales. Counted in lines of
  training events only, smoothed towards 1, and not a number below a minimum count: rare items must not look seasonal.
- Only words that mean the span itself: two words over one span would get the same items ("allergy season" the Easter eggs).
- A window that lies after the training period has no lift; its word can still be linked by meaning.
- A *themed* item stands out in a window by lift and beyond chance, and so does its product type: the one rule of grounding's
  knowledge view and of the labels. A promotion moves sales from brand to brand, an occasion raises all of a kind; without the
  type, the tissue that was on offer in October would belong to Halloween.
"""

from __future__ import annotations

from calendar import isleap
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import holidays
import numpy as np
import pandas as pd

from backend.data import schema
from backend.data.schema import Dataset

WORD, START, END = "word", "start", "end"  # columns of `windows`; both days belong to the window
MIN_SALES = 20  # training lines that an item needs
MIN_INSIDE = 5  # of them inside the window
SMOOTHING = 10.0  # lines at the usual rate that are added to every item
LIFT = 1.5  # an item belongs to a window when it sells this many times its usual share in it …
TYPE_LIFT = 1.3  # … and all items of its type together this many times …
SURPRISE = 3.0  # … and each surplus is this many standard deviations: rare items look seasonal by chance
SEASONS = ("winter", "spring", "summer", "fall")

# word, the public holiday's name in the `holidays` package, days that the window opens before it
_HOLIDAYS = (
    ("Memorial Day", "Memorial Day", 10),
    ("Independence Day", "Independence Day", 10),
    ("Labor Day", "Labor Day", 10),
    ("Thanksgiving", "Thanksgiving Day", 14),
    ("Christmas", "Christmas Day", 30),
)
# word, first and last day as (month, day); a word that spans the turn of the year has two windows
_FIXED = (
    ("New Year", (1, 1), (1, 3)),
    ("New Year", (12, 26), (12, 31)),
    ("Valentine's Day", (2, 1), (2, 14)),
    ("back to school", (7, 25), (8, 31)),
    ("Halloween", (10, 8), (10, 31)),
    ("winter", (1, 1), (2, 29)),
    ("winter", (12, 1), (12, 31)),
    ("spring", (3, 1), (5, 31)),
    ("summer", (6, 1), (8, 31)),
    ("fall", (9, 1), (11, 30)),
)


def windows(year: int) -> pd.DataFrame:
    """The named windows of a year in order of their start: word, start, end (midnights; both days included)."""
    leap = isleap(year)
    rows = [
        (word, date(year, *first), date(year, *(last if leap or last != (2, 29) else (2, 28)))) for word, first, last in _FIXED
    ]
    named = {name: day for day, name in sorted(holidays.country_holidays("US", years=year).items())}
    rows += [(word, named[name] - timedelta(days=ahead), named[name]) for word, name, ahead in _HOLIDAYS if name in named]
    easter, bowl = _easter(year), _super_bowl(year)
    rows += [("Easter", easter - timedelta(days=20), easter), ("Super Bowl", bowl - timedelta(days=8), bowl)]
    frame = pd.DataFrame(rows, columns=[WORD, START, END]).sort_values([START, END, WORD], ignore_index=True)
    return frame.astype({START: "datetime64[s]", END: "datetime64[s]"})


def _easter(year: int) -> date:
    """Easter Sunday: two days after Good Friday, which the package knows."""
    named = {name: day for day, name in holidays.country_holidays("US", subdiv="CT", years=year).items()}
    return named["Good Friday"] + timedelta(days=2)


def _super_bowl(year: int) -> date:
    """The first Sunday of February; from 2022 on, with the longer season, the second."""
    first = date(year, 2, 1)
    sunday = first + timedelta(days=(6 - first.weekday()) % 7)
    return sunday + timedelta(days=7 if year >= 2022 else 0)


@lru_cache(maxsize=64)
def _spans(year: int) -> tuple[tuple[str, date, date], ...]:
    """The windows of a year as plain dates, the shortest first."""
    frame = windows(year)
    rows = zip(frame[WORD].tolist(), frame[START].dt.date.tolist(), frame[END].dt.date.tolist(), strict=True)
    return tuple(sorted(rows, key=lambda row: (row[2] - row[1], row[2])))


def season_of(day: date) -> str:
    """The season of a day: one of `SEASONS`."""
    return next(word for word, first, last in _spans(day.year) if word in SEASONS and first <= day <= last)


def holiday_of(day: date) -> str | None:
    """The occasion that people shop for on a day: of the windows that hold it the shortest, then the one that ends first."""
    return next((word for word, first, last in _spans(day.year) if word not in SEASONS and first <= day <= last), None)


def words() -> list[str]:
    """Every word of the calendar, in the order of a year."""
    return list(dict.fromkeys(windows(2017)["word"]))


def inside(days: np.ndarray, word: str) -> np.ndarray:
    """Which days lie in a window of this word, in any year.

    Shape:
        days: (n,) datetime64; returns: (n,) bool.
    """
    days = days.astype("datetime64[D]")
    found = np.zeros(len(days), bool)
    if not len(days):
        return found
    for year in range(days.min().astype(object).year, days.max().astype(object).year + 1):
        for name, first, last in _spans(year):
            if name == word:
                found |= (days >= np.datetime64(first)) & (days <= np.datetime64(last))
    return found


def within(dataset: Dataset, window: Any) -> np.ndarray:
    """Which events lie in a window of `windows`. Shape: (n_events,) bool."""
    first, last = (_field(window, name) for name in (START, END))
    time = dataset.events[schema.TIME].to_numpy()
    return (time >= np.datetime64(first)) & (time < np.datetime64(last + pd.Timedelta(days=1)))


def lift(dataset: Dataset, train_events: np.ndarray, span: np.ndarray) -> np.ndarray:
    """How many times its usual share an item sells inside a span.

    With n_i the training lines of item i, m_i those inside, p the share of all training lines inside and s the smoothing:
    lift_i = (m_i + s·p) / ((n_i + s)·p).

    Args:
        dataset: the tables.
        train_events: mask of the events that may be seen.
        span: which events lie in it, as `within` tells.

    Shape:
        train_events, span: (n_events,) bool.
        returns: (n_items,) float; NaN where an item has too few sales, or no training day lies in the span.
    """
    return _lift(*_sales(np.arange(dataset.n_items), dataset, train_events, span))


def themed(dataset: Dataset, train_events: np.ndarray, span: np.ndarray) -> np.ndarray:
    """Items that stand out in a span and whose product type does (an item without a type stands for itself).

    Standing out is a lift of at least `LIFT` (`TYPE_LIFT` for the type) and (lift - 1)·√(expected lines) ≥ `SURPRISE`, as if
    sales were Poisson.

    Shape:
        train_events, span: (n_events,) bool; returns: (n_items,) bool, all False where the span lies outside training.
    """
    each = np.arange(dataset.n_items)
    named = dataset.items[schema.TYPE].fillna("").astype(str)
    kind, _ = pd.factorize(named.where(named != "", pd.Series(each, index=named.index).astype(str)))
    own = _stands_out(_sales(each, dataset, train_events, span), LIFT)
    return own & _stands_out(_sales(kind, dataset, train_events, span), TYPE_LIFT)[kind]


def _stands_out(sales: tuple[np.ndarray, np.ndarray, float], least: float) -> np.ndarray:
    ratio = np.nan_to_num(_lift(*sales))
    sold, _, share = sales
    return (ratio >= least) & ((ratio - 1.0) * np.sqrt(sold * share) >= SURPRISE)


def _lift(sold: np.ndarray, sold_inside: np.ndarray, share: float) -> np.ndarray:
    if share == 0:
        return np.full(len(sold), np.nan)
    ratio = (sold_inside + SMOOTHING * share) / ((sold + SMOOTHING) * share)
    known = (sold >= MIN_SALES) & ((sold_inside >= MIN_INSIDE) | (ratio < 1))
    return np.where(known, ratio, np.nan)


def _sales(
    group: np.ndarray, dataset: Dataset, train_events: np.ndarray, span: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Training lines of each group of items, those of them inside, and the share of all lines that is inside.

    Shape:
        group: (n_items,) int from 0; returns: (n_groups,) int, twice, and the share.
    """
    of_line, both = group[dataset.events[schema.EVENT_ITEM].to_numpy()], train_events & span
    n = int(group.max(initial=-1)) + 1
    sold, sold_inside = np.bincount(of_line[train_events], minlength=n), np.bincount(of_line[both], minlength=n)
    return sold, sold_inside, float(both.sum() / max(train_events.sum(), 1))


def _field(window: Any, name: str) -> pd.Timestamp:
    return pd.Timestamp(window[name] if isinstance(window, dict | pd.Series) else getattr(window, name))
