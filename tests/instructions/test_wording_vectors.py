"""The shipped sentence vectors: of today's wordings, by the real encoder, and nothing else is answered from them."""

from __future__ import annotations

import numpy as np

from backend.grounding.encoders import shared_text_encoder
from backend.instructions.wording_vectors import _key, remembering, sentences, stored


def test_every_wording_is_there() -> None:
    missing = [text for text in sentences() if _key(text) not in stored()]
    assert not missing, f"run python -m backend.instructions.wording_vectors: {missing[:3]}"


def test_they_are_what_the_encoder_says() -> None:
    some = sentences()[::97]
    cosine = (shared_text_encoder().encode(some) * remembering(lambda texts: np.full((len(texts), 384), np.nan))(some)).sum(1)
    np.testing.assert_allclose(cosine, 1.0, atol=2e-3)


def test_only_what_is_not_there_is_encoded_and_the_order_is_kept() -> None:
    asked: list[list[str]] = []

    def encode(texts: list[str]) -> np.ndarray:
        asked.append(texts)
        return np.array([[float(len(text))] * 384 for text in texts])

    known = sentences()[0]
    found = remembering(encode)(["nobody ever said this", known, "nor that"])
    assert asked == [["nobody ever said this", "nor that"]]
    np.testing.assert_allclose(found[[0, 2], 0], [21, 8])
    np.testing.assert_allclose(found[1], stored()[_key(known)])
