"""Invented vectors and maps for the Latent space page, over the invented catalogue; laid out already unless told otherwise."""

from __future__ import annotations

import zlib

import numpy as np
import pandas as pd

from backend.grounding.atlas import AtlasSettings
from backend.grounding.neighbours import normalised
from backend.inspection.space import LatentSpace
from backend.inspection.vectors import SPACES, Vectors, kept_prefixes
from backend.progress import CancelToken, Report, silent
from backend.workbench import Recommendation
from tests.pages.fake import FakeWorkbench

_COLUMNS = {"text": "type", "id": "department", "grounded": "category", "fused": "category"}  # what lies together in which space
_DIM = 16


class FakeVectors(Vectors):
    """Items of one type (department, category) lie together; the last item was never bought."""

    def quick(self, space: str) -> bool:
        return True

    def load(self, space: str, report: Report = silent, cancel: CancelToken | None = None) -> np.ndarray:
        items = self._dataset().items
        rng = np.random.default_rng(zlib.crc32(space.encode()))
        rows = np.stack([self._of(name) for name in items[_COLUMNS[space]]]) + 0.08 * rng.normal(size=(len(items), _DIM))
        if space == "id":
            rows[-1] = 0
        return normalised(rows)

    def of_text(self, space: str, text: str) -> np.ndarray | None:
        return None if space == "id" else normalised(self._of(text)[None])

    def queries(self, answer: Recommendation) -> np.ndarray:
        return normalised(np.stack([self._of(name) for name in kept_prefixes(answer)["prefix"]]))

    def sids(self) -> np.ndarray:
        return self._generator().sids

    def _of(self, name: str) -> np.ndarray:
        return np.random.default_rng(zlib.crc32(name.encode())).normal(size=_DIM) / 4


def fake_space(bench: FakeWorkbench, laid_out: bool = True) -> LatentSpace:
    """The spaces of a workbench, with maps on the shelf (call with a cache folder of the test's own)."""
    vectors = FakeVectors(bench.workspace, lambda: bench.dataset, bench.generator, lambda: bench.ready)
    space = LatentSpace(vectors, lambda: bench.dataset, bench.lookup.people.user_row)
    bench._space = space
    if laid_out:
        settings = AtlasSettings()
        for name in SPACES:
            flat = vectors.load(name)[:, :2]
            if name == "id":
                flat[-1] = np.nan
            space.shelf.put_table(settings.name(name, vectors.source(name)), pd.DataFrame(flat, columns=["x", "y"]))
    return space
