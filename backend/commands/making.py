"""`build` and `train`: making the stages of a workspace."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from backend.commands.aligning import align
from backend.commands.bars import bars, show, write_json
from backend.commands.looking import stage_table
from backend.commands.options import LATER, settings_of
from backend.errors import RequestError
from backend.progress import CancelToken

if TYPE_CHECKING:
    from backend.settings import Settings
    from backend.workspace import Workspace


def build(args: argparse.Namespace, out: TextIO, cancel: CancelToken) -> None:
    """`build`: dataset, grounding and tokens."""
    if args.source in ("amazon", "movielens"):
        raise RequestError(f"the source {args.source!r} cannot be read yet", "--source", LATER)
    settings = settings_of(args)
    from backend.workspace import DEMO, Workspace

    folder = Path(args.workspace)
    workspace = Workspace(folder, read_only=folder.resolve() == DEMO.resolve())
    workspace.check_writable()
    from backend import pipeline

    with bars() as report:
        pipeline.build(workspace, settings, report, cancel)
    _made(args, out, ("dataset", "grounding", "tokens"), f"next: python -m backend train --workspace {args.workspace}")


def train(args: argparse.Namespace, out: TextIO, cancel: CancelToken) -> None:
    """`train`: the model; with --recipe sgrec, what comes on top of it."""
    if args.recipe == "sgrec":
        align(args, out, cancel)
        return
    settings = settings_of(args)
    from backend.data.store import dataset_settings
    from backend.workspace import Workspace

    workspace = Workspace.open(args.workspace)
    workspace.check_writable()
    workspace.fresh_stage("grounding" if args.recipe == "jd" else "tokens")
    # the tables are what they are: the same dates and source as when they were built
    settings = settings.model_copy(update={"data": dataset_settings(workspace)})
    if args.recipe == "jd":
        _train_jd(args, out, cancel, workspace, settings)
        return
    from backend import pipeline

    with bars() as report:
        pipeline.train(workspace, settings, report, cancel, resume=args.resume)
    _made(args, out, ("model",), f"next: python -m backend evaluate --workspace {args.workspace}")


def _train_jd(args: argparse.Namespace, out: TextIO, cancel: CancelToken, workspace: Workspace, settings: Settings) -> None:
    """The second recipe's stage."""
    from backend.jd_stage import train_jd

    if getattr(args, "backbone", None):
        settings = settings.model_copy(update={"jd": settings.jd.model_copy(update={"backbone": args.backbone})})
    with bars() as report:
        train_jd(workspace, settings, report, cancel, resume=args.resume)
    _made(args, out, ("jd",), f"next: python -m backend evaluate --recipe jd --workspace {args.workspace}")


def _made(args: argparse.Namespace, out: TextIO, stages: Sequence[str], following: str) -> None:
    """Say what was made: the stages as `info` shows them."""
    from backend.inspection.health import inspect
    from backend.workspace import Workspace

    found = {name: stage for name, stage in inspect(Workspace.open(args.workspace)).stages.items() if name in stages}
    if args.json:
        write_json(out, {"workspace": str(args.workspace), "stages": {name: vars(stage) for name, stage in found.items()}})
        return
    show(out, stage_table(found), "", following)
