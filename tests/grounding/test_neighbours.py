"""Neighbours are exact, and the figures over them are what their formulas say."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from backend.errors import Cancelled
from backend.grounding.agreement import measure, same_type
from backend.grounding.neighbours import Index, alignment, neighbour_lists, normalised, overlap, uniformity
from backend.progress import CancelToken, Progress


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    rows = normalised(np.random.default_rng(1).normal(size=(300, 24)))
    rows[[7, 70]] = 0.0  # two items that are not in this space
    rows[11] = rows[12] = rows[13]  # three twins
    return rows


def brute(vectors: np.ndarray, row: int, k: int) -> list[float]:
    cos = vectors @ vectors[row]
    cos[row] = -np.inf
    cos[np.linalg.norm(vectors, axis=1) < 0.5] = -np.inf
    return sorted(cos.tolist(), reverse=True)[:k]


def test_neighbours_equal_brute_force(vectors: np.ndarray) -> None:
    rows, cos = neighbour_lists(Index(vectors), 10)
    for row in range(len(vectors)):
        if row in (7, 70):
            assert (rows[row] == -1).all()
            continue
        np.testing.assert_allclose(cos[row], brute(vectors, row, 10), atol=1e-5)
        assert row not in rows[row]
        assert not {7, 70} & set(rows[row].tolist())
        assert len(set(rows[row].tolist())) == 10
    assert {12, 13} <= set(rows[11].tolist())


def test_more_neighbours_than_items() -> None:
    rows, cos = Index(np.eye(3)).around(np.array([0, 1]), 5)
    assert (rows[:, :2] >= 0).all()
    assert (rows[:, 2:] == -1).all()
    assert np.isneginf(cos[:, 2:]).all()


def test_a_cancel_stops_the_lists(vectors: np.ndarray) -> None:
    token, seen = CancelToken(), []
    neighbour_lists(Index(vectors), 3, seen.append, token)
    assert isinstance(seen[-1], Progress)
    assert (seen[-1].done, seen[-1].total) == (300, 300)
    token.cancel()
    with pytest.raises(Cancelled):
        neighbour_lists(Index(vectors), 3, cancel=token)


def test_overlap_against_sets() -> None:
    rng = np.random.default_rng(2)
    left, right = (np.stack([rng.choice(30, 10, replace=False) for _ in range(50)]) for _ in range(2))
    naive = [len(set(a) & set(b)) / 10 for a, b in zip(left.tolist(), right.tolist(), strict=True)]
    np.testing.assert_allclose(overlap(left, right), naive)
    left[3] = -1
    assert math.isnan(overlap(left, right)[3])
    assert overlap(right, right).tolist() == [1.0] * 50


def test_alignment_and_uniformity_against_loops(vectors: np.ndarray) -> None:
    few = vectors[:40]
    pairs = np.array([[0, 1], [2, 3], [7, 1], [11, 12]])  # 7 is absent
    naive = np.mean([((few[i] - few[j]) ** 2).sum() for i, j in pairs.tolist() if i != 7])
    assert alignment(few, pairs) == pytest.approx(naive, rel=1e-5)
    total = [math.exp(-2 * ((few[i] - few[j]) ** 2).sum()) for i in range(40) for j in range(i) if 7 not in (i, j)]
    assert uniformity(few) == pytest.approx(math.log(np.mean(total)), rel=1e-5)
    assert math.isnan(alignment(few, np.zeros((0, 2), int)))
    spread, crowded = normalised(np.random.default_rng(0).normal(size=(200, 24))), normalised(vectors[:1] + 0.01 * vectors)
    assert uniformity(spread) < uniformity(crowded)  # lower = more even


def test_drawn_pairs_are_as_good_as_all(monkeypatch: pytest.MonkeyPatch, vectors: np.ndarray) -> None:
    whole = uniformity(vectors)
    monkeypatch.setattr("backend.grounding.neighbours._PAIRS", 20_000)
    assert uniformity(vectors) == pytest.approx(whole, abs=0.02)


def test_same_type_pairs() -> None:
    types = pd.Series(["a"] * 5 + ["b"] + ["c"] * 3)
    pairs = same_type(types)
    assert len(pairs) == 8  # every item that has a partner, once
    assert (pairs[:, 0] != pairs[:, 1]).all()
    assert (types.to_numpy()[pairs[:, 0]] == types.to_numpy()[pairs[:, 1]]).all()
    assert len(same_type(types, most=3)) == 3


def test_the_report_counts_what_it_measured(vectors: np.ndarray) -> None:
    other = normalised(vectors + 0.3 * np.random.default_rng(5).normal(size=vectors.shape)).astype(np.float32)
    lists = {name: neighbour_lists(Index(rows))[0] for name, rows in (("one", vectors), ("two", other))}
    report = measure({"one": vectors, "two": other}, lists, {"twins": np.array([[11, 12]])}, {"one": {"value": 0.5, "n": 9}})
    cell = report["overlap"][0]
    assert cell["n"] == 298
    assert cell["low"] < cell["value"] < cell["high"]
    assert cell["value"] == pytest.approx(np.nanmean(overlap(lists["one"], lists["two"])))
    one, two = report["spaces"]
    assert one["alignment"]["twins"]["value"] == pytest.approx(0.0, abs=1e-6)
    assert two["alignment"]["twins"]["value"] > 0.1
    assert one["recall"] == {"value": 0.5, "n": 9}
    assert two["recall"] == {}
