"""Turns of phrase: regressions over words and groups of letters, and what becomes of the demands that are read with them."""

from __future__ import annotations

import numpy as np
import pytest

from backend.data.schema import Dataset
from backend.instructions.catalogue import prepare
from backend.instructions.demand import DemandReader, fit_demand, heard
from backend.instructions.phrasing import Phrasing, fit_phrasing
from backend.instructions.templates import wordings
from tests.small import FakeEncoder

TASKS = ("JustForYou", "Category", "Query", "Discover")
ASKED = ["show me groceries", "let me see groceries", "what goes with groceries", "groceries, and what else with it"]


def fake_encode(texts: list[str]) -> np.ndarray:
    return FakeEncoder().encode(texts)


@pytest.fixture(scope="module")
def fitted() -> dict[str, np.ndarray]:
    return fit_phrasing(ASKED, np.zeros((4, 7), np.uint8), np.array([0, 0, 1, 1]), np.ones(4), tasks=3)


def test_how_a_thing_is_asked_for_decides(fitted: dict[str, np.ndarray]) -> None:
    found = Phrasing(fitted).read(["show me tea please", "tea, and what goes with it"], np.zeros((2, 7), np.uint8))
    np.testing.assert_allclose(found.sum(1), 1.0, atol=1e-6)
    assert found[:, :2].argmax(1).tolist() == [0, 1]


def test_marks_decide_where_the_words_are_the_same() -> None:
    marks = np.array([[1, 0], [0, 1]] * 2, np.uint8)
    reader = Phrasing(fit_phrasing(["please"] * 4, marks, np.array([0, 1, 0, 1]), np.ones(4), tasks=2))
    assert reader.read(["please"] * 2, marks[:2]).argmax(1).tolist() == [0, 1]


def test_a_task_without_examples_is_left_at_even_odds(fitted: dict[str, np.ndarray]) -> None:
    assert not fitted["phrasing"][2].any()
    assert fitted["phrasing_bias"][2] == 0
    assert fitted["phrasing"][:2].any(axis=1).all()


def test_heavier_examples_are_heard_more() -> None:
    texts, marks, demand = ["tea"] * 2, np.zeros((2, 1), np.uint8), np.array([0, 1])
    for weight, expected in ((np.array([5.0, 1.0]), 0), (np.array([1.0, 5.0]), 1)):
        assert Phrasing(fit_phrasing(texts, marks, demand, weight, 2)).read(["tea"], marks[:1]).argmax() == expected


def test_a_demand_is_the_geometric_mean_of_both_opinions(tiny_dataset: Dataset) -> None:
    catalogue = prepare(tiny_dataset, fake_encode)
    fitted = fit_demand(TASKS, catalogue, fake_encode, seed=7)
    texts = wordings("Discover", held_out=True)
    masked, marks = heard(texts, catalogue)
    reader = DemandReader(fitted, TASKS, catalogue)
    kernel, phrased = reader._by_meaning(fake_encode(texts), masked, marks), Phrasing(fitted).read(masked, marks)
    expected = np.sqrt(kernel * phrased)
    found = reader.read(texts, fake_encode(texts))
    np.testing.assert_allclose(found, expected / expected.sum(1, keepdims=True), atol=1e-5)
    # the fake encoder's vectors say little of unseen wordings: what reads them is the phrasing
    assert (found.argmax(1) == 3).mean() > (kernel.argmax(1) == 3).mean()
