"""Workspaces of variants: what a variant shares with the workspace is linked, what its settings touch is made, and its model trained.

- Stages are never written in place, so their files can be hard links: sharing costs no disk, and neither side can change the other.
- A variant's folder is an ordinary workspace: it can be opened, evaluated and asked like any other.
- Whatever is there and fresh is kept, a half-trained model goes on from its checkpoint: starting again is always safe.
"""

from __future__ import annotations

import os
import re
import shutil
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from backend import pipeline
from backend.data.store import dataset_settings
from backend.errors import WorkspaceError
from backend.progress import CancelToken, Report, silent
from backend.settings import GroundingSettings, ModelSettings, Settings, TokenSettings, TrainSettings
from backend.workspace import INPUTS, Workspace

_SHARED = ("dataset", "grounding", "tokens", "model")


def settings_of(workspace: Workspace) -> Settings:
    """The settings that a workspace was built and trained with, read from its stages.

    Raises:
        WorkspaceError: a stage is missing, stale, or holds settings that this program does not know.
    """
    own = {name: workspace.fresh_stage(name).manifest for name in _SHARED}
    trained = own["model"]["settings"]
    try:
        return Settings(
            seed=trained["seed"],
            data=dataset_settings(workspace),
            grounding=GroundingSettings(**_without_seed(own["grounding"]["settings"])),
            tokens=TokenSettings(**_without_seed(own["tokens"]["settings"])),
            model=ModelSettings(**trained["model"]),
            train=TrainSettings(**trained["train"]),
        )
    except (KeyError, ValidationError) as error:
        raise WorkspaceError(
            "the workspace's settings cannot be read", str(workspace.path), "build and train it again"
        ) from error


def _without_seed(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != "seed"}


def folder_name(name: str, seed: int | None = None) -> str:
    """A variant's folder: plain letters that any file system takes."""
    plain = name.replace("ℓ", "l").replace("¼", "quarter").replace("½", "half").replace("×", "x")
    plain = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-") + (f"-seed{seed}" if seed is not None else "")


def share(base: Workspace, target: Workspace, settings: Settings) -> list[str]:
    """Link the stages that the target's settings leave as they are in the base; returns their names.

    Raises:
        WorkspaceError: the folder cannot be written.
    """
    target.check_writable()
    wanted = {
        "dataset": base.stage("dataset").manifest["settings"],
        "grounding": {**settings.grounding.model_dump(mode="json"), "seed": base.stage("grounding").manifest["settings"]["seed"]},
        "tokens": {**settings.tokens.model_dump(mode="json"), "seed": base.stage("tokens").manifest["settings"]["seed"]},
        "model": pipeline.model_settings(settings),
    }
    shared = []
    for name in _SHARED:
        ours = base.stage(name)
        if ours.manifest["settings"] != wanted[name] or any(source not in shared for source in INPUTS[name]):
            continue
        link(base, target, name)
        shared.append(name)
    return shared


def link(base: Workspace, target: Workspace, name: str) -> None:
    """A stage of the base in the target too, unless it is there already."""
    ours = base.stage(name)
    if not (target.has(name) and target.stage(name).fingerprint == ours.fingerprint):
        _link(ours.path, target.path / name)


def _link(source: Path, target: Path) -> None:
    """A stage's folder again, with the same files; copied where the file system cannot link."""
    temporary = target.with_name(f".{target.name}-shared")
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(source, temporary, copy_function=_link_or_copy)
    shutil.rmtree(target, ignore_errors=True)
    temporary.rename(target)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def make(
    base: Workspace,
    folder: Path,
    settings: Settings,
    report: Report = silent,
    cancel: CancelToken | None = None,
) -> Workspace:
    """A variant's workspace, built and trained as far as that is not done yet.

    Args:
        settings: the variant's; their seed trains, what stands before the model keeps the base's seed.

    Raises:
        SigmascopeError: the base lacks a stage, weights are missing, the folder cannot be written.
        Cancelled: asked to stop; finished stages and the steps done stay.
    """
    target = Workspace(folder)
    share(base, target, settings)
    upstream = settings.model_copy(update={"seed": base.stage("grounding").manifest["settings"]["seed"]})
    pipeline.build(target, upstream, report, cancel)
    pipeline.train(target, settings, report, cancel, resume=True)
    return target
