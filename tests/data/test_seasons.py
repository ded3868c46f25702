"""Households held out for the seasons; the calendar's word of a day."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from backend.data import calendar, schema
from backend.data.schema import Dataset
from backend.data.seasons import hold_out
from backend.data.split import split
from backend.evaluation.seasons import season_cases
from backend.instructions.facts import Facts
from backend.instructions.tasks import registry
from backend.settings import DataSettings

SETTINGS = DataSettings(min_users=1)


def test_held_households_are_nowhere_in_training(tiny_dataset: Dataset) -> None:
    parts = split(tiny_dataset, SETTINGS)
    fair = hold_out(tiny_dataset, parts, share=0.3)
    assert np.array_equal(fair.held, hold_out(tiny_dataset, parts, share=0.3).held), "whatever else is drawn"
    held = set(np.flatnonzero(fair.held))
    assert 0 < len(held) < len(tiny_dataset.users)
    assert not held & set(fair.train["user"])
    assert not held & set(tiny_dataset.events.loc[fair.counted, schema.EVENT_USER])
    assert set(fair.train["user"]) == set(parts.train["user"]) - held
    assert set(fair.examples["user"]) <= held
    assert (fair.examples["time"] < SETTINGS.validation_start).all()
    assert (fair.examples["n_items"] >= 3).all()
    assert not fair.examples.duplicated(["user", "word"]).any()
    for row in fair.examples.itertuples():
        assert calendar.inside(np.array([row.time], "datetime64[s]"), row.word).all()
        assert (parts.train.loc[parts.train["user"] == row.user, "time"] < row.time).any()  # a past


def test_nobody_held_out_changes_nothing(tiny_dataset: Dataset) -> None:
    parts = split(tiny_dataset, SETTINGS)
    fair = hold_out(tiny_dataset, parts, share=0.0)
    assert len(fair.examples) == 0
    assert len(fair.train) == len(parts.train)
    assert (fair.counted == parts.train_events).all()


def test_cases_of_held_households(tiny_dataset: Dataset) -> None:
    fair = hold_out(tiny_dataset, split(tiny_dataset, SETTINGS), share=0.5)
    tasks = registry(tiny_dataset, facts=Facts(tiny_dataset, fair.counted))
    cases = season_cases(tiny_dataset, fair, tasks, seed=7)
    assert {case.task for case in cases} == {"Season", "Holiday"}
    assert len({(case.task, case.start) for case in cases}) == len(cases)
    for case in cases:
        assert fair.held[case.user]
        assert case.allowed is not None
        assert case.allowed[case.targets].all()


def test_every_day_has_a_season_and_its_occasion() -> None:
    for year in (2016, 2017):
        day = date(year, 1, 1)
        while day.year == year:
            assert calendar.season_of(day) in calendar.SEASONS
            word = calendar.holiday_of(day)
            assert word is None or calendar.inside(np.array([day], "datetime64[D]"), word).all()
            day += timedelta(days=1)


@pytest.mark.parametrize(
    ("day", "word"),
    [
        ((2017, 10, 31), "Halloween"),
        ((2017, 7, 1), "Independence Day"),
        ((2017, 2, 3), "Super Bowl"),
        ((2017, 2, 10), "Valentine's Day"),
        ((2017, 12, 20), "Christmas"),
        ((2017, 12, 28), "New Year"),
        ((2017, 6, 10), None),
    ],
)
def test_the_occasion_of_a_day(day: tuple[int, int, int], word: str | None) -> None:
    assert calendar.holiday_of(date(*day)) == word
