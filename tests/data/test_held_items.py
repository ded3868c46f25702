"""Items held out of everything: nothing of theirs is left in what trains; in what is asked they are bought for the first time."""

from __future__ import annotations

import numpy as np
import pytest

from backend.data import schema as c
from backend.data.held_items import HeldItems, draw_held, hold_out_items
from backend.data.schema import Dataset
from backend.data.split import Split, split
from backend.errors import RequestError
from backend.settings import DataSettings


@pytest.fixture(scope="module")
def parts(tiny_dataset: Dataset) -> Split:
    return split(tiny_dataset, DataSettings())


@pytest.fixture(scope="module")
def divided(tiny_dataset: Dataset, parts: Split) -> HeldItems:
    return hold_out_items(tiny_dataset, parts, draw_held(tiny_dataset, parts, 0.2, 7), parts.test)


def test_the_draw_is_stratified_and_seeded(tiny_dataset: Dataset, parts: Split) -> None:
    held = draw_held(tiny_dataset, parts, 0.2, 7)
    assert np.array_equal(held, draw_held(tiny_dataset, parts, 0.2, 7))
    assert not np.array_equal(held, draw_held(tiny_dataset, parts, 0.2, 8))
    assert abs(held.sum() - 12) <= 1
    share = tiny_dataset.items.assign(held=held).groupby(c.DEPARTMENT)["held"].agg(["sum", "size"])
    assert (np.abs(share["sum"] - 0.2 * share["size"]) <= 1.5).all()
    for nonsense in (0.0, 1.0):
        with pytest.raises(RequestError, match="a share of"):
            draw_held(tiny_dataset, parts, nonsense, 7)


def test_what_trains_has_never_heard_of_them(tiny_dataset: Dataset, divided: HeldItems) -> None:
    known = divided.known
    gone = tiny_dataset.items[c.ITEM].to_numpy()[divided.rows[known.n_items :]]
    assert len(gone) == divided.held.sum() > 0
    assert not set(gone) & set(known.items[c.ITEM])
    kept = ~tiny_dataset.items[c.ITEM].iloc[tiny_dataset.events[c.EVENT_ITEM]].isin(gone).to_numpy()
    assert len(known.events) == kept.sum()
    assert known.events[c.EVENT_ITEM].max() < known.n_items
    assert known.queries[c.QUERY_ITEM].max() < known.n_items
    before = tiny_dataset.items[c.ITEM].to_numpy()[tiny_dataset.events.loc[kept, c.EVENT_ITEM]]
    assert sorted(before) == sorted(known.items[c.ITEM].to_numpy()[known.events[c.EVENT_ITEM]])


def test_they_join_behind_and_are_bought_for_the_first_time(tiny_dataset: Dataset, divided: HeldItems, parts: Split) -> None:
    joined, known = divided.joined, divided.known
    assert joined.items.head(known.n_items)[c.ITEM].tolist() == known.items[c.ITEM].tolist()
    new = joined.events[divided.held[joined.events[c.EVENT_ITEM].to_numpy()]]
    assert len(new)
    asked = split(joined, DataSettings()).test
    baskets = [range(start, stop) for start, stop in zip(asked["start"], asked["stop"], strict=True)]
    assert all(any(row in basket for basket in baskets) for row in new.index)
    assert len(asked) == len(parts.test)  # the same baskets, whole
    for (_, left), (_, right) in zip(asked.iterrows(), parts.test.iterrows(), strict=True):
        assert (left["user"], left["n_items"], left["time"]) == (right["user"], right["n_items"], right["time"])
