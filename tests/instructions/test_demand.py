"""Demands read off sentence vectors: on the fake encoder what must hold anywhere, on the real one how well unseen wordings are read."""

from __future__ import annotations

import numpy as np
import pytest

from backend.data.schema import Dataset
from backend.grounding.encoders import shared_text_encoder
from backend.instructions.catalogue import Catalogue, prepare
from backend.instructions.demand import DemandReader, demand_examples, says_name
from backend.instructions.templates import wordings
from tests.small import FakeEncoder

TASKS = ("JustForYou", "Category", "Query", "Discover")


def fake_encode(texts: list[str]) -> np.ndarray:
    return FakeEncoder().encode(texts)


@pytest.fixture
def catalogue(tiny_dataset: Dataset) -> Catalogue:
    return prepare(tiny_dataset, fake_encode)


def test_examples_are_the_training_wordings_each_as_heavy_as_the_next_but_in_doubt_it_is_the_next_basket(
    catalogue: Catalogue,
) -> None:
    found = demand_examples(TASKS, catalogue, fake_encode, seed=7)
    assert len(found["vectors"]) == len(found["names"]) == len(found["demand"]) == len(found["weight"])
    for place, task in enumerate(TASKS):
        own = found["demand"] == place
        heavy = 2 if task == "JustForYou" else 1
        assert found["weight"][own].sum() == pytest.approx(heavy * len(wordings(task, held_out=False)), rel=1e-4)
        assert found["names"][own].mean() > 0.9 if task in ("Category", "Query") else found["names"][own].mean() < 0.1


def test_what_it_was_fitted_on_is_read_again(catalogue: Catalogue) -> None:
    reader = DemandReader(demand_examples(TASKS, catalogue, fake_encode, seed=7), TASKS, catalogue)
    for place, task in ((0, "JustForYou"), (3, "Discover")):
        texts = wordings(task, held_out=False)
        found = reader.read(texts, fake_encode(texts))
        assert found.shape == (len(texts), len(TASKS))
        np.testing.assert_allclose(found.sum(1), 1.0, atol=1e-5)
        assert (found.argmax(1) == place).mean() > 0.7  # words are random vectors here, and a thousand sentences share them


def test_one_task_needs_no_reading(catalogue: Catalogue) -> None:
    reader = DemandReader(demand_examples(("Discover",), catalogue, fake_encode, seed=7), ("Discover",), catalogue)
    assert reader.read(["anything"], fake_encode(["anything"])).tolist() == [[1.0]]
    assert reader.read([], np.zeros((0, 384), np.float32)).shape == (0, 1)


def test_names_are_told(catalogue: Catalogue, tiny_dataset: Dataset) -> None:
    name = str(tiny_dataset.items["category"].iloc[0])
    assert says_name([f"some {name} please", "surprise me"], catalogue).tolist() == [1.0, 0.0]


def test_unseen_wordings_are_read_by_the_real_encoder(tiny_dataset: Dataset) -> None:
    """Bars below what was measured (.95 and .90), so that another draw of names does not fail it; chance is .25."""

    def encode(texts: list[str]) -> np.ndarray:
        return shared_text_encoder().encode(texts)

    catalogue = prepare(tiny_dataset, encode)
    reader = DemandReader(demand_examples(TASKS, catalogue, encode, seed=7), TASKS, catalogue)
    for place, task in ((0, "JustForYou"), (3, "Discover")):
        texts = wordings(task, held_out=True)
        assert (reader.read(texts, encode(texts)).argmax(1) == place).mean() >= 0.8
