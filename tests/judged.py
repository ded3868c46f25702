"""A judge that scores by what it is told: equal moments get equal scores, any other moment gets others."""

from __future__ import annotations

import zlib

import numpy as np

from backend.generation.judged import Moment


class FakeJudge:
    """Random scores, drawn from a hash of everything that a moment says."""

    def __init__(self, n_items: int, missing: str = "") -> None:
        self.n_items, self.why = n_items, missing
        self.asked: list[Moment] = []

    def missing(self) -> str:
        return self.why

    def fingerprint(self) -> str:
        return "" if self.why else "a judge"

    def scores(self, moment: Moment) -> np.ndarray:
        self.asked.append(moment)
        told = [moment.user, moment.day, moment.items.tolist(), np.round(moment.days, 4).tolist(), np.diff(moment.steps).tolist()]
        return np.random.default_rng(zlib.crc32(str(told).encode())).uniform(0.2, 0.8, self.n_items)
