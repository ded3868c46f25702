"""Names of codes, the health report against counts by hand, and the item store."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.data import schema as c
from backend.data.trend import Trend
from backend.errors import WorkspaceError
from backend.tokenization.item_store import ItemStore, item_names, item_statistics
from backend.tokenization.prefixes import parse_prefix, prefix_name
from backend.tokenization.quantizers import Codebooks
from backend.tokenization.semantic_ids import health

CODES = np.array([[0, 0], [0, 0], [0, 1], [1, 0], [1, 1], [1, 1]])
CATEGORIES = ["tea", "tea", "milk", "milk", "milk", "tea"]


@given(st.lists(st.integers(0, 4095), min_size=1, max_size=8))
def test_names_round_trip(codes: list[int]) -> None:
    name = prefix_name(codes)
    assert parse_prefix(name) == tuple(codes)
    assert parse_prefix(name.replace("·", ".")) == tuple(codes)


def test_names_by_hand() -> None:
    assert prefix_name([17, 203, 9, 41]) == "a17·b203·c9·d41"
    assert prefix_name([]) == "·"
    assert parse_prefix("·") == parse_prefix("") == ()


@pytest.mark.parametrize("name", ["b3", "a", "17", "a1·a2", "a-1", "a1··c2", "ä1", "a1·b", "hello"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no semantic-ID prefix"):
        parse_prefix(name)


def test_health_against_hand_counts() -> None:
    books = Codebooks(np.zeros((2, 4, 3), np.float32))
    vectors = np.arange(18, dtype=np.float32).reshape(6, 3)
    report = health(CODES, books, vectors, CATEGORIES)
    first, second = report["levels"]
    assert report["items"] == 6
    assert first["usage"] == second["usage"] == 0.5  # 2 of 4 codes
    assert first["perplexity"] == pytest.approx(2.0)  # 3 and 3
    assert first["purity"] == pytest.approx(4 / 6)  # two teas in a0, two milks in a1
    assert second["purity"] == pytest.approx(5 / 6)  # only a1·b1 is mixed
    assert (first["prefixes"], second["prefixes"]) == (2, 4)
    assert report["largest_prefix"] == report["smallest_prefix"] == 3
    assert report["collisions"] == 4  # items 0, 1 and 4, 5
    assert len(report["notes"]) == 2
    assert "50%" in report["notes"][0]
    total = ((vectors - vectors.mean(0)) ** 2).sum()
    assert first["reconstruction_error"] == pytest.approx(float((vectors**2).sum() / total))


def test_health_of_uneven_codes() -> None:
    codes = np.array([[0], [0], [0], [1]])
    report = health(codes, Codebooks(np.eye(2, 2, dtype=np.float32)[None]), np.eye(4, 2, dtype=np.float32), ["a"] * 4)
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert report["levels"][0]["perplexity"] == pytest.approx(np.exp(entropy))
    assert (report["largest_prefix"], report["smallest_prefix"]) == (3, 1)
    assert report["levels"][0]["purity"] == 1.0
    assert report["notes"] == []


# the item store


def store(n: int = 4, image: bool = False) -> ItemStore:
    rng = np.random.default_rng(0)
    return ItemStore(
        rng.normal(size=(n, 3)).astype(np.float32),
        rng.normal(size=(n, 5)).astype(np.float32),
        rng.normal(size=(n, 2)).astype(np.float32) if image else None,
        np.zeros((n, 3), np.float32),
        rng.integers(4, size=(n, 2)),
        rng.normal(size=(2, 6)).astype(np.float32),
        rng.integers(2, size=(n, 3)),
        Trend(20_000.0, rng.random((2, n)).astype(np.float32)),
    )


@pytest.mark.parametrize("image", [False, True])
def test_a_new_item_joins_with_its_vectors_alone(image: bool) -> None:
    before = store(image=image)
    after = before.add(np.ones((2, 5), np.float32), np.array([[1, 1], [2, 3]]))
    assert (len(before), len(after)) == (4, 6)
    assert not after.ids[4:].any(), "no behaviour yet"
    assert (after.text[4:] == 1).all()
    assert after.sids[4:].tolist() == [[1, 1], [2, 3]]
    assert (after.name_of[4:] == -1).all(), "goes by none of the names"
    np.testing.assert_array_equal(after.trend.table[:, :4], before.trend.table)
    assert (after.image is None) is not image
    np.testing.assert_array_equal(after.ids[:4], before.ids)


def test_a_new_item_is_taken_to_sell_like_its_ten_nearest() -> None:
    known = store(n=30)
    side = np.where(np.arange(30) < 10, 1.0, -1.0)  # ten items lie where the new one does, twenty on the other side
    text = np.outer(side, np.eye(5)[0]).astype(np.float32)
    statistics = np.random.default_rng(1).normal(size=(30, 3)).astype(np.float32)
    known = replace(known, text=text, statistics=statistics)
    after = known.add(np.eye(5, dtype=np.float32)[:1], np.array([[0, 0]]))
    np.testing.assert_allclose(after.statistics[30], statistics[:10].mean(0), rtol=1e-5)
    np.testing.assert_allclose(after.trend.table[:, 30], known.trend.table[:, :10].mean(1), rtol=1e-5)
    np.testing.assert_array_equal(after.statistics[:30], statistics)


def test_parts_of_different_lengths_are_refused() -> None:
    good = store()
    with pytest.raises(WorkspaceError, match="disagree"):
        ItemStore(good.ids[:3], good.text, None, good.statistics, good.sids, good.names, good.name_of, good.trend)


def test_statistics_against_hand_counts() -> None:
    items = pd.DataFrame({c.PRICE: [1.0, 2.0, 4.0]})
    events = pd.DataFrame({c.EVENT_ITEM: [0, 0, 0, 1], c.EVENT_USER: [5, 5, 6, 6]})
    found = item_statistics(items, events)
    raw = np.array([[np.log1p(3), np.log1p(1.5), np.log1p(1)], [np.log1p(1), np.log1p(1), np.log1p(2)]])
    expected = (raw - raw.mean(0)) / (raw.std(0) + 1e-6)
    np.testing.assert_allclose(found[:2], expected, rtol=1e-4)
    assert not found[2].any(), "an item that was never bought has no statistics"


def test_names_stand_once_each_and_an_empty_field_is_none() -> None:
    items = pd.DataFrame(
        {c.TYPE: ["Milk", "Rye", None], c.CATEGORY: ["Milk", "Breads", "Breads"], c.DEPARTMENT: ["Grocery", "", "Grocery"]}
    )
    names, rows = item_names(items)
    assert sorted(names) == ["Breads", "Grocery", "Milk", "Rye"]
    told = [[names[row] if row >= 0 else None for row in own] for own in rows.tolist()]
    assert told == [["Milk", "Milk", "Grocery"], ["Rye", "Breads", None], [None, "Breads", "Grocery"]]
    full = item_names(items.iloc[:1])
    assert full[0] == ["Grocery", "Milk"]
    assert full[1].tolist() == [[1, 1, 0]]
