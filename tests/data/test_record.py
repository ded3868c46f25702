"""A household's record against loops over its receipts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from backend.data.record import OWN, Records, basket_ordinals
from backend.data.schema import Dataset


def test_features_against_loops(tiny_dataset: Dataset) -> None:
    items, ages, steps = np.array([3, 4, 3, 5, 4]), np.array([90.0, 90, 30, 30, 2]), np.array([0, 0, 1, 1, 2])
    records = Records(tiny_dataset)
    found = records.of(items, ages, steps)
    assert found.items.tolist() == [3, 4, 5]
    for row, item in enumerate(found.items.tolist()):
        feature = dict(zip(OWN, found.own[row].tolist(), strict=True))
        own = [age for age, each in zip(ages.tolist(), items.tolist(), strict=True) if each == item]
        for name, half_life in (("rate, 60 days", 60), ("rate, 14 days", 14), ("rate, ever", math.inf)):
            total = sum(0.5 ** (age / half_life) for age in (90, 30, 2))
            assert feature[name] == pytest.approx(math.log1p(sum(0.5 ** (age / half_life) for age in own) / total / 0.01))
        assert feature["days since"] == pytest.approx(math.log1p(min(own)))
        assert feature["times"] == pytest.approx(math.log1p(len(own)))
        gap = (max(own) - min(own)) / (len(own) - 1) if len(own) > 1 else 0.0
        assert feature["due"] == pytest.approx(math.log((min(own) + 1) / (gap + 1)) if len(own) > 1 else 0.0)
        assert feature["last basket"] == (item == 4)


def test_category_terms_against_loops(tiny_dataset: Dataset) -> None:
    rng = np.random.default_rng(0)
    steps = np.repeat(np.arange(12), 2)
    items, ages = rng.integers(tiny_dataset.n_items, size=24), 100.0 - steps
    found = Records(tiny_dataset).of(items, ages, steps)
    category = tiny_dataset.items["category"].tolist()
    total = sum(0.5 ** ((100 - step) / 60) for step in range(12))
    for item in range(tiny_dataset.n_items):
        rate = sum(0.5 ** (age / 60) for age, each in zip(ages, items, strict=True) if category[each] == category[item]) / total
        assert found.familiar[item] == pytest.approx(math.log1p(rate / 0.01), rel=1e-4)
        lately = any(category[each] == category[item] for each, step in zip(items, steps, strict=True) if step >= 2)
        assert found.lately[item] == lately


def test_nothing_bought_nothing_known(tiny_dataset: Dataset) -> None:
    found = Records(tiny_dataset).of(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64))
    assert found.own.shape == (0, len(OWN))
    assert not found.familiar.any()
    assert not found.lately.any()


def test_basket_ordinals() -> None:
    assert basket_ordinals(np.array([9.5, 9.5, 3.0, 1.0, 1.0])).tolist() == [0, 0, 1, 2, 2]
    assert not len(basket_ordinals(np.zeros(0)))
