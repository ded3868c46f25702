"""Several readings of an instruction: what is ranked by is the mixture of what each of them would rank by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from backend.data.schema import Dataset
from backend.generation.generator import Generator
from backend.generation.logits import item_logits
from backend.generation.readings import known_as_heard, with_other_readings
from backend.generation.request import Request
from backend.model.batch import Batch, Known
from backend.model.loading import LIKELY
from backend.model.priors import RecordBatch
from tests.generation.conftest import Make

TEXTS = ("something nice", "yogurts please", "a change")


@pytest.fixture
def asked(generator: Generator) -> tuple[Batch, RecordBatch, torch.Tensor]:
    """Three instructions of three households, and a hidden state for each."""
    shoppers = [generator.shoppers.resolve(Request(user=user)) for user in generator.dataset.users["user_id"].astype(str)[:3]]
    batch = generator.model.collate(
        [generator.runner.tokens(shopper, text) for shopper, text in zip(shoppers, TEXTS, strict=True)]
    )
    records = RecordBatch.of([generator.records.of(each.items, each.days, each.steps) for each in shoppers])
    states = torch.from_numpy(np.random.default_rng(0).normal(size=(3, generator.model.backbone.dim))).float()
    return batch, records, states


def heard(batch: Batch, rows: list[list[float]]) -> Batch:
    return replace(batch, said=replace(batch.said, demand=torch.tensor(rows)))


def probabilities(generator: Generator, known: Known, states: torch.Tensor) -> torch.Tensor:
    """Flat softmax over the catalogue, with the app's own logits. Shape: (trees, n_items)"""
    logits = [item_logits(generator.model, states[tree : tree + 1], known, tree)[0] for tree in range(len(states))]
    return F.softmax(torch.stack(logits), dim=1)


@torch.no_grad()
def test_the_mixture_of_the_readings(generator: Generator, asked: tuple[Batch, RecordBatch, torch.Tensor]) -> None:
    batch, records, states = asked
    model, soft = generator.model, generator.runner.soft_tensor
    rows = [[0.6, 0.3, 0.1, 0.0], [0.0, 0.97, 0.03, 0.0], [0.3, 0.1, 0.2, 0.4]]
    said = heard(batch, rows)
    found = probabilities(
        generator, with_other_readings(model, known_as_heard(model, said, records, soft), said, records, states), states
    )
    alone = []
    for demand in range(4):
        one = heard(batch, [[float(place == demand) for place in range(4)]] * 3)
        alone.append(probabilities(generator, model.known(one, records, soft), states))
    weights = torch.tensor(rows)
    weights[weights < LIKELY] = 0.0
    expected = sum(weights[:, demand, None] * alone[demand] for demand in range(4)) / weights.sum(1, keepdim=True)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)
    assert not torch.allclose(found[0], alone[0][0], rtol=1e-2), "the other readings count"
    torch.testing.assert_close(found[1], alone[1][1], rtol=1e-3, atol=1e-6)


@torch.no_grad()
def test_a_clear_instruction_has_one_reading(generator: Generator, asked: tuple[Batch, RecordBatch, torch.Tensor]) -> None:
    batch, records, states = asked
    said = heard(batch, [[0.96, 0.04, 0.0, 0.0]] * 3)
    known = known_as_heard(generator.model, said, records, generator.runner.soft_tensor)
    assert with_other_readings(generator.model, known, said, records, states) is known


@torch.no_grad()
def test_a_model_without_nearness_has_no_place_for_them(make: Make, tiny_dataset: Dataset) -> None:
    generator = make(soft_token=False)
    shopper = generator.shoppers.resolve(Request(user=str(tiny_dataset.users["user_id"].iloc[0])))
    batch = generator.model.collate([generator.runner.tokens(shopper, "anything")])
    records = RecordBatch.of([generator.records.of(shopper.items, shopper.days, shopper.steps)])
    known = known_as_heard(generator.model, batch, records, generator.runner.soft_tensor)
    states = torch.zeros(1, generator.model.backbone.dim)
    assert with_other_readings(generator.model, known, batch, records, states) is known


def test_the_trace_says_how_it_was_heard(generator: Generator) -> None:
    trace = generator.recommend(Request(instruction="anything", user=str(generator.dataset.users["user_id"].iloc[0])))
    assert sum(trace.demand.values()) == pytest.approx(1, abs=1e-5)
    assert max(trace.demand.values()) < 1, "all readings, not the likeliest alone"
