"""The diversity step: against the definition, against the compiled one of the lab, and in a recommendation."""

from __future__ import annotations

import numpy as np
import pytest

from backend.evaluation.rescoring import _spaced
from backend.generation.diversity import spaced
from backend.generation.generator import Generator
from backend.generation.request import Request
from backend.settings import FusionSettings

ASKED = Request(user="u3", instruction="something in snacks", fusion=FusionSettings(beams=10, per_prefix=20, top=12))


def pool(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, 6)).astype(np.float32)
    return np.sort(rng.normal(size=n).astype(np.float32))[::-1].copy(), vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.8, 1.0])
def test_every_place_is_the_best_that_is_left(weight: float) -> None:
    scores, vectors = pool(20, 3)
    order = spaced(scores, vectors, weight, 8)
    scaled = (scores - scores[-1]) / (scores[0] - scores[-1])
    assert order[0] == 0
    for place in range(1, 8):
        left = [row for row in range(20) if row not in order[:place]]
        worth = {row: (1 - weight) * scaled[row] - weight * max(vectors[row] @ vectors[t] for t in order[:place]) for row in left}
        assert worth[int(order[place])] == pytest.approx(max(worth.values()))
    if not weight:
        assert order.tolist() == list(range(8))


@pytest.mark.parametrize("weight", [0.1, 0.5, 0.9])
def test_the_lab_takes_the_same(weight: float) -> None:
    for seed in range(10):
        scores, vectors = pool(30, seed)
        rows = np.arange(30)
        assert spaced(scores, vectors, weight, 10).tolist() == _spaced(scores, rows, vectors, np.float32(weight), 10).tolist()


def test_nothing_to_choose_from() -> None:
    assert spaced(np.zeros(0), np.zeros((0, 3)), 0.5, 10).size == 0
    assert spaced(np.ones(2), np.eye(2), 0.5, 10).tolist() == [0, 1]


def asked(**fusion: float) -> Request:
    return ASKED.model_copy(update={"fusion": ASKED.fusion.model_copy(update=fusion)})


def test_a_recommendation_is_spread_out(generator: Generator) -> None:
    plain, spread = generator.recommend(ASKED).fused, generator.recommend(asked(diversity=0.9)).fused
    vectors = generator.model.store.text

    def near(items: np.ndarray) -> float:
        cos = vectors[items] @ vectors[items].T
        return float(cos[np.triu_indices(len(items), 1)].mean())

    assert plain["item"].iat[0] == spread["item"].iat[0]
    assert spread["rank"].tolist() == list(range(1, 13))
    assert near(spread["item"].to_numpy()) < near(plain["item"].to_numpy())


def test_value_and_strength_reach_a_recommendation(generator: Generator) -> None:
    price = generator.dataset.items["price"].to_numpy()
    plain, dear = generator.recommend(ASKED), generator.recommend(asked(value_weight=2.0))
    assert price[dear.fused["item"]].mean() > price[plain.fused["item"]].mean()
    joined = plain.subsets.merge(dear.subsets, on="item", suffixes=("", "_dear"))
    np.testing.assert_allclose(joined["score_dear"] - joined["score"], 2.0 * generator.price[joined["item"]], atol=1e-4)
    off, none = generator.recommend(asked(apf=False)), generator.recommend(asked(strength=0.0))
    assert off.fused["item"].tolist() == none.fused["item"].tolist()
    assert generator.recommend(asked(strength=2.0)).sigma == pytest.approx(plain.sigma**2)
