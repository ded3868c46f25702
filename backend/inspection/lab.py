"""The fusion lab of a workspace: where its stored examples are, and how they are made.

- They lie in the cache folder, where `prepare` puts them, by the fingerprint of the model's stage: a model that was trained again has no lab
  until it is prepared again. No stage holds them, since they are what households bought.
- Opening one needs tables and item vectors, not the model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from backend.data.prices import log_price
from backend.data.schema import Dataset
from backend.errors import WorkspaceError
from backend.evaluation import lab_store
from backend.evaluation.fusion_lab import FusionLab, Scores, moved
from backend.evaluation.lab_cases import CANDIDATES, SPLITS, LabCases
from backend.evaluation.metrics import catalogue
from backend.evaluation.optimise import optimise
from backend.evaluation.rescoring import ready
from backend.evaluation.why_moved import Why, why
from backend.progress import CancelToken, Report, silent
from backend.settings import FusionSettings
from backend.workspace import Workspace

if TYPE_CHECKING:
    from backend.generation.generator import Generator

__all__ = ["FusionLab", "Scores", "Why", "make", "moved", "open_labs", "optimise", "prepare", "stored", "why"]
HOUSEHOLDS, MOST = 300, 3000  # of each split that are prepared: usual, largest number
SEED = 7


def stored(workspace: Workspace) -> LabCases | None:
    """The stored examples of the workspace's model; None where there are none.

    Raises:
        WorkspaceError: no model stage, or the files are damaged.
    """
    return lab_store.load_lab(lab_store.cached(workspace.stage("model").fingerprint))


def open_labs(workspace: Workspace, dataset: Dataset) -> dict[str, FusionLab] | None:
    """The labs by split ("validation", "test"), ready to re-rank; None where no examples are stored.

    Raises:
        WorkspaceError: a stage is missing or damaged.
    """
    from backend.data.split import split
    from backend.data.store import dataset_settings

    cases = stored(workspace)
    if cases is None:
        return None
    ready()
    vectors = workspace.stage("grounding").arrays("vectors")["text"].astype(np.float32)
    facts = catalogue(dataset, split(dataset, dataset_settings(workspace)).train_events, vectors)
    price = log_price(dataset)
    labs: dict[str, FusionLab] = {name: FusionLab(cases.of(name), facts, price, SEED) for name in SPLITS}
    return {name: lab for name, lab in labs.items() if len(lab)}


def make(
    workspace: Workspace,
    generator: Generator,
    shipped: FusionSettings,
    households: int,
    candidates: int = CANDIDATES,
    report: Report = silent,
    cancel: CancelToken | None = None,
) -> LabCases:
    """Ask the model about the validation and test examples of so many households of each split.

    Raises:
        WorkspaceError: the windows hold no basket.
        Cancelled: asked to stop.
    """
    from backend.data.split import split
    from backend.data.store import dataset_settings
    from backend.evaluation.cases import build_cases
    from backend.evaluation.components import compute
    from backend.evaluation.lab_build import build
    from backend.instructions.trained import tasks_of

    dataset = generator.dataset
    parts = split(dataset, dataset_settings(workspace))
    tasks = tasks_of(workspace, dataset, parts.train_events)
    made: LabCases | None = None
    windows: tuple[tuple[Literal["validation", "test"], pd.DataFrame], ...] = (
        ("validation", parts.validation),
        ("test", parts.test),
    )
    for name, frame in windows:
        cases = build_cases(dataset, frame.head(households), tasks, SEED)
        if cases:
            components = compute(generator, cases, report=report, cancel=cancel)
            own = build(generator, components, cases, name, shipped, candidates, len(frame), report, cancel)
            made = own if made is None else made.joined(own)
    if made is None:
        raise WorkspaceError("no basket to evaluate on", str(workspace.path), "its windows hold no basket large enough")
    return made


def prepare(
    workspace: Workspace,
    generator: Generator,
    shipped: FusionSettings,
    households: int = HOUSEHOLDS,
    report: Report = silent,
    cancel: CancelToken | None = None,
) -> LabCases:
    """Make the examples and keep them in the cache folder.

    Raises:
        WorkspaceError: no basket to evaluate on, or the disk is full.
        Cancelled: asked to stop; nothing is kept.
    """
    made = make(workspace, generator, shipped, min(households, MOST), report=report, cancel=cancel)
    lab_store.keep(made, workspace.stage("model").fingerprint)
    return made
