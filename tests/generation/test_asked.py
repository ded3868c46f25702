"""Filters that are read join those that are set; a total is kept; exclusions, offers and themes are masks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.data import calendar
from backend.data import schema as c
from backend.data.deals import current
from backend.data.schema import Dataset
from backend.errors import RequestError
from backend.generation.asked import combined, filters_json, within_total
from backend.generation.filters import allowed_items
from backend.generation.request import Request
from backend.settings import FusionSettings

from .conftest import Make


def allowed(dataset: Dataset, **fields: Any) -> np.ndarray:
    rows = {item: row for row, item in enumerate(dataset.items[c.ITEM])}
    return allowed_items(dataset, Request(**fields), np.zeros(0, np.int64), rows)[0]


def test_exclusions_are_left_out(tiny_dataset: Dataset) -> None:
    category = tiny_dataset.items[c.CATEGORY]
    mask = allowed(tiny_dataset, exclude=("soft drinks", "BEEF"))
    assert (mask == ~category.isin(["Soft drinks", "Beef"]).to_numpy()).all()
    assert not allowed(tiny_dataset, exclude=("cola",))[tiny_dataset.items[c.TYPE] == "Cola"].any()  # a query's answers
    with pytest.raises(RequestError, match="exclude"):
        allowed(tiny_dataset, exclude=("submarines",))


def test_deals_and_themes(tiny_dataset: Dataset) -> None:
    assert not allowed(tiny_dataset, deals=True).any()  # this shop has no discounts
    events = tiny_dataset.events.assign(**{c.DISCOUNT: 1.0})
    offers = replace(tiny_dataset, events=events, fingerprint="offers")
    assert (allowed(offers, deals=True) == current(offers)).all()
    assert allowed(offers, deals=True).any()
    assert set(tiny_dataset.items[c.TYPE][allowed(tiny_dataset, theme="halloween")]) == {"Pumpkins"}
    with pytest.raises(RequestError, match="theme"):
        allowed(tiny_dataset, theme="Tuesday")


def test_a_total_allows_no_dearer_item(tiny_dataset: Dataset) -> None:
    assert (allowed(tiny_dataset, max_total=3.0) == (tiny_dataset.items[c.PRICE] <= 3.0).to_numpy()).all()
    with pytest.raises(RequestError, match="max_total"):
        allowed(tiny_dataset, max_total=float("nan"))


def test_the_requests_own_filters_win() -> None:
    read = {"max_price": 5.0, "seen": "hide", "exclude": ["milk"], "deals": True, "max_total": 20.0}
    assert combined(Request(), read) == Request(max_price=5.0, seen="hide", exclude=("milk",), deals=True, max_total=20.0)
    own = Request(max_price=3.0, exclude=("eggs", "milk"))
    assert combined(own, read).max_price == 3.0
    assert combined(own, read).exclude == ("eggs", "milk")
    assert combined(own, {}) == own


@given(
    st.lists(st.floats(0.1, 30).map(lambda price: round(price, 2)), min_size=1, max_size=40),
    st.floats(0, 80), st.integers(1, 12),
)  # fmt: skip
def test_the_list_stays_under_the_total(prices: list[float], total: float, top: int) -> None:
    price = np.array(prices)
    fused = pd.DataFrame({"rank": np.arange(1, len(price) + 1), "item": np.arange(len(price)), "score": 0.0})
    kept, spent = within_total(fused, price, total, top)
    assert spent <= total + 1e-6
    assert spent == pytest.approx(price[kept["item"]].sum())
    assert len(kept) <= top
    assert kept["item"].is_monotonic_increasing  # the ranking's order
    assert kept["rank"].tolist() == list(range(1, len(kept) + 1))
    if len(kept) < top:  # nothing that was passed over would still fit
        rest = np.setdiff1d(np.arange(len(price)), kept["item"])
        assert (price[rest] + spent > total).all()


def test_a_reading_is_applied_and_shown(make: Make, tiny_dataset: Dataset) -> None:
    """Through the three steps: what is read is filtered, the total is kept in the list that is drawn and in the one that is returned."""
    request = Request(user="u1", instruction="anything without yogurts, under $12 in total", fusion=FusionSettings(beams=60))
    drawn: list[pd.DataFrame] = []
    trace = make().recommend(request, lambda step, data: drawn.append(data["frame"]) if step == "fusion" else None)
    items = tiny_dataset.items.iloc[trace.fused["item"]]
    assert trace.request["reading"]["filters"] == {"max_total": 12.0, "exclude": ["Yogurts"]}
    assert not items[c.CATEGORY].eq("Yogurts").any()
    assert items[c.PRICE].sum() <= 12
    assert 1 <= len(items) <= request.fusion.top
    pd.testing.assert_frame_equal(drawn[0], trace.fused)
    assert trace.request["max_total"] is None  # what was asked, not what was read
    assert any("together $" in note for note in trace.notes)


def test_what_the_request_sets_is_shown_too() -> None:
    asked = Request(category="Milk", deals=True, exclude=("eggs",), stock=("a", "b"), max_total=9.0)
    assert filters_json(asked) == {"category": "Milk", "deals": True, "exclude": ["eggs"], "stock": 2, "max_total": 9.0}
    assert filters_json(Request()) == {}


def test_calendar_words_are_themes(tiny_dataset: Dataset) -> None:
    for word in calendar.words():
        assert allowed(tiny_dataset, theme=word.upper()).shape == (tiny_dataset.n_items,)
