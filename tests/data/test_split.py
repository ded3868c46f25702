"""The split: recomputed naively, and nothing of the future in training."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from backend.data import schema
from backend.data.schema import Dataset
from backend.data.split import baskets, split, user_offsets
from backend.data.statistics import LABELS, statistics
from backend.errors import RequestError
from backend.settings import DataSettings

SETTINGS = DataSettings(min_users=1)


def test_baskets_cover_the_events_once(tiny_dataset: Dataset) -> None:
    frame, events = baskets(tiny_dataset), tiny_dataset.events
    assert frame["start"].iloc[0] == 0
    assert (frame["start"].iloc[1:].to_numpy() == frame["stop"].iloc[:-1].to_numpy()).all()
    assert frame["stop"].iloc[-1] == len(events)
    for basket in frame.itertuples():
        lines = events.iloc[basket.start : basket.stop]
        assert set(lines[schema.EVENT_USER]) == {basket.user}
        assert set(lines[schema.STEP]) == {basket.Index}
        assert set(lines[schema.TIME]) == {basket.time}
        assert lines[schema.EVENT_ITEM].nunique() == basket.n_items


def test_split_against_a_naive_recomputation(tiny_dataset: Dataset) -> None:
    parts = split(tiny_dataset, SETTINGS)
    events = tiny_dataset.events
    windows = {"validation": (SETTINGS.validation_start, SETTINGS.test_start), "test": (SETTINGS.test_start, "2999-01-01")}
    for name, (first, end) in windows.items():
        expected = []
        for user, lines in events.groupby(schema.EVENT_USER):
            chosen = None
            for number, (_, basket) in enumerate(lines.groupby(schema.STEP)):
                time = basket[schema.TIME].iloc[0]
                inside = pd.Timestamp(first) <= time < pd.Timestamp(end)
                if number > 0 and inside and basket[schema.EVENT_ITEM].nunique() >= SETTINGS.min_targets:
                    chosen = (user, basket.index[0], basket.index[-1] + 1)
            if chosen:
                expected.append(chosen)
        assert expected
        found = getattr(parts, name)
        assert list(zip(found["user"], found["start"], found["stop"], strict=True)) == expected


def test_training_sees_nothing_of_the_windows(tiny_dataset: Dataset) -> None:
    parts = split(tiny_dataset, SETTINGS)
    events, start = tiny_dataset.events, pd.Timestamp(SETTINGS.validation_start)
    assert (events.loc[parts.train_events, schema.TIME] < start).all()
    assert (events.loc[~parts.train_events, schema.TIME] >= start).all()
    inside = np.zeros(len(events), dtype=bool)
    for basket in parts.train.itertuples():
        inside[basket.start : basket.stop] = True
    assert (inside == parts.train_events).all()
    for part in (parts.validation, parts.test):
        assert part["user"].is_unique
        assert not any(parts.train_events[basket.start : basket.stop].any() for basket in part.itertuples())


def test_full_data_examples(dataset: Dataset) -> None:
    parts = split(dataset, DataSettings())
    assert len(parts.test) > 1_500
    assert len(parts.validation) > 1_500
    offsets = user_offsets(dataset)
    assert (parts.test["start"] > offsets[parts.test["user"]]).all()  # each has a past
    assert (parts.test["n_items"] >= 3).all()


def test_user_offsets(tiny_dataset: Dataset) -> None:
    offsets = user_offsets(tiny_dataset)
    assert offsets[0] == 0
    assert offsets[-1] == len(tiny_dataset.events)
    for user in (0, 7, 39):
        assert set(tiny_dataset.events[schema.EVENT_USER].iloc[offsets[user] : offsets[user + 1]]) == {user}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"validation_start": "soon"}, "'soon' is no date"),
        ({"test_start": "2017-11-13"}, "is not after validation_start"),
        ({"validation_start": "2015-01-01", "test_start": "2015-02-01"}, "2017-01-0"),
    ],
)
def test_impossible_dates_are_refused(tiny_dataset: Dataset, change: dict[str, str], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        split(tiny_dataset, SETTINGS.model_copy(update=change))


def test_statistics_have_a_label_each(tiny_dataset: Dataset) -> None:
    counts = statistics(tiny_dataset, SETTINGS)
    assert list(counts) == list(LABELS)
    assert counts["items"] == 60
    assert counts["events"] == len(tiny_dataset.events)
    assert counts["baskets"] == tiny_dataset.events[schema.STEP].nunique()
