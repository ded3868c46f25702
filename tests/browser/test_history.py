"""Back and forward on every page, over the invented workbench: one press is one step, the page before included, and a reload keeps it all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest

from tests.browser.conftest import LONG
from tests.browser.plots import settled


@dataclass(frozen=True)
class Step:
    """A page, a choice on it, and what the address then holds."""

    page: str
    title: str
    role: str
    name: str
    told: str


STEPS = (
    Step("recommend", "Recommend", "radio", "Compose", "basket="),
    Step("semantic_ids", "Semantic IDs", "radio", "icicle", "kind=icicle"),
    Step("latent_space", "Latent space", "switch", "Density", "density=1"),
    Step("fusion", "Fusion", "slider", "Popularity", "wpop="),
    Step("evidence", "Evidence", "radio", "Speed", "section=Speed"),
)
