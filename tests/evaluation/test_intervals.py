from __future__ import annotations

import numpy as np
import pytest

from backend.evaluation.intervals import difference, interval, intervals, resample_counts


def test_counts_are_resamples() -> None:
    counts = resample_counts(50, 200, seed=1)
    assert counts.shape == (200, 50)
    assert (counts.sum(1) == 50).all()
    assert counts.var() == pytest.approx(1, abs=0.1)  # Poisson(1), nearly


def test_same_as_naive_bootstrap() -> None:
    values = np.random.default_rng(0).normal(3, 2, 80)
    counts = resample_counts(80, 500, seed=4)
    means = [np.repeat(values, row.astype(int)).mean() for row in counts]
    found = interval(values, resamples=500, seed=4)
    assert (found.low, found.high) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=1e-5)
    assert found.mean == pytest.approx(values.mean())
    assert found.n == 80


def test_close_to_the_normal_interval_and_covers() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for trial in range(100):
        found = interval(rng.normal(0, 1, 100), resamples=400, seed=trial)
        covered += found.low <= 0 <= found.high
        assert found.high - found.low == pytest.approx(2 * 1.96 / 10, rel=0.35)
    assert 87 <= covered <= 100


def test_pairing_removes_the_common_part() -> None:
    rng = np.random.default_rng(2)
    common = rng.normal(0, 10, 400)
    ours, theirs = common + 0.1 + rng.normal(0, 0.1, 400), common
    assert not interval(ours).excludes_zero or abs(interval(ours).mean) > 0.5
    assert difference(ours, theirs).excludes_zero
    with pytest.raises(ValueError, match="not paired"):
        difference(ours, theirs[1:])


def test_undefined_values_are_left_out() -> None:
    values = np.array([1.0, np.nan, 3.0, np.nan])
    found, empty = intervals(np.stack([values, np.full(4, np.nan)], axis=1), resamples=300)
    assert (found.mean, found.n) == (2.0, 2)
    assert 1 <= found.low <= found.high <= 3
    assert empty.n == 0
    assert np.isnan(empty.mean)
    assert interval(np.array([])).n == 0


def test_seeded() -> None:
    values = np.random.default_rng(3).random(60)
    assert interval(values, seed=1) == interval(values, seed=1)
    assert interval(values, seed=1) != interval(values, seed=2)


def test_no_difference_is_exactly_zero() -> None:
    values = np.random.default_rng(5).random(300)
    assert difference(values, values) == difference(np.zeros(300), np.zeros(300))
    ours, theirs = np.zeros(400), np.zeros(400)
    ours[:4] = 1  # 4 against 0: some resamples draw none of them
    theirs[4:6] = 1
    assert difference(ours, theirs).low <= 0
    assert not difference(ours, theirs).excludes_zero
