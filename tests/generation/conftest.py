"""A generator over a small random model: everything but the text encoder is the real thing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from backend.data.schema import Dataset
from backend.generation.generator import Generator
from backend.model.sigma import SigmaModel
from tests.small import small_model

Make = Callable[..., Generator]


@pytest.fixture(scope="session")
def make(tiny_dataset: Dataset) -> Make:
    """Make a generator: `make()`, `make(prefix_levels=2)`, `make(model=…)`."""

    def call(model: SigmaModel | None = None, **changes: Any) -> Generator:
        model = model or small_model(tiny_dataset, seed=5, **changes)
        return Generator(model, tiny_dataset)

    return call


@pytest.fixture(scope="session")
def generator(make: Make) -> Generator:
    """The plain recipe: one SID level and a soft token."""
    return make()
