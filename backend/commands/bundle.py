"""A shippable copy of a workspace: what the demo in `assets/` is made by.

    python -m backend.commands.bundle WORKSPACE [TARGET]        # TARGET: assets/demo

The copy holds what this project trained and measured, and no table of the benchmark: its dataset stage is the recipe and the content hash, from
which the tables are made when it is opened. Per-example evaluation rows stay behind (they are large and name households). The copy also holds
ready-made maps for the Latent space page. Examples for the Fusion page hold what households bought: they are prepared where they are used.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from backend.commands.bars import show
from backend.data.store import dataset_settings, write_dataset
from backend.errors import SigmascopeError, WorkspaceError
from backend.inspection.atlas_files import ship
from backend.workbench import Workbench
from backend.workspace import DEMO, Workspace

MAX_BYTES = 30 * 2**20
_LEFT_BEHIND = {"examples.parquet"}
_WHERE_THERE = ("judge", "policy")  # they go along where they were made and fit


def bundle(source: Workspace, target: Path) -> int:
    """Write the copy, whole or not at all; returns its size in bytes.

    Raises:
        WorkspaceError: a stage is missing or stale, or the copy is larger than 30 MiB.
    """
    for stage in ("grounding", "tokens", "model", "evaluation"):
        source.fresh_stage(stage)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        copy = Workspace(Path(folder) / "copy")
        write_dataset(copy, dataset_settings(source), keep_tables=False)
        if copy.stage("dataset").fingerprint != source.stage("dataset").fingerprint:
            raise WorkspaceError("the source's tables are not what its settings make now", str(source.path), "build it again")
        further = [stage for stage in _WHERE_THERE if source.has(stage) and not source.stale(stage)]
        for stage in ("grounding", "tokens", "model", "evaluation", *further):
            shutil.copytree(source.path / stage, copy.path / stage, ignore=lambda _, names: _LEFT_BEHIND & set(names))
        ship(Workbench(source).space, copy.path / "atlas")  # maps would otherwise be laid out at first sight
        (copy.path / ".lock").unlink(missing_ok=True)
        size = sum(path.stat().st_size for path in copy.path.rglob("*") if path.is_file())
        if size > MAX_BYTES:
            raise WorkspaceError(f"the copy has {size / 2**20:.1f} MiB, more than {MAX_BYTES / 2**20:.0f}", str(source.path))
        shutil.rmtree(target, ignore_errors=True)
        copy.path.rename(target)
    return size


def main() -> int:
    """Bundle the workspace named on the command line."""
    try:
        size = bundle(Workspace.open(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else DEMO)
    except (SigmascopeError, IndexError) as error:
        show(sys.stderr, str(error) or str(__doc__))
        return 1
    show(sys.stdout, f"{size / 2**20:.1f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
