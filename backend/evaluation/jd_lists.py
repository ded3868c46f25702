"""Asking the recipe `jd` under the protocol: its cases, its beams as recommenders, what their lists are worth, how much of a free beam exists.

- Beams free and along the trie answer the same cases as the baselines; a list holds items, so two items that share a SID are two answers and one hit.
- The invalid rate of a request is the share of its beam's SIDs that no item has; means over requests with bootstrap intervals.
- A third view beside all items and new ones asks for *rare items*: only items outside the best sellers that make 80 % of the training purchases are
  right answers, though every item may be shown.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from backend.data import schema as c
from backend.data.history import distinct
from backend.data.schema import Dataset
from backend.data.split import Split, split
from backend.data.store import dataset_settings, open_dataset
from backend.errors import WorkspaceError
from backend.evaluation.baselines.base import Recommender
from backend.evaluation.cases import Case, build_cases
from backend.evaluation.intervals import intervals
from backend.evaluation.metrics import catalogue
from backend.evaluation.protocol import evaluate
from backend.evaluation.questions import SplitName
from backend.evaluation.views import VIEWS
from backend.generation.constrained import Found, rank_items
from backend.generation.jd import JdGenerator
from backend.instructions.trained import tasks_of
from backend.progress import CancelToken, Report, silent
from backend.workspace import Workspace

RARE = "rare items"
_METRICS = ("hr", "ndcg", "recall", "diversity", "novelty", "breadth")


class JdRecommender:
    """Beam search over full SIDs as a recommender under the protocol.

    Args:
        along: along the trie (True) or free; a free beam's items are filtered afterwards.
    """

    def __init__(self, name: str, generator: JdGenerator, beams: int, along: bool = True) -> None:
        self.name, self.generator, self.beams, self.along = name, generator, beams, along
        self.kind = "constrained beam" if along else "free beam"
        self.profiles = generator.dataset.users[c.PROFILE].tolist()
        self.time = generator.dataset.events[c.TIME]
        self.invalid: dict[tuple[int, int], float] = {}  # (household, start) → share of its beam that no item has
        self._found: dict[tuple[Any, ...], Found] = {}
        self.seconds: list[float] = []

    def recommend(self, cases: Sequence[Case], k: int) -> np.ndarray:
        """Item rows, best first. Shape: (len(cases), k); -1 where the beam holds fewer."""
        out = np.full((len(cases), k), -1, np.int64)
        for row, case in enumerate(cases):
            legal = case.legal(self.generator.dataset.n_items)
            mask = None if legal.all() else self.generator.trie.mask(legal)
            found = self.found(case, mask)
            items, _ = rank_items(self.generator.trie, found, k, mask)
            out[row, : len(items)] = items
        return out

    def found(self, case: Case, mask: Any = None) -> Found:
        """The beam of a case."""
        key = (case.user, case.start)
        asked = (*key, (case.task, case.seen) if self.along else None)  # a free beam does not depend on the filters
        if asked in self._found:
            return self._found[asked]
        began = time.perf_counter()
        pieces = self.generator.next_prompt(
            distinct(case.history, case.ages), self.profiles[case.user], self.time.iloc[case.start]
        )
        found = self.generator.search(pieces, self.beams, mask, self.along)
        self.seconds.append(time.perf_counter() - began)
        self.invalid[key] = found.invalid
        self._found[asked] = found
        return found


@dataclass(frozen=True)
class NextItems:
    """What the recipe is asked: the next item, of every household of a split."""

    dataset: Dataset
    parts: Split
    cases: list[Case]

    @property
    def households(self) -> int:
        """How many are asked about."""
        return len({case.user for case in self.cases})


def next_items(
    workspace: Workspace, split_name: SplitName, limit: int | None = None, seed: int = 7, report: Report = silent
) -> NextItems:
    """The cases of a split.

    Raises:
        WorkspaceError: there is no basket to evaluate on.
    """
    dataset = open_dataset(workspace, report)
    parts = split(dataset, dataset_settings(workspace))
    examples = parts.test if split_name == "test" else parts.validation
    tasks = tasks_of(workspace, dataset, parts.train_events, ("JustForYou",))
    cases = build_cases(dataset, examples if limit is None else examples.head(limit), tasks, seed)
    if not cases:
        raise WorkspaceError(
            "no basket to evaluate on", str(workspace.path), "its windows hold no basket large enough: see DataSettings"
        )
    return NextItems(dataset, parts, cases)


@dataclass(frozen=True)
class Lists:
    """What was measured of lists: the frames `results` and `differences` of the protocol, rare items as a third view."""

    results: pd.DataFrame
    differences: pd.DataFrame
    resamples: int


def measured_lists(
    workspace: Workspace,
    asking: NextItems,
    everyone: Sequence[Recommender],
    references: Sequence[str],
    seed: int = 7,
    report: Report = silent,
    cancel: CancelToken | None = None,
) -> Lists:
    """Everyone's lists over the same cases.

    Args:
        references: names to take paired differences from.
    """
    vectors = workspace.stage("grounding").arrays("vectors")["text"].astype(np.float32)
    rare = catalogue(asking.dataset, asking.parts.train_events).tail
    wanted = [case for each in asking.cases if (case := each.wanting(rare)) is not None]
    measured, scarce = (
        evaluate(
            everyone, some, asking.dataset, asking.parts, references=references, seed=seed, report=report, cancel=cancel, vectors=vectors,
            views=views,
        )
        for some, views in ((asking.cases, VIEWS), (wanted, {}))
    )  # fmt: skip
    results = pd.concat([measured.results, scarce.results.assign(view=RARE)], ignore_index=True)
    differences = pd.concat([measured.differences, scarce.differences.assign(view=RARE)], ignore_index=True)
    return Lists(
        results[results["metric"].isin(_METRICS) & results["k"].isin([10, 20])],
        differences[differences["metric"].isin(["hr", "ndcg"]) & (differences["k"] == 10)],
        measured.about["resamples"],
    )


def beam_rows(one: JdRecommender, seed: int) -> list[dict[str, Any]]:
    """The invalid rate and the milliseconds of a recommender that was asked, as rows of a result file."""
    values = np.array(list(one.invalid.values()))[:, None]
    (each,) = intervals(values, seed=seed)
    row = {"model": one.name.rsplit(", ", 1)[0], "beams": one.beams}
    invalid = {**row, "what": f"invalid SIDs, {one.kind}", "value": each.mean, "low": each.low, "high": each.high, "n": each.n}
    milliseconds = float(np.median(one.seconds)) * 1000
    timed = {
        **row,
        "what": f"ms a request, {one.kind}, median",
        "value": milliseconds,
        "low": None,
        "high": None,
        "n": len(one.seconds),
    }
    return [invalid, timed]
