"""Calendar windows, and lift against a naive recomputation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from backend.data import calendar, schema
from backend.data.schema import Dataset
from backend.data.split import split
from backend.settings import DataSettings
from tests.tiny import SEASONAL


def day(year: int, word: str) -> str:
    frame = calendar.windows(year)
    return f"{frame.loc[frame['word'] == word, 'end'].iloc[-1]:%Y-%m-%d}"


@pytest.mark.parametrize(
    ("year", "word", "date"),
    [
        (2017, "Super Bowl", "2017-02-05"),
        (2024, "Super Bowl", "2024-02-11"),
        (2017, "Easter", "2017-04-16"),
        (2024, "Easter", "2024-03-31"),
        (2017, "Memorial Day", "2017-05-29"),
        (2017, "Independence Day", "2017-07-04"),
        (2017, "Labor Day", "2017-09-04"),
        (2017, "Halloween", "2017-10-31"),
        (2017, "Thanksgiving", "2017-11-23"),
        (2017, "Christmas", "2017-12-25"),
        (2017, "Valentine's Day", "2017-02-14"),
        (2017, "New Year", "2017-12-31"),
    ],
)
def test_windows_end_on_their_day(year: int, word: str, date: str) -> None:
    assert day(year, word) == date


def test_windows_are_whole_and_in_order() -> None:
    frame = calendar.windows(2017)
    assert list(frame.columns) == ["word", "start", "end"]
    assert (frame["start"] <= frame["end"]).all()
    assert frame["start"].is_monotonic_increasing
    assert {"winter", "spring", "summer", "fall"} <= set(frame["word"])


def test_lift_against_a_naive_recomputation(tiny_dataset: Dataset) -> None:
    mask = split(tiny_dataset, DataSettings(min_users=1)).train_events
    train = tiny_dataset.events[mask]
    for window in calendar.windows(2017).itertuples():
        found = calendar.lift(tiny_dataset, mask, calendar.within(tiny_dataset, window))
        end = window.end + pd.Timedelta(days=1)
        inside = train[(train[schema.TIME] >= window.start) & (train[schema.TIME] < end)]
        share = len(inside) / len(train)
        for item in range(tiny_dataset.n_items):
            n, m = (train[schema.EVENT_ITEM] == item).sum(), (inside[schema.EVENT_ITEM] == item).sum()
            expected = float("nan")
            if share:
                ratio = (m + calendar.SMOOTHING * share) / ((n + calendar.SMOOTHING) * share)
                if n >= calendar.MIN_SALES and (m >= calendar.MIN_INSIDE or ratio < 1):
                    expected = ratio
            assert found[item] == pytest.approx(expected, nan_ok=True)


def test_pumpkins_belong_to_halloween(tiny_dataset: Dataset) -> None:
    mask = split(tiny_dataset, DataSettings(min_users=1)).train_events
    frame = calendar.windows(2017)
    span = calendar.within(tiny_dataset, frame[frame["word"] == "Halloween"].iloc[0])
    lift = calendar.lift(tiny_dataset, mask, span)
    assert tiny_dataset.items[schema.TYPE].iloc[int(np.nanargmax(lift))] == SEASONAL


def test_lift_sees_training_only(tiny_dataset: Dataset) -> None:
    none = np.zeros(len(tiny_dataset.events), dtype=bool)
    window = next(calendar.windows(2017).itertuples())
    assert np.isnan(calendar.lift(tiny_dataset, none, calendar.within(tiny_dataset, window))).all()
    mask = split(tiny_dataset, DataSettings(min_users=1)).train_events
    christmas = calendar.windows(2017).set_index("word").loc["Christmas"].to_dict()
    assert np.isnan(calendar.lift(tiny_dataset, mask, calendar.within(tiny_dataset, christmas))).all()


def test_a_promotion_within_a_type_is_no_theme(tiny_dataset: Dataset) -> None:
    """Item 0 sells in the span alone and item 1 outside alone, at the same rate: together flat, apart seasonal."""
    n, within = 200, 40
    span = np.arange(n) < within
    events = pd.concat([tiny_dataset.events.iloc[:1]] * n, ignore_index=True)
    events[schema.EVENT_ITEM] = np.where(np.arange(n) % 2 == 0, 2, np.where(span, 0, 1))  # item 2 sells all the time
    all_seen = np.ones(n, bool)

    def found(*types: str) -> list[int]:
        items = tiny_dataset.items.iloc[:3].assign(**{schema.TYPE: types})
        return np.flatnonzero(calendar.themed(replace(tiny_dataset, items=items, events=events), all_seen, span)).tolist()

    assert found("tissue", "tissue", "milk") == []
    assert found("pumpkins", "tissue", "milk") == [0]
    assert found("", "", "") == [0]  # without types, each for itself


def test_the_real_year_finds_its_seasons(dataset: Dataset) -> None:
    mask = split(dataset, DataSettings()).train_events
    frame = calendar.windows(2017).set_index("word")
    for word, item in (
        ("Valentine's Day", "Valentine cards, tray pack"),
        ("Easter", "Easter egg coloring"),
        ("Halloween", "Pumpkins, each"),
        ("Independence Day", "Novelty fireworks"),
    ):
        lift = calendar.lift(dataset, mask, calendar.within(dataset, frame.loc[word]))
        assert lift[dataset.items.index[dataset.items[schema.TITLE] == item][0]] > 4
