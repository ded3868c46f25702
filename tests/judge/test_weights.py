"""PSJ-B: weights are weights, both methods find the households' own, and votes become pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from backend.judge.proxies import Labelled
from backend.judge.weights import (
    Pairs,
    Weights,
    fit_bradley_terry,
    fit_group_relative,
    grid,
    measure_weights,
    pair_accuracy,
    proxy_pairs,
)
from backend.judge_settings import WeightSettings

SETTINGS = WeightSettings(steps=250, lr=0.05)
METHODS = {"group-relative": fit_group_relative, "Bradley-Terry": fit_bradley_terry}


def two_kinds(n: int, seed: int) -> Pairs:
    """Households with x > 0 go by the first aspect, the others by the last; a second fact says nothing."""
    rng = np.random.default_rng(seed)
    about = np.stack([rng.choice([-1.0, 1.0], n), rng.normal(size=n)], axis=1)
    left, right = rng.uniform(0, 3, (n, 4)), rng.uniform(0, 3, (n, 4))
    own = np.where(about[:, :1] > 0, [[1.0, 0, 0, 0]], [[0.0, 0, 0, 1]])
    first = ((left - right) * own).sum(1) > 0
    return Pairs(np.where(first[:, None], left, right), np.where(first[:, None], right, left), about, np.arange(n) % 50)


def test_the_grid() -> None:
    vectors = grid(4)
    assert vectors.shape == (35, 4)
    assert np.allclose(vectors.sum(1), 1)
    assert (vectors >= 0).all()
    assert len(np.unique(vectors, axis=0)) == 35
    assert grid(1).tolist() == [[0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0]]


@pytest.mark.parametrize("method", METHODS)
def test_each_household_gets_its_own_weights(method: str) -> None:
    weights = METHODS[method](two_kinds(2000, 0), SETTINGS)
    first, last = weights.of(np.array([[1.0, 0.0], [-1.0, 0.0]]))
    assert first.argmax() == 0
    assert last.argmax() == 3
    assert first[0] > 0.7
    assert last[3] > 0.7
    held = two_kinds(1000, 1)
    report = measure_weights(held, {method: weights})
    assert report[method].ahead.low > 0.05
    assert report[method].accuracy.mean > 0.85
    assert report["uniform"].ahead.mean == 0.0
    assert report[method].accuracy.n == 50, "households, not pairs"


@settings(deadline=None, max_examples=30)
@given(arrays("float64", (6, 2), elements=st.floats(-1e6, 1e6)), st.integers(0, 100))
def test_weights_are_weights(about: np.ndarray, seed: int) -> None:
    rng = np.random.default_rng(seed)
    made = Weights(rng.normal(size=(2, 35)), rng.normal(size=35), grid(4), np.zeros(2), np.ones(2)).of(about)
    assert (made >= 0).all()
    assert np.allclose(made.sum(1), 1)


def test_the_same_seed_gives_the_same_weights() -> None:
    pairs, few = two_kinds(300, 3), WeightSettings(steps=20)
    first, second = (fit_group_relative(pairs, few, seed=4).arrays() for _ in range(2))
    assert all(np.array_equal(first[name], second[name]) for name in first)
    again = Weights.from_arrays(first)
    assert np.array_equal(again.of(pairs.about), Weights(**first).of(pairs.about))


def test_pair_accuracy_by_hand() -> None:
    pairs = Pairs(np.array([[2.0, 0], [1, 1], [0, 1]]), np.array([[1.0, 0], [1, 1], [3, 0]]), np.zeros((3, 1)), np.arange(3))
    assert pair_accuracy(pairs, Weights.uniform(1, 2)).tolist() == [1.0, 0.5, 0.0]


def test_pairs_by_proxy_stay_inside_a_situation() -> None:
    bought = np.array([True, False, False, True, True, False])
    group = np.array([0, 0, 0, 1, 1, 2])
    expected = np.arange(24.0).reshape(6, 4)
    expected[:, 2] = np.nan
    labelled = Labelled(np.zeros((6, 1)), np.zeros((6, 4)), group, bought, np.array([8, 9, 9]), np.arange(6.0).reshape(3, 2))
    pairs = proxy_pairs(labelled, expected, 10, 0)
    assert sorted(zip(pairs.better[:, 0].tolist(), pairs.worse[:, 0].tolist(), strict=True)) == [(0.0, 4.0), (0.0, 8.0)]
    assert (pairs.better[:, 2] == 0).all(), "an aspect that is not used makes no difference"
    assert pairs.user.tolist() == [8, 8]
    assert len(proxy_pairs(labelled, expected, 1, 0)) == 1
