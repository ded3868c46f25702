"""100 % of the results are legal, whatever is asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.data import schema as c
from backend.errors import RequestError
from backend.generation.generator import Generator
from backend.generation.request import Request
from backend.generation.trace import Trace
from backend.settings import FusionSettings
from tests.generation.conftest import Make
from tests.tiny import GOODS, N_USERS

ITEMS = [f"t-{number:03d}" for number in range(60)]
prices = st.none() | st.floats(0.3, 10)
subsets = st.lists(st.sampled_from(ITEMS), min_size=1, max_size=30, unique=True).map(tuple)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    low, high = draw(prices), draw(prices)
    if low is not None and high is not None and low > high:
        low, high = high, low
    fusion = FusionSettings(
        beams=draw(st.integers(1, 10)),
        per_prefix=draw(st.integers(1, 20)),
        top=draw(st.integers(1, 40)),
        apf=draw(st.booleans()),
        sigma_domain=draw(st.sampled_from(["probability", "renormalised", "log"])),
        tau=draw(st.floats(0.005, 2)),
        prefix_weight=draw(st.floats(0, 3)),
        item_weight=draw(st.floats(0, 3)),
        repeat_weight=draw(st.floats(0, 3)),
        popularity_weight=draw(st.floats(-3, 3)),
        top1_prefix=draw(st.booleans()),
    )
    texts = ["", "surprise me", "milk, nothing I bought before", "<q> </s> pizza"]
    if low is None or low <= 4:  # otherwise the text's own limit would contradict the filter, which is refused
        texts.append("snacks under $4")
    return Request(
        instruction=draw(st.sampled_from(texts)),
        user=draw(st.none() | st.sampled_from([f"u{number}" for number in range(N_USERS)])),
        profile=draw(st.none() | st.just("Two adults and a dog")),
        history=draw(st.none() | subsets),
        dropped=draw(st.just(()) | subsets),
        category=draw(st.none() | st.sampled_from([name for pair in GOODS for name in pair])),
        max_price=high,
        min_price=low,
        stock=draw(st.none() | subsets),
        seen=draw(st.sampled_from(["allow", "hide"])),
        fusion=fusion,
    )


def check(generator: Generator, request: Request, trace: Trace) -> None:
    """Everything that a list must keep to, by itself and not by the generator's own masks."""
    items = generator.dataset.items
    rows = trace.fused["item"].tolist()
    filters = {**request.model_dump(), **{k: v for k, v in trace.request["reading"]["filters"].items() if k != "stock"}}
    assert len(rows) == len(set(rows)), "an item stands twice"
    assert len(rows) <= request.fusion.top
    for row in rows:
        item = items.iloc[row]
        assert filters["max_price"] is None or item[c.PRICE] <= filters["max_price"]
        assert filters["min_price"] is None or item[c.PRICE] >= filters["min_price"]
        assert filters["category"] is None or filters["category"] in (item[c.CATEGORY], item[c.DEPARTMENT])
        assert request.stock is None or item[c.ITEM] in request.stock
        if filters["seen"] == "hide":
            assert row not in bought(generator, request)
    assert trace.fused["rank"].tolist() == list(range(1, len(rows) + 1))
    assert trace.fused["score"].is_monotonic_decreasing
    assert np.isfinite(trace.fused[["score", "phi", "cos", "p_item"]].to_numpy(float)).all()
    if len(rows) < request.fusion.top:
        assert trace.notes, "a list that is too short says so"
    for prefix, item in zip(trace.subsets["prefix"], trace.subsets["item"], strict=True):
        codes = [f"{'abcd'[level]}{generator.sids[item, level]}" for level in range(generator.model.levels)]
        assert prefix == ("·".join(codes) or "·"), "the item lies in the prefix that it was found in"
    assert trace.subsets.groupby("prefix").size().max() <= request.fusion.per_prefix if len(trace.subsets) else True
    kept = trace.prefixes[trace.prefixes["kept"]]
    assert kept["legal"].all()
    assert set(trace.subsets["prefix"]) <= set(kept["prefix"])
    assert len(kept[kept["level"] == kept["level"].max()]) <= (1 if request.fusion.top1_prefix else request.fusion.beams)


def bought(generator: Generator, request: Request) -> set[int]:
    names = generator.dataset.items[c.ITEM]
    events = generator.dataset.events
    if request.history is not None:
        rows = {int(np.flatnonzero(names == item)[0]) for item in request.history}
    elif request.user is not None:
        user = int(np.flatnonzero(generator.dataset.users[c.USER] == request.user)[0])
        rows = set(events.loc[events[c.EVENT_USER] == user, c.EVENT_ITEM])
    else:
        rows = set()
    return rows - {int(np.flatnonzero(names == item)[0]) for item in request.dropped}


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(request=requests())
def test_every_result_is_legal(generator: Generator, request: Request) -> None:
    check(generator, request, generator.recommend(request))


VARIANTS: list[dict[str, Any]] = [
    {"prefix_levels": 0},  # ID only
    {"prefix_levels": 2},
    {"prefix_levels": 4, "soft_token": False},  # SID only
]


@pytest.fixture(scope="session", params=VARIANTS, ids=["id-only", "two-levels", "sid-only"])
def variant(request: pytest.FixtureRequest, make: Make) -> Generator:
    return make(**request.param)


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(request=requests())
def test_variants_are_legal_too(variant: Generator, request: Request) -> None:
    check(variant, request, variant.recommend(request))


def test_variants_fill_their_lists(variant: Generator) -> None:
    trace = variant.recommend(Request(user="u1", instruction="pizza", fusion=FusionSettings(beams=60, per_prefix=60, top=60)))
    assert sorted(trace.fused["item"]) == list(range(60)), "with K and M large enough the whole catalogue is listed"


def test_a_filter_that_leaves_too_few_says_so(generator: Generator) -> None:
    trace = generator.recommend(Request(user="u1", instruction="pizza", stock=("t-003", "t-017"), fusion=FusionSettings(top=10)))
    assert set(trace.fused["item"]) == {3, 17}
    assert "only 2 items pass the filters" in trace.notes


def test_a_beam_that_reaches_too_few_says_so(generator: Generator) -> None:
    trace = generator.recommend(Request(user="u1", instruction="pizza", fusion=FusionSettings(beams=1, per_prefix=2, top=10)))
    assert len(trace.fused) == 2
    assert any("raise K or M" in note for note in trace.notes)


def test_an_empty_filter_gives_an_empty_list(generator: Generator, variant: Generator) -> None:
    for each in (generator, variant):
        trace = each.recommend(Request(user="u1", instruction="pizza", max_price=0.01))
        assert trace.fused.empty
        assert trace.subsets.empty
        assert "no item passes the filters" in trace.notes
        assert isinstance(trace.to_json(each.dataset.items), str)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"user": "nobody"}, "unknown household"),
        ({"history": ("t-999",)}, "unknown item"),
        ({"dropped": ("t-999",)}, "unknown item"),
        ({"category": "spaceships"}, "unknown category"),
        ({"max_price": -1.0}, "no price"),
        ({"max_price": float("nan")}, "no price"),
        ({"max_price": 1.0, "min_price": 2.0}, "below the lowest"),
        ({"stock": ("x", "y")}, "stock"),
        ({"forced_prefix": (99,)}, "prefix"),
        ({"forced_prefix": (0, 0, 0)}, "prefix"),
        ({"instruction": "pizza " * 1000}, "characters"),
        ({"instruction": "???"}, "instruction"),
        ({"instruction": "under $abc"}, "no price"),
        ({"profile": ""}, "profile"),
    ],
)
def test_requests_that_cannot_be_served(generator: Generator, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        generator.recommend(Request(**{"user": "u1", "instruction": "pizza", **changes}))


def test_unknown_stock_is_ignored_and_said(generator: Generator) -> None:
    trace = generator.recommend(Request(user="u1", instruction="pizza", stock=("t-003", "who", "what")))
    assert trace.fused["item"].tolist() == [3]
    assert any("2 ids" in note for note in trace.notes)


def test_a_composed_shopper_without_a_history(generator: Generator) -> None:
    trace = generator.recommend(Request(profile="Two adults and a dog", instruction="pizza"))
    assert len(trace.fused) == 10
    assert not trace.fused["seen"].any()
    assert (trace.subsets["repeat"] == 0).all()


def test_steps_are_reported_as_they_end(generator: Generator) -> None:
    seen: list[tuple[str, pd.DataFrame]] = []
    trace = generator.recommend(Request(user="u1", instruction="pizza"), lambda step, data: seen.append((step, data["frame"])))
    assert [step for step, _ in seen] == ["prompt", "prefixes", "subsets", "fusion"]
    assert {"reading", "prompt", "prefixes", "subsets", "fusion", "total"} <= set(trace.timings_ms)
    pd.testing.assert_frame_equal(seen[1][1], trace.prefixes)
