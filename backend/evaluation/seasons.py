"""Cases of Season and Holiday on held-out households: every occasion of the year is asked about (see `data.seasons`)."""

from __future__ import annotations

from collections.abc import Mapping

from backend.data.calendar import SEASONS
from backend.data.schema import Dataset
from backend.data.seasons import WORD, SeasonSplit, hold_out
from backend.data.split import Split
from backend.data.store import dataset_settings
from backend.evaluation.cases import Case, build_cases
from backend.instructions.task import Task
from backend.workspace import Workspace

SEASONAL = ("Season", "Holiday")


def trained_without(workspace: Workspace, dataset: Dataset, parts: Split) -> SeasonSplit | None:
    """The households that a workspace's model was trained without; None where it knows all (`train.held_households`)."""
    own = workspace.fresh_stage("model").manifest["settings"]
    share = own["train"].get("held_households", 0.0)
    return hold_out(dataset, parts, share, dataset_settings(workspace).min_targets) if share else None


def season_cases(dataset: Dataset, fair: SeasonSplit, tasks: Mapping[str, Task], seed: int, held_out: bool = True) -> list[Case]:
    """Cases of the held households: a basket that stands for a season is asked by Season, one of an occasion by Holiday.

    Args:
        fair: made with the share that training was given (`train.held_households`).
        tasks: the registry's; only "Season" and "Holiday" are asked.
        held_out: use the wordings that training does not see.
    """
    of_season = fair.examples[WORD].isin(SEASONS)
    cases = []
    for name, rows in zip(SEASONAL, (of_season, ~of_season), strict=True):
        examples = fair.examples[rows].drop_duplicates(["user", "start"])
        if name in tasks:
            cases += build_cases(dataset, examples, {name: tasks[name]}, seed, held_out)
    return cases
