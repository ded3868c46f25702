"""Residual k-means: balance, usage, determinism, encode and decode."""

from __future__ import annotations

import numpy as np
import pytest

from backend.errors import Cancelled
from backend.progress import CancelToken, Progress
from backend.settings import TokenSettings
from backend.tokenization.quantizers import Codebooks, _capped_assignment, rq_kmeans

SETTINGS = TokenSettings(levels=3, codes=8, balance=1.3, iterations=8)


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """One cluster holds two thirds of all vectors: a plain k-means would make one huge prefix of it."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(8, 12)) * 3
    sizes = [400, 40, 40, 30, 30, 20, 20, 20]
    found = np.concatenate([centre + rng.normal(size=(size, 12)) for centre, size in zip(centres, sizes, strict=True)])
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def test_the_first_level_is_balanced_and_every_code_is_used(vectors: np.ndarray) -> None:
    _, codes = rq_kmeans(vectors, SETTINGS, seed=7)
    sizes = np.bincount(codes[:, 0], minlength=8)
    assert sizes.max() <= np.ceil(1.3 * len(vectors) / 8)
    assert (sizes > 0).all()
    for level in range(3):
        assert len(np.unique(codes[:, level])) == 8


def test_the_same_seed_gives_the_same_codes(vectors: np.ndarray) -> None:
    (one, first), (two, second) = rq_kmeans(vectors, SETTINGS, seed=7), rq_kmeans(vectors, SETTINGS, seed=7)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(one.centroids, two.centroids)
    assert (rq_kmeans(vectors, SETTINGS, seed=8)[1] != first).any()


def test_each_level_brings_the_reconstruction_nearer(vectors: np.ndarray) -> None:
    books, codes = rq_kmeans(vectors, SETTINGS, seed=7)
    errors = [float(((vectors - books.decode(codes[:, :levels])) ** 2).sum()) for levels in (1, 2, 3)]
    assert errors[0] > errors[1] > errors[2]


def test_later_levels_take_the_nearest_centroid_of_the_residual(vectors: np.ndarray) -> None:
    books, codes = rq_kmeans(vectors, SETTINGS, seed=7)
    residual = vectors - books.centroids[0][codes[:, 0]]
    for level in (1, 2):
        distances = ((residual[:, None] - books.centroids[level][None]) ** 2).sum(-1)
        chosen = distances[np.arange(len(vectors)), codes[:, level]]
        np.testing.assert_allclose(chosen, distances.min(1), atol=1e-4)
        residual = residual - books.centroids[level][codes[:, level]]


def test_encode_takes_the_nearest_and_decode_sums_up() -> None:
    books = Codebooks(np.array([[[0, 0], [10, 0]], [[0, 0], [0, 1]]], np.float32))
    codes = books.encode(np.array([[0.2, 0.9], [9.0, 0.1], [10.0, 1.0]], np.float32))
    assert codes.tolist() == [[0, 1], [1, 0], [1, 1]]
    assert books.decode(codes).tolist() == [[0, 1], [10, 0], [10, 1]]
    assert books.decode(codes[:, :1]).tolist() == [[0, 0], [10, 0], [10, 0]]
    np.testing.assert_array_equal(books.encode(books.decode(codes)), codes)


def test_fewer_vectors_than_codes(vectors: np.ndarray) -> None:
    books, codes = rq_kmeans(vectors[:5], SETTINGS, seed=7)
    assert codes.shape == (5, 3)
    assert codes.max() < 5
    assert np.isfinite(books.centroids).all()
    assert books.encode(vectors[:50]).max() < 5, "codes without a vector cannot be chosen"


def test_capped_assignment_against_its_promise() -> None:
    rng = np.random.default_rng(1)
    distances = rng.random((30, 4)) + np.array([0, 1, 1, 1])  # everything is nearest to the first
    chosen = _capped_assignment(distances, 8)
    assert np.bincount(chosen, minlength=4).max() <= 8
    assert np.bincount(chosen, minlength=4)[0] == 8
    free = _capped_assignment(distances, 30)
    np.testing.assert_array_equal(free, distances.argmin(1))


def test_progress_and_cancelling(vectors: np.ndarray) -> None:
    events: list[Progress] = []
    rq_kmeans(vectors[:60], SETTINGS, 7, events.append)
    assert [(event.done, event.total) for event in events] == [(1, 3), (2, 3), (3, 3)]
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        rq_kmeans(vectors[:60], SETTINGS, 7, cancel=token)
