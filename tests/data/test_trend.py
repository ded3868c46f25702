"""The trend: counts of two weeks, each from before its own end."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from backend.data.schema import EVENT_ITEM, STEP, TIME, Dataset
from backend.data.store import dataset_settings, open_dataset
from backend.data.trend import trend
from backend.model.loading import load_store
from backend.workspace import Workspace


def test_the_trend_against_counts_in_loops(tiny_dataset: Dataset) -> None:
    events = tiny_dataset.events
    days = events[TIME].to_numpy("datetime64[s]").astype(np.int64) / 86_400
    items, steps = events[EVENT_ITEM].to_numpy(), events[STEP].to_numpy()
    found = trend(events, tiny_dataset.n_items)
    for week in {0, 1, len(found.table) // 2, len(found.table) - 1}:
        last = found.end - 7 * week
        inside = [row for row, day in enumerate(days) if last - 14 <= day < last]
        baskets = len({steps[row] for row in inside})
        for item in range(tiny_dataset.n_items):
            bought = sum(int(items[row]) == item for row in inside)
            assert found.table[week, item] == pytest.approx(math.log(1 + 1000 * bought / max(baskets, 1)), rel=1e-5)


def test_no_basket_counts_itself(tiny_dataset: Dataset) -> None:
    days = np.unique(tiny_dataset.events[TIME].to_numpy("datetime64[s]").astype(np.int64) / 86_400)
    found = trend(tiny_dataset.events, tiny_dataset.n_items)
    rows = [found.row(day) for day in days]
    assert not found.table[-1].any()
    assert rows == sorted(rows, reverse=True), "later days see later windows"
    for day, row in zip(days, rows, strict=True):
        ended = found.end - 7 * row
        assert ended <= day
        assert ended > day - 7 or row == 0, "the newest window that had ended"
    assert found.row(found.end + 100) == 0, "a request sees the last two weeks of training"


def test_nothing_bought(tiny_dataset: Dataset) -> None:
    found = trend(tiny_dataset.events.head(0), 3)
    assert found.table.shape == (1, 3)
    assert not found.table.any()
    assert found.row(17_000.0) == 0


def test_the_item_store_counts_the_training_period_alone(built: Path) -> None:
    workspace = Workspace.open(built)
    dataset = open_dataset(workspace)
    validation = np.datetime64(dataset_settings(workspace).validation_start)
    before = dataset.events[dataset.events[TIME].to_numpy() < validation]
    assert len(before) < len(dataset.events)
    found, wanted = load_store(workspace, dataset).trend, trend(before, dataset.n_items)
    assert found.end == pytest.approx(wanted.end)
    np.testing.assert_allclose(found.table, wanted.table, rtol=1e-3)
