"""The RQ-VAE on small clusters: it reconstructs, uses its codes, comes back from its arrays, and can be cancelled."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.errors import Cancelled
from backend.progress import CancelToken, Progress
from backend.settings import TokenSettings
from backend.tokenization.choose import load_quantizer, quantize
from backend.tokenization.rq_vae import RQVAE, rq_vae
from backend.tokenization.semantic_ids import health

SETTINGS = TokenSettings(levels=3, codes=8, quantizer="rq-vae", latent=6, epochs=40)


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(12, 16))
    return (centres[rng.integers(12, size=400)] + 0.2 * rng.normal(size=(400, 16))).astype(np.float32)


@pytest.fixture(scope="module")
def made(vectors: np.ndarray) -> tuple[RQVAE, np.ndarray]:
    return rq_vae(vectors, SETTINGS, 7)


def test_it_reconstructs_and_uses_its_codes(made: tuple[RQVAE, np.ndarray], vectors: np.ndarray) -> None:
    model, codes = made
    assert codes.shape == (400, 3)
    report = health(codes, model, vectors, ["a"] * 400)
    errors = [row["reconstruction_error"] for row in report["levels"]]
    assert errors[-1] < errors[0] < 1
    assert errors[-1] < 0.5
    assert all(row["usage"] > 0.6 for row in report["levels"])


def test_encode_takes_the_nearest_centroid_of_the_residual(made: tuple[RQVAE, np.ndarray], vectors: np.ndarray) -> None:
    model, codes = made
    residual = model.latent(vectors[:20])
    for level, book in enumerate(model.centroids):
        distance = ((residual[:, None] - book[None]) ** 2).sum(-1)
        assert distance.argmin(1).tolist() == codes[:20, level].tolist()
        residual = residual - book[codes[:20, level]]


def test_it_comes_back_from_its_arrays(made: tuple[RQVAE, np.ndarray], vectors: np.ndarray) -> None:
    model, codes = made
    again = load_quantizer(model.arrays())
    assert isinstance(again, RQVAE)
    np.testing.assert_array_equal(again.encode(vectors), codes)
    np.testing.assert_allclose(again.decode(codes), model.decode(codes))


def test_the_seed_decides_and_the_callers_randomness_stays(vectors: np.ndarray) -> None:
    settings = SETTINGS.model_copy(update={"epochs": 12})
    torch.manual_seed(3)
    before = torch.rand(1)
    torch.manual_seed(3)
    one = quantize(vectors, settings, 7)[1]
    assert torch.rand(1) == before
    np.testing.assert_array_equal(one, quantize(vectors, settings, 7)[1])
    assert (quantize(vectors, settings, 8)[1] != one).any()


def test_progress_cancelling_and_few_vectors(vectors: np.ndarray) -> None:
    events: list[Progress] = []
    settings = SETTINGS.model_copy(update={"epochs": 3})
    _, codes = rq_vae(vectors[:5], settings, 7, events.append)
    assert codes.shape == (5, 3)
    assert [event.done for event in events] == [1, 2, 3]
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        rq_vae(vectors, settings, 7, cancel=token)


def test_the_default_choice_leaves_stored_settings_as_they_were() -> None:
    assert TokenSettings().model_dump(mode="json") == {"levels": 4, "codes": 64, "balance": 1.3, "iterations": 25}
    assert SETTINGS.model_dump(mode="json")["quantizer"] == "rq-vae"
    assert TokenSettings(**SETTINGS.model_dump(mode="json")) == SETTINGS
