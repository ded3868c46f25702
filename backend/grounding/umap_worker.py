"""UMAP in a process of its own: `python -m backend.grounding.umap_worker FOLDER`.

A process, because the first projection compiles for tens of seconds while it holds the interpreter (the app would stand
still), because it can be ended at any moment, and because the compiler's memory goes with it.

- Reads `FOLDER/input.safetensors` (of each space `<space>.vectors`, `.rows`, `.cos`: its exact neighbours, so that UMAP need not
  search) and `FOLDER/settings.json`; writes `<space>.safetensors` with `xy`, whole or not at all.
- Every line on standard output is `space done total`, in epochs.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file


class _Epochs:
    """A file that tqdm writes its bar to: hands on the numbers only."""

    def __init__(self, space: str) -> None:
        self.space = space

    def write(self, text: str) -> None:
        """Tell how far it is."""
        done, _, total = text.strip().partition("/")
        if done.isdigit() and total.isdigit():
            print(self.space, done, total, flush=True)

    def flush(self) -> None:
        """Nothing is held back."""


def _keep_nothing_on_disk() -> None:
    """UMAP asks numba to keep what it compiled; the index of that cache is a pickle, so none is read or written in this process. What is
    compiled anew either way takes most of the time: 104 s with a filled cache, 115 s without one, on a busy machine."""
    from numba.core.dispatcher import Dispatcher

    Dispatcher.enable_caching = lambda self: None  # type: ignore[method-assign]


def project(vectors: np.ndarray, rows: np.ndarray, cos: np.ndarray, n_neighbors: int, min_dist: float, seed: int,
            space: str = "") -> np.ndarray:  # fmt: skip
    """The map of one space.

    Shape:
        vectors: (n, dim) unit norm; rows, cos: (n, k) exact neighbours, the item itself left out; returns: (n, 2) float32.
    """
    _keep_nothing_on_disk()
    import umap

    n = len(vectors)
    k = min(n_neighbors, rows.shape[1] + 1, n - 1)
    if k < 2 or n < 5:  # too few for a graph: a row of points
        return np.stack([np.arange(n), np.zeros(n)], axis=1).astype(np.float32)
    own = np.arange(n, dtype=np.int64)[:, None]
    indices = np.concatenate([own, rows], axis=1)[:, :k].astype(np.int64)  # UMAP counts the item as its own first neighbour
    distances = np.concatenate([np.zeros((n, 1)), 1 - cos], axis=1)[:, :k].clip(0).astype(np.float32)
    bar = {"file": _Epochs(space), "bar_format": "{n_fmt}/{total_fmt}", "mininterval": 0.2, "disable": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that new points cannot be transformed: they are placed among their neighbours here
        model = umap.UMAP(
            n_neighbors=k, min_dist=min_dist, metric="cosine", random_state=seed, n_jobs=1, tqdm_kwds=bar, verbose=False,
            precomputed_knn=(indices, distances), init="spectral" if n > 50 else "random",
        )  # fmt: skip
        return np.asarray(model.fit_transform(vectors), np.float32)


def main(folder: Path) -> None:
    """Project every space of the folder, one after another."""
    arrays, settings = load_file(folder / "input.safetensors"), json.loads((folder / "settings.json").read_text("utf-8"))
    for space in dict.fromkeys(name.split(".")[0] for name in sorted(arrays)):
        print(space, 0, 1, flush=True)
        vectors, rows, cos = (arrays[f"{space}.{part}"] for part in ("vectors", "rows", "cos"))
        xy = project(vectors, rows, cos, settings["n_neighbors"], settings["min_dist"], settings["seed"], space)
        save_file({"xy": xy}, folder / f".{space}.safetensors")
        os.replace(folder / f".{space}.safetensors", folder / f"{space}.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
