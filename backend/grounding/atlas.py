"""The atlas: a flat map (UMAP) of each space, to look at; never to measure on.

- Settings are chosen before anything is computed; one seed; the same settings give the same map.
- A map is laid out over the exact cosine neighbours (faiss), in a process of its own (see `umap_worker`): a cancel ends it at once.
- Above `max_points` items a stratified sample is laid out, every department in proportion and none left out; the others have no
  place (NaN) and pages say "showing n of N".
- Whatever was not laid out (a typed text, a query vector h_k, an item of no sample) is placed at the weighted mean of its nearest
  laid-out neighbours in the original space: UMAP's own transform takes seconds, and means the same to the eye.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field
from safetensors.numpy import load_file, save_file

from backend.errors import WorkspaceError
from backend.grounding.neighbours import Index, neighbour_lists, present
from backend.progress import CancelToken, Progress, Report, silent
from backend.settings import Frozen
from backend.workspace import fingerprint

_ROOT = Path(__file__).resolve().parents[2]
_WORKER = ("-m", "backend.grounding.umap_worker")
_PLACED_BY = 8  # neighbours that place a point
_SHARPNESS = 30.0  # weight e^(30·cos): a neighbour that is nearer by 0.1 counts twenty times


class AtlasSettings(Frozen):
    """How a map is laid out."""

    n_neighbors: int = Field(30, ge=2, le=200)  # few: fine structure; many: the large picture
    min_dist: float = Field(0.4, ge=0, le=0.99)  # how tightly points may be packed
    seed: int = Field(7, ge=0, le=2**31 - 1)  # of UMAP and of the sample
    metric: Literal["cosine"] = "cosine"  # in every space: that is what the model itself compares by
    max_points: int = Field(100_000, ge=100)  # more items than this are sampled

    def name(self, space: str, source: str) -> str:
        """The file of a map: space, and hash of these settings and of the stage that the vectors come from."""
        return f"map-{space}-{fingerprint({**self.model_dump(), 'source': source})}"


def stratified(groups: pd.Series, most: int, seed: int) -> np.ndarray:
    """At most `most` rows, every group in proportion and (where there is room) none left out; ascending.

    Shape:
        groups: (n,) labels; returns: (min(n, most),) rows.
    """
    n = len(groups)
    if n <= most:
        return np.arange(n)
    codes = pd.factorize(groups)[0]
    count = np.bincount(codes)
    wanted = count * (most / n)
    quota = np.maximum(np.floor(wanted).astype(int), 1) if len(count) <= most else np.zeros(len(count), int)
    rest = np.argsort(-(wanted - quota), kind="stable")  # largest remainder
    while quota.sum() < most:
        free = rest[quota[rest] < count[rest]][: most - quota.sum()]
        quota[free] += 1
    while quota.sum() > most:  # the many small groups of one took more than their share
        quota[np.argmax(quota)] -= 1
    order = np.random.default_rng(seed).permutation(n)
    within = pd.Series(codes[order]).groupby(codes[order]).cumcount().to_numpy()  # the row's place inside its group
    return np.sort(order[within < quota[codes[order]]])


def project(
    spaces: Mapping[str, np.ndarray],
    groups: pd.Series,
    settings: AtlasSettings,
    report: Report = silent,
    cancel: CancelToken | None = None,
) -> dict[str, np.ndarray]:
    """Lay out maps, all in one process so that UMAP compiles once.

    Args:
        spaces: vectors by name. Shape: (n, dim), unit norm or zero.
        groups: what the sample is stratified by. Shape: (n,).

    Shape:
        returns: by name (n, 2) float32, NaN where an item is not in the space or not in the sample.

    Raises:
        Cancelled: asked to stop.
        WorkspaceError: the process ended without a map.
    """
    arrays: dict[str, np.ndarray] = {}
    shown: dict[str, np.ndarray] = {}
    for name, vectors in spaces.items():
        rows = np.flatnonzero(present(vectors))
        rows = rows[stratified(groups.iloc[rows], settings.max_points, settings.seed)]
        index = Index(vectors[rows])
        k = max(1, min(settings.n_neighbors, len(rows)) - 1)
        near, cos = neighbour_lists(index, k, report, cancel, f"neighbours of {name}")
        arrays |= {f"{name}.vectors": index.vectors, f"{name}.rows": near, f"{name}.cos": cos}
        shown[name] = rows
    laid = _run(arrays, settings, report, cancel)
    out = {}
    for name, rows in shown.items():
        out[name] = np.full((len(spaces[name]), 2), np.nan, np.float32)
        out[name][rows] = laid[name]
    return out


def place(queries: np.ndarray, index: Index, xy: np.ndarray) -> np.ndarray:
    """Where vectors of a space lie on its map: the mean of their nearest laid-out neighbours, weighted by e^(30·cos).

    Shape:
        queries: (q, dim); xy: (n, 2), NaN where not laid out; returns: (q, 2), NaN where there is no neighbour on the map.
    """
    rows, cos = index.nearest(queries, 4 * _PLACED_BY)
    there = (rows >= 0) & np.isfinite(xy[np.maximum(rows, 0), 0])
    there &= np.cumsum(there, axis=1) <= _PLACED_BY
    top = np.max(np.where(there, cos, -np.inf), axis=1, keepdims=True, initial=-1.0)
    weight = np.where(there, np.exp(_SHARPNESS * (np.where(there, cos, 0.0) - top)), 0.0)
    total = weight.sum(axis=1, keepdims=True)
    mean = np.einsum("qk,qkd->qd", weight, np.nan_to_num(xy[np.maximum(rows, 0)]))
    return np.where(total > 0, mean / np.maximum(total, 1e-30), np.nan)


def _run(arrays: Mapping[str, np.ndarray], settings: AtlasSettings, report: Report,
         cancel: CancelToken | None) -> dict[str, np.ndarray]:  # fmt: skip
    """Run the worker and read its maps."""
    with tempfile.TemporaryDirectory(prefix="sigmascope-atlas-") as name:
        folder = Path(name)
        save_file({key: np.ascontiguousarray(value) for key, value in arrays.items()}, folder / "input.safetensors")
        (folder / "settings.json").write_text(json.dumps(settings.model_dump()), "utf-8")
        with (folder / "log").open("w+", encoding="utf-8") as log:
            command = [sys.executable, *_WORKER, str(folder)]
            worker = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
            ended = threading.Event()
            guard = threading.Thread(target=_end_when_cancelled, args=(worker, cancel, ended), daemon=True)
            guard.start()
            try:
                for line in worker.stdout or ():
                    space, done, total = line.split()
                    message = f"{space}: starting" if int(total) == 1 else f"{space}: epochs"
                    report(Progress("map", int(done), int(total), message))
                worker.wait()
            finally:
                ended.set()
                worker.kill()  # nothing is left behind, whatever happened here
                worker.wait()
            if cancel:
                cancel.check()
            if worker.returncode:
                log.seek(0)
                reason = (log.read().strip().splitlines() or ["no message"])[-1][:200]
                raise WorkspaceError("the map could not be laid out", "umap", reason)
        spaces = dict.fromkeys(key.split(".")[0] for key in arrays)
        return {space: load_file(folder / f"{space}.safetensors")["xy"] for space in spaces}


def _end_when_cancelled(worker: subprocess.Popen[str], cancel: CancelToken | None, ended: threading.Event) -> None:
    """Kill the worker as soon as somebody asks to stop, in the middle of a compile too."""
    while not ended.wait(0.2):
        if cancel and cancel.cancelled:
            worker.kill()
            return
