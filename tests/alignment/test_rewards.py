"""Business rewards against a naive recomputation, and what they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.alignment.rewards import SMOOTHING, BusinessReward, Matches, correctness, expected_value
from backend.data.schema import Dataset
from backend.data.split import split
from backend.settings import DataSettings, RewardSettings

DEFAULT = RewardSettings()


def counted(dataset: Dataset) -> np.ndarray:
    return split(dataset, DataSettings()).train_events


def discounted(dataset: Dataset) -> Dataset:
    """The tiny shop with offers: every third line is given away at half of what was paid, one item at more than its price."""
    events = dataset.events.copy()
    events["discount"] = np.where(np.arange(len(events)) % 3 == 0, 0.5 * events["paid"], 0.0)
    events.loc[events["item"] == 5, "discount"] = 30.0
    return Dataset(dataset.name, dataset.items, dataset.users, events, dataset.queries)


def test_expected_value_line_by_line(tiny_dataset: Dataset) -> None:
    shop, may = discounted(tiny_dataset), counted(tiny_dataset)
    lines = [row for row, yes in zip(shop.events.itertuples(), may, strict=True) if yes]
    prices = shop.items["price"].tolist()
    usual = sum(line.quantity for line in lines) / len(lines)
    share = sum(line.discount for line in lines) / sum(prices[line.item] * line.quantity for line in lines)
    found = expected_value(shop, may, DEFAULT)
    for item in range(shop.n_items):
        own = [line for line in lines if line.item == item]
        quantity = (sum(line.quantity for line in own) + SMOOTHING * usual) / (len(own) + SMOOTHING)
        discount = (sum(line.discount for line in own) + SMOOTHING * share * prices[item] * usual) / (len(own) + SMOOTHING)
        margin = 0.35 if shop.items["brand"].iloc[item] == "Private" else 0.25
        regular = prices[item] * quantity
        assert found[item] == pytest.approx(max(regular * margin - discount, 0.05 * regular)), item
    assert found[5] == pytest.approx(0.05 * prices[5] * found[5] / (0.05 * prices[5])), "the least margin"
    assert (found > 0).all()


def test_what_training_may_not_see_does_not_count(tiny_dataset: Dataset) -> None:
    may, shop = counted(tiny_dataset), discounted(tiny_dataset)
    events = shop.events.copy()
    events.loc[~may, ["quantity", "discount"]] = 1e6
    later = Dataset(shop.name, shop.items, shop.users, events, shop.queries)
    assert np.array_equal(expected_value(shop, may, DEFAULT), expected_value(later, may, DEFAULT))


def test_value_falls_with_the_discount_and_without_events_is_the_price(tiny_dataset: Dataset) -> None:
    may = counted(tiny_dataset)
    assert (expected_value(discounted(tiny_dataset), may, DEFAULT) <= expected_value(tiny_dataset, may, DEFAULT)).all()
    own = (tiny_dataset.items["brand"] == "Private").to_numpy()
    nothing = expected_value(tiny_dataset, np.zeros(len(may), bool), DEFAULT)
    assert np.allclose(nothing, tiny_dataset.items["price"] * np.where(own, 0.35, 0.25))


def naive_grade(dataset: Dataset, item: int, bought: list[int]) -> float:
    names = dataset.items[["department", "category", "type"]]
    best = 0.0
    for other in bought:
        same = [
            item == other,
            *(names.iloc[item, :depth].tolist() == names.iloc[other, :depth].tolist() for depth in (3, 2, 1)),
        ]
        best = max([best, *(grade for grade, yes in zip(DEFAULT.grades, same, strict=True) if yes)])
    return best


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, 59), max_size=6))
def test_grades_against_a_loop(tiny_dataset: Dataset, bought: list[int]) -> None:
    found = Matches(tiny_dataset).grades(np.array(bought, np.int64), DEFAULT)
    assert np.allclose(found, [naive_grade(tiny_dataset, item, bought) for item in range(tiny_dataset.n_items)])


def test_a_grade_of_a_nearer_kind_may_be_the_lower_one(tiny_dataset: Dataset) -> None:
    odd = RewardSettings(item=0.2, type=0.3, category=0.1, department=0.5)
    found = Matches(tiny_dataset).grades(np.array([0]), odd)
    assert found[0] == 0.5, "the best grade, whichever it is"


def test_the_reward_of_a_group(tiny_dataset: Dataset) -> None:
    reward = BusinessReward(tiny_dataset, counted(tiny_dataset), DEFAULT)
    rollouts, bought = np.array([3, 0, 59, 20]), np.array([0, 20])
    wanted = [reward.value[item] * naive_grade(tiny_dataset, item, [0, 20]) for item in rollouts.tolist()]
    assert np.allclose(reward(rollouts, bought), wanted)
    assert reward(rollouts, bought).std() > 0
    assert (reward(rollouts, np.zeros(0, np.int64)) == 0).all()
    plain = BusinessReward(tiny_dataset, counted(tiny_dataset), RewardSettings(kind="correct"))
    assert np.array_equal(plain(rollouts, bought), correctness(rollouts, bought))


def test_correctness_by_hand() -> None:
    # wrong at ranks 1 and 3: 1/log2(2) = 1 and 1/log2(4) = 0.5
    assert correctness(np.array([7, 5, 9, 4]), [5, 4]).tolist() == pytest.approx([-1 / 1.5, 1.0, -0.5 / 1.5, 1.0])
    assert correctness(np.array([7, 8]), [5]).tolist() == [0.0, 0.0]
    assert correctness(np.array([7, 8]), [7, 8]).tolist() == [1.0, 1.0]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=16, unique=True), st.sets(st.integers(0, 30), max_size=10))
def test_wrong_items_share_one_penalty(rollouts: list[int], bought: set[int]) -> None:
    found = correctness(np.array(rollouts), sorted(bought))
    wrong = np.array([item not in bought for item in rollouts])
    if wrong.all():
        assert (found == 0).all()
    else:
        assert (found[~wrong] == 1).all()
        assert math.isclose(found[wrong].sum(), -1.0 if wrong.any() else 0.0, abs_tol=1e-9)
        assert (np.diff(found[wrong]) >= 0).all(), "the higher it was ranked, the larger its penalty"
