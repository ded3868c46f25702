"""The maps that a workspace ships with: made once, copied beside its stages, so that the first visitor waits for nothing.

Every file is known by the fingerprint of the stage that it was made from: what a changed stage leaves behind is never read.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from backend.grounding.atlas import AtlasSettings
from backend.inspection.space import LatentSpace
from backend.inspection.vectors import SPACES
from backend.progress import CancelToken, Report, silent


def ship(space: LatentSpace, folder: Path, report: Report = silent, cancel: CancelToken | None = None) -> int:
    """Make what is missing of maps, names, neighbours, text vectors and report, and copy it into a folder; returns bytes.

    Raises:
        SigmascopeError: a stage is missing, or UMAP failed.
        Cancelled: asked to stop.
    """
    settings, names = AtlasSettings(), []
    space.prepare(settings, list(SPACES), report, cancel)
    if space.report() is None:
        space.make_report(report, cancel)
    for name in SPACES:
        source = space.vectors.source(name)
        names += [settings.name(name, source), f"regions-{settings.name(name, source)}", f"nearest-{name}-{source}"]
    names += [f"text-{space.vectors.source('text')}", space.report_name()]
    folder.mkdir(parents=True, exist_ok=True)
    size = 0
    for name in names:
        found = next(path for suffix in ("parquet", "safetensors", "json") if (path := space.shelf.find(f"{name}.{suffix}")))
        target = folder / found.name
        if target.resolve() != found.resolve():
            shutil.copyfile(found, target)
        target.chmod(0o644)
        size += target.stat().st_size
    return size
