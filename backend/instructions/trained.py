"""Which tasks a workspace's model was trained on, and their rules over its dataset."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backend.data.schema import Dataset
from backend.errors import RequestError
from backend.instructions.catalogue import Catalogue, prepare
from backend.instructions.demand import DemandReader
from backend.instructions.facts import Facts
from backend.instructions.index import ItemIndex
from backend.instructions.task import CountedTask, Task
from backend.instructions.tasks import registry, task_classes
from backend.instructions.themed import Holiday, by_meaning
from backend.settings import TrainSettings
from backend.workspace import Workspace


def trained_tasks(workspace: Workspace) -> tuple[str, ...]:
    """Names of the tasks that the model was trained on; the default's where there is no model."""
    default = TrainSettings().tasks
    if not workspace.has("model"):
        return default
    settings = workspace.stage("model").manifest.get("settings", {})
    return tuple(settings.get("train", {}).get("tasks") or default)


def reader_of(workspace: Workspace, catalogue: Catalogue) -> DemandReader | None:
    """The reader of demands of the workspace's model; None where there is no model of the first recipe.

    Raises:
        WorkspaceError: the model was trained by an older version, or is damaged.
    """
    if not workspace.has("model"):
        return None
    return DemandReader(workspace.stage("model").arrays("demand"), trained_tasks(workspace), catalogue)


def further_examples(workspace: Workspace) -> list[str]:
    """An instruction of each task that the model was trained on beyond the first four, whose examples take names of the catalogue
    (`Lookup.suggestions`)."""
    names = trained_tasks(workspace)
    return [task.example for task in task_classes() if task.name in names and issubclass(task, CountedTask)]


def tasks_of(workspace: Workspace, dataset: Dataset, counted: np.ndarray, names: Sequence[str] | None = None) -> dict[str, Task]:
    """The rules of some tasks, in the order of `names`.

    Args:
        counted: events that the rules may count, the training period's. Shape: (n_events,) bool
        names: None = those that the model was trained on.

    Raises:
        RequestError: there is no task of that name.
    """
    names = trained_tasks(workspace) if names is None else names
    classes = {task.name: task for task in task_classes()}
    for name in names:
        if name not in classes:
            raise RequestError(f"unknown task {name[:40]!r}", "train.tasks", f"choose from: {', '.join(classes)}")
    index = ItemIndex(dataset)
    if not any(issubclass(classes[name], CountedTask) for name in names):
        tasks = registry(dataset, index)
    else:
        tasks = registry(dataset, index, open_facts(workspace, dataset, counted, index, Holiday.name in names))
    return {name: tasks[name] for name in names}


def open_facts(workspace: Workspace, dataset: Dataset, counted: np.ndarray, index: ItemIndex, meant: bool = True) -> Facts:
    """Facts of a workspace's dataset; `meant` = with the pools by meaning, which need the sentence encoder."""
    if not meant:
        return Facts(dataset, counted)
    from backend.grounding import encoders  # heavy, and most callers only want names

    stored = workspace.stage("grounding").arrays("names")["vectors"].astype(np.float32) if workspace.has("grounding") else None
    catalogue = prepare(dataset, encoders.shared_text_encoder().encode, stored)
    return Facts(dataset, counted, by_meaning(catalogue, index))
