"""The judge's score of the whole catalogue for one household: the student alone, without reasons, fit for every request.

- No language model and no endpoint is asked: the student's additive functions and the household's own weights (`judge.student`,
  `judge.weights`), some milliseconds for thousands of items.
- The judge is opened when first asked for, and again when it was trained again (`judge.opened`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

from backend.data.schema import Dataset
from backend.generation.judged import Moment
from backend.judge.aspects import NOBODY, Situation, holistic
from backend.judge.availability import why_missing
from backend.judge.opened import opened
from backend.workspace import Workspace

if TYPE_CHECKING:
    from backend.judge.making import OpenJudge

_KEPT = 16  # households whose scores are kept


class JudgeScores:
    """s_hol of every item (S-GRec §3.1 B), read by the judge of a workspace.

    Args:
        workspace: holds the stage `judge`, or does not.
        dataset: its tables.
    """

    def __init__(self, workspace: Workspace, dataset: Dataset) -> None:
        self.workspace, self._dataset = workspace, dataset
        self._items = np.arange(dataset.n_items)
        self._judge: OpenJudge | None = None
        self._found: OrderedDict[tuple[object, ...], np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def missing(self) -> str:
        """Why there are no scores; "" where there are."""
        return why_missing(self.workspace)

    def fingerprint(self) -> str:
        """The judge stage's; "" where there are no scores."""
        return "" if self.missing() else self.workspace.stage("judge").fingerprint

    def scores(self, moment: Moment) -> np.ndarray:
        """s_hol of every item. Shape: (n_items,) between 0 and 1.

        Raises:
            WorkspaceError: the judge is missing, stale or damaged.
        """
        judge = opened(self.workspace, self._dataset)
        with self._lock:
            if judge is not self._judge:
                self._judge = judge
                self._found.clear()
            key = (moment.user, str(moment.day), *(each.tobytes() for each in (moment.items, moment.days, moment.steps)))
            if key not in self._found:
                self._found[key] = _scores(judge, moment, self._items)
                while len(self._found) > _KEPT:
                    self._found.popitem(last=False)
            self._found.move_to_end(key)
            return self._found[key]


def _scores(judge: OpenJudge, moment: Moment, items: np.ndarray) -> np.ndarray:
    user = NOBODY if moment.user is None else moment.user
    situation = Situation(user, "", moment.items, moment.days, moment.steps, moment.day)
    said = judge.judge.judge(situation, items)
    weights = judge.weights.of(judge.evidence.user_facts(situation)[None])[0]
    found = holistic(said.expected, weights)
    return np.nan_to_num(found, nan=0.0)  # all weight on what is not used: every item alike
