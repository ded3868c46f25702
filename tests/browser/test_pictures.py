"""The pictures of the README: small enough, and those that are shipped are too."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tests.browser.pictures import MOST_BYTES, PICTURES, WIDTH, shrunk


def test_a_picture_is_made_small() -> None:
    noise = np.random.default_rng(7).integers(0, 255, (160, WIDTH, 3), np.uint8)
    noise[:, : WIDTH - 200] = 240  # mostly ground, as pages are
    raw = io.BytesIO()
    Image.fromarray(noise).save(raw, "PNG")
    made = shrunk(raw.getvalue(), 40_000)
    assert len(made) <= 40_000
    assert Image.open(io.BytesIO(made)).width <= WIDTH
    with pytest.raises(ValueError, match="cannot be brought"):
        shrunk(raw.getvalue(), 10)


def test_the_shipped_pictures_are_small() -> None:
    for path in PICTURES.glob("*.png"):
        assert path.stat().st_size <= MOST_BYTES, path.name
