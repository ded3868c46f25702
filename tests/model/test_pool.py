"""How surely an item is asked for: a mixture of pools, in which what is not known speaks against nothing."""

from __future__ import annotations

import numpy as np
import torch

from backend.data.schema import Dataset
from backend.model.instruction import Said, pool_of
from tests.small import small_model

TASKS = ("JustForYou", "Category", "Replenish", "Deals")


def said(demand: list[list[float]], pools: list[dict[str, np.ndarray]]) -> Said:
    given = torch.tensor(demand).reshape(-1, len(TASKS))
    return Said(torch.zeros(len(demand), 1), torch.zeros(len(demand), 1), given, pools)


def test_a_mixture_of_pools_household_by_household() -> None:
    cheese = np.array([True, False, False, True])
    of_record = {
        "Replenish": torch.tensor([[True, True, False, False], [False, False, False, False]]),
        "Deals": torch.tensor([[False, False, True, True], [False, True, False, True]]),
    }
    demand = [[0.1, 0.5, 0.2, 0.2], [0.0, 0.0, 1.0, 0.0], [0.0, 0.4, 0.4, 0.2]]
    found = pool_of(said(demand, [{"Category": cheese}, {}, {}]), TASKS, [2, 1], of_record, 4)
    expected = [
        [0.1 + 0.5 + 0.2, 0.1 + 0.2, 0.1 + 0.2, 0.1 + 0.5 + 0.2],
        [1.0, 1.0, 0.0, 0.0],
        [0.8, 1.0, 0.8, 1.0],  # no name was said, and nothing is due: neither holds anything against an item
    ]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_in_training_some_pools_are_not_heard(tiny_dataset: Dataset) -> None:
    model = small_model(tiny_dataset)
    n, none = 600, torch.zeros(600, tiny_dataset.n_items)
    heard = model.listen([f"number {number}" for number in range(n)], torch.eye(4)[:1].expand(n, -1))

    def silent(training: bool) -> float:
        """Share of the instructions to which no item is out of the pool."""
        model.instruction.train(training)
        torch.manual_seed(0)
        wish = model.instruction(
            heard, model.fuse, model._names[:0], model._name_of, none
        )  # no names: what is left is the pool's
        return float((wish.named > 0).all(1).float().mean())

    assert silent(training=False) == 0.0
    assert 0.15 < silent(training=True) < 0.25


def test_no_instructions() -> None:
    none = {"Replenish": torch.zeros(1, 3, dtype=torch.bool)}
    assert pool_of(said([], []), TASKS, [0], none, 3).shape == (0, 3)
