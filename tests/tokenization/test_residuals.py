"""Residual paths by hand; an item that is not edited keeps its codes."""

from __future__ import annotations

import numpy as np
import pytest

from backend.settings import TokenSettings
from backend.tokenization.quantizers import rq_kmeans
from backend.tokenization.residuals import encode_beside, residual_path, shared_levels


def test_a_path_by_hand() -> None:
    books = np.array([[[3.0, 0.0], [0.0, 3.0]], [[0.0, 4.0], [0.0, 0.0]]])
    path = residual_path(np.array([3.0, 4.0]), np.array([0, 0]), books)
    assert path.levels["distance"].tolist() == [4.0, 0.0]
    assert path.levels["explained"].tolist() == pytest.approx([1 - 16 / 25, 1.0])
    assert path.levels["gain"].tolist() == pytest.approx([9 / 25, 16 / 25])
    assert path.levels["place"].tolist() == [2, 1]  # at level 1 the other code, √10 away, was nearer
    first = path.codes[path.codes["level"] == 1]
    assert first["code"].tolist() == [1, 0]
    assert first["distance"].tolist() == pytest.approx([10**0.5, 4.0])
    assert first["chosen"].tolist() == [False, True]


def test_codes_that_cannot_be_chosen_are_not_listed() -> None:
    vectors = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    books, codes = rq_kmeans(vectors, TokenSettings(levels=2, codes=8, iterations=3), 7)
    path = residual_path(vectors[0], codes[0], books.centroids)
    assert path.codes.groupby("level").size().tolist() == [5, 5]


def test_an_unedited_item_keeps_its_codes_even_where_the_nearest_was_full() -> None:
    rng = np.random.default_rng(1)
    vectors = np.concatenate([rng.normal(size=(300, 6)) * 0.2 + 2, rng.normal(size=(60, 6))]).astype(np.float32)
    books, codes = rq_kmeans(vectors, TokenSettings(levels=3, codes=8, balance=1.1, iterations=8), 7)
    assert (books.encode(vectors)[:, 0] != codes[:, 0]).any(), "the balance displaced some"
    for vector, own in zip(vectors, codes, strict=True):
        assert encode_beside(vector, vector, own, books.centroids).tolist() == own.tolist()
    far = int(books.encode(vectors[-1:])[0, 0])
    moved = encode_beside(vectors[-1], vectors[0], codes[0], books.centroids)
    if far != int(books.encode(vectors[:1])[0, 0]):
        assert moved.tolist() == books.encode(vectors[-1:])[0].tolist(), "another vector takes its nearest codes"


def test_shared_levels_stop_at_the_first_difference() -> None:
    sids = np.array([[1, 2, 3], [1, 2, 0], [1, 0, 3], [0, 2, 3]])
    assert shared_levels(sids, np.array([1, 2, 3])).tolist() == [3, 2, 1, 0]
