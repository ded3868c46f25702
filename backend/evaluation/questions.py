"""What a model is asked: one split's cases, fair to what it was trained without, and the validation cases that its fusion is tuned on.

Every measurement of a workspace asks the same questions for the same split, seed and limit, so their figures can be laid side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from backend.data.schema import Dataset
from backend.data.seasons import SeasonSplit
from backend.data.split import Split, split
from backend.data.store import dataset_settings, open_dataset
from backend.errors import RequestError, WorkspaceError
from backend.evaluation.cases import Case, build_cases
from backend.evaluation.seasons import SEASONAL, season_cases, trained_without
from backend.instructions.task import Task
from backend.instructions.trained import tasks_of
from backend.progress import Report, silent
from backend.workspace import Workspace

SplitName = Literal["validation", "test"]
TUNING_HOUSEHOLDS = 600  # validation households that the fusion weights are chosen on


@dataclass(frozen=True)
class Questions:
    """Cases of a workspace.

    Attributes:
        parts: the split in time; where households were held out of training, their training events are gone from it, so that
            baselines may not know what the model may not.
        tasks: the tasks that the model was trained on.
        usual: those of them that are asked about time's held-out baskets (the seasonal ones may be asked of held-out households).
        examples: the split's baskets that `asked` was made from, without those of held-out households.
        fair: the households that the model was trained without; None where it knows all.
    """

    split: SplitName
    dataset: Dataset
    parts: Split
    tasks: Mapping[str, Task]
    usual: Mapping[str, Task]
    examples: pd.DataFrame
    fair: SeasonSplit | None
    validation: list[Case]
    asked: list[Case]
    seed: int

    def worded(self, held_out: bool) -> list[Case]:
        """The split's cases in wordings that training did not see (`asked`), or in those that it saw; everything else is the same."""
        return _cases(self.dataset, self.examples, self.tasks, self.usual, self.fair, self.seed, held_out)


def questions(
    workspace: Workspace, split_name: SplitName = "test", limit: int | None = None, seed: int = 7, report: Report = silent
) -> Questions:
    """The questions of a workspace.

    Args:
        limit: at most this many households (for a first look); None = all.

    Raises:
        RequestError: unknown split.
        WorkspaceError: a stage is missing, stale or damaged, or its windows hold no basket.
    """
    if split_name not in ("validation", "test"):
        raise RequestError(f"unknown split {split_name!r}")
    dataset = open_dataset(workspace, report)
    parts = split(dataset, dataset_settings(workspace))
    fair = trained_without(workspace, dataset, parts)
    tasks = tasks_of(workspace, dataset, fair.counted if fair else parts.train_events)
    usual = {name: task for name, task in tasks.items() if fair is None or name not in SEASONAL}
    validation = build_cases(dataset, _head(parts.validation, min(limit or TUNING_HOUSEHOLDS, TUNING_HOUSEHOLDS)), usual, seed)
    examples = _head(parts.test if split_name == "test" else parts.validation, limit)
    asked = _cases(dataset, examples, tasks, usual, fair, seed, held_out=True)
    if fair:
        parts = replace(parts, train=fair.train, train_events=fair.counted)
    if not asked or not validation:
        raise WorkspaceError(
            "no basket to evaluate on", str(workspace.path), "its windows hold no basket large enough: see DataSettings"
        )
    return Questions(split_name, dataset, parts, tasks, usual, examples, fair, validation, asked, seed)


def _cases(
    dataset: Dataset,
    examples: pd.DataFrame,
    tasks: Mapping[str, Task],
    usual: Mapping[str, Task],
    fair: SeasonSplit | None,
    seed: int,
    held_out: bool,
) -> list[Case]:
    cases = build_cases(dataset, examples, usual, seed, held_out)
    return cases + season_cases(dataset, fair, tasks, seed, held_out) if fair else cases


def _head(frame: pd.DataFrame, limit: int | None) -> pd.DataFrame:
    """The first `limit` examples; users are in random order of id, so this is no selection by activity."""
    return frame if limit is None else frame.head(limit)
