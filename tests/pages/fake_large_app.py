"""The app over 110,000 invented items in two spaces, laid out already: `streamlit run tests/pages/fake_large_app.py` (SIGMASCOPE_CACHE set)."""

from __future__ import annotations

import runpy
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from backend import workbench  # noqa: E402
from backend.data import schema as s  # noqa: E402
from backend.grounding.atlas import AtlasSettings, stratified  # noqa: E402
from backend.grounding.neighbours import normalised  # noqa: E402
from backend.inspection.space import LatentSpace  # noqa: E402
from backend.inspection.vectors import SPACES  # noqa: E402
from backend.progress import CancelToken, Report, silent  # noqa: E402
from tests.pages.fake import FakeWorkbench  # noqa: E402
from tests.pages.fake_space import _COLUMNS, _DIM, FakeVectors  # noqa: E402

N = 110_000


class LargeVectors(FakeVectors):
    """As the invented ones, all rows at once."""

    def load(self, space: str, report: Report = silent, cancel: CancelToken | None = None) -> np.ndarray:
        codes, names = pd.factorize(self._dataset().items[_COLUMNS[space]])
        centre = np.stack([self._of(name) for name in names])
        return normalised(
            centre[codes] + 0.08 * np.random.default_rng(zlib.crc32(space.encode())).normal(size=(len(codes), _DIM))
        )


def large() -> FakeWorkbench:
    """The invented catalogue many times over, with maps of the stratified 100,000 on the shelf."""
    bench = FakeWorkbench()
    few = bench.dataset.items
    items = pd.concat([few] * (N // len(few) + 1), ignore_index=True).head(N)
    items[s.ITEM] = [f"i{row:06d}" for row in range(N)]
    data = replace(bench.dataset, items=items)
    bench._load_dataset, bench._dataset = (lambda _: data), data
    vectors = LargeVectors(bench.workspace, lambda: bench.dataset, bench.generator, lambda: bench.ready)
    bench._space = LatentSpace(vectors, lambda: bench.dataset, bench.lookup.people.user_row)
    settings = AtlasSettings()
    shown = stratified(items[s.DEPARTMENT], settings.max_points, settings.seed)
    for name in SPACES:
        flat = np.full((N, 2), np.nan, np.float32)
        flat[shown] = vectors.load(name)[shown, :2]
        stem = settings.name(name, vectors.source(name))
        bench.space.shelf.put_table(stem, pd.DataFrame(flat, columns=["x", "y"]))
        middle = pd.DataFrame(flat, columns=["x", "y"]).groupby(items[s.CATEGORY].to_numpy()).median()
        bench.space.shelf.put_table(f"regions-{stem}", middle.assign(n=1, share=1.0).rename_axis("label").reset_index())
    return bench


if __name__ == "__main__":
    made = large()
    workbench.Workbench.open = classmethod(lambda cls, path=None: made)
    runpy.run_path(str(ROOT / "app.py"), run_name="__main__")
