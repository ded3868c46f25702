"""Filters that are read join those that are set; a total is kept; exclusions, offers and themes are masks."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
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
from backend.generation.asked import combined, recommend, within_total
from backend.generation.filters import allowed_items
from backend.generation.request import Request
from backend.generation.trace import Trace


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


class Recorder:
    """Reads a fixed reading and recommends what passes the filters, in the order of the table."""

    def __init__(self, dataset: Dataset, filters: dict[str, Any]) -> None:
        self.dataset, self.filters, self.asked = dataset, filters, Request()

    def read(self, instruction: str) -> Any:
        return SimpleNamespace(as_json=lambda: {"task": "JustForYou", "filters": self.filters, "unknown": []})

    def recommend(self, request: Request, on_step: Any = None) -> Trace:
        self.asked = request
        rows = np.flatnonzero(allowed(self.dataset, **{n: getattr(request, n) for n in ("exclude", "max_total", "deals")}))
        rows = rows[: request.fusion.top]
        fused = pd.DataFrame({"rank": np.arange(1, len(rows) + 1), "item": rows})
        nothing = pd.DataFrame()
        reading = {"task": "JustForYou", "filters": {}, "unknown": []}
        return Trace({**request.model_dump(mode="json"), "reading": reading}, nothing, nothing, nothing, fused, 1.0, [], {})


def test_a_reading_is_applied_and_shown(tiny_dataset: Dataset) -> None:
    generator = Recorder(tiny_dataset, {"max_total": 12.0, "exclude": ["Yogurts"]})
    request = Request(instruction="anything but yogurt, $12 in all")
    trace = recommend(generator, request)
    items = tiny_dataset.items.iloc[trace.fused["item"]]
    assert not items[c.CATEGORY].eq("Yogurts").any()
    assert items[c.PRICE].sum() <= 12
    assert len(items) >= 1
    assert trace.request["reading"]["filters"] == {"max_total": 12.0, "exclude": ["Yogurts"]}
    assert trace.request["max_total"] is None  # what was asked, not what was read
    assert trace.request["fusion"]["top"] == request.fusion.top
    assert generator.asked.fusion.top > request.fusion.top
    assert any("together $" in note for note in trace.notes)


def test_without_an_instruction_nothing_is_read(tiny_dataset: Dataset) -> None:
    generator = Recorder(tiny_dataset, {"deals": True})
    recommend(generator, Request())
    assert not generator.asked.deals


def test_calendar_words_are_themes(tiny_dataset: Dataset) -> None:
    for word in calendar.words():
        assert allowed(tiny_dataset, theme=word.upper()).shape == (tiny_dataset.n_items,)
