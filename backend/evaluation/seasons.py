"""Cases of Season and Holiday on held-out households: every occasion of the year is asked about (see `data.seasons`)."""

from __future__ import annotations

from collections.abc import Mapping

from backend.data.calendar import SEASONS
from backend.data.schema import Dataset
from backend.data.seasons import WORD, SeasonSplit
from backend.evaluation.cases import Case, build_cases
from backend.instructions.task import Task


def season_cases(dataset: Dataset, fair: SeasonSplit, tasks: Mapping[str, Task], seed: int, held_out: bool = True) -> list[Case]:
    """Cases of the held households: a basket that stands for a season is asked by Season, one of an occasion by Holiday.

    Args:
        fair: made with the share and seed that training was given (`train.held_households`).
        tasks: the registry's; only "Season" and "Holiday" are asked.
        held_out: use the wordings that training does not see.
    """
    of_season = fair.examples[WORD].isin(SEASONS)
    cases = []
    for name, rows in (("Season", of_season), ("Holiday", ~of_season)):
        examples = fair.examples[rows].drop_duplicates(["user", "start"])
        if name in tasks:
            cases += build_cases(dataset, examples, {name: tasks[name]}, seed, held_out)
    return cases
