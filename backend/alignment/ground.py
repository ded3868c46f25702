"""What all runs of arms share: the tables, the generator as a policy, the two rewards, contexts and held-out baskets; opened when first needed.

- A seed draws contexts; every arm sees them in the same order. What the decoder says at a context is computed once for all arms, where only
  the weights behind it train.
- Runs that are finished need none of it, hence nothing is opened before a run is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pandas as pd
from torch import Tensor

from backend.alignment.arm import Scorer, weights_of
from backend.alignment.policy import Policy, Prepared
from backend.alignment.rewards import BusinessReward
from backend.data import schema as c
from backend.data.schema import Dataset
from backend.data.split import MIN_TRAINED, Split, split, with_past
from backend.data.store import dataset_settings, open_dataset
from backend.errors import RequestError, WorkspaceError
from backend.evaluation import metrics
from backend.evaluation.cases import Case, build_cases
from backend.evaluation.questions import SplitName
from backend.generation.generator import load_generator
from backend.instructions.task import Task
from backend.instructions.trained import tasks_of
from backend.judge.making import OpenJudge, load_judge, load_rewarding
from backend.judge.teachers import Trusted
from backend.progress import CancelToken, Progress, Report, silent
from backend.settings import PolicySettings, RewardSettings
from backend.workspace import Workspace

_KEPT = 4  # seeds whose contexts stay prepared, some 30 MB each


class Ground:
    """The common ground of runs over one workspace.

    Args:
        scope: which weights train (`PolicySettings.scope`).
        seed: of the held-out baskets' wordings.
    """

    def __init__(
        self, workspace: Workspace, scope: str, seed: int, report: Report = silent, cancel: CancelToken | None = None
    ) -> None:
        self.workspace, self.scope, self.seed, self.report, self.cancel = workspace, scope, seed, report, cancel
        self._held: dict[tuple[object, ...], list[Prepared]] = {}
        self._batches: dict[tuple[object, ...], list[Prepared]] = {}
        self._rewards: dict[RewardSettings, BusinessReward] = {}

    @cached_property
    def dataset(self) -> Dataset:
        """The tables."""
        return open_dataset(self.workspace, self.report)

    @cached_property
    def parts(self) -> Split:
        """The windows of time."""
        return split(self.dataset, dataset_settings(self.workspace))

    @cached_property
    def policy(self) -> Policy:
        """The generator as a policy, trained in place."""
        return Policy(load_generator(self.workspace, self.dataset), self.scope)

    @cached_property
    def start(self) -> dict[str, Tensor]:
        """The weights that every arm begins with: taken before any run."""
        return weights_of(self.policy)

    @cached_property
    def facts(self) -> metrics.Catalogue:
        """Of the items, for the measures."""
        return metrics.catalogue(self.dataset, self.parts.train_events)

    @cached_property
    def _judges(self) -> tuple[OpenJudge, Trusted | None]:
        judge = load_judge(self.workspace, self.dataset)
        return judge, load_rewarding(self.workspace, self.dataset, judge)

    def scorer(self, settings: PolicySettings) -> Scorer:
        """The two rewards of these settings."""
        if settings.reward not in self._rewards:
            self._rewards[settings.reward] = BusinessReward(self.dataset, self.parts.train_events, settings.reward)
        return Scorer(self.dataset, self._rewards[settings.reward], *self._judges, self.cancel)

    def held(self, settings: PolicySettings, window: SplitName) -> list[Prepared]:
        """Baskets that arms are measured on."""
        key = (settings.task, settings.held, settings.batch, window)
        if key not in self._held:
            drawn = self.parts.test if window == "test" else self.parts.validation
            cases = build_cases(self.dataset, drawn.head(settings.held), self._task(settings.task), self.seed)
            self._held[key] = self._prepared(cases, settings.batch, "held-out baskets")
        return self._held[key]

    def batches(self, settings: PolicySettings, seed: int) -> list[Prepared]:
        """The contexts of a seed; those of the last few are kept."""
        key = (settings.task, settings.contexts, settings.batch, seed)
        if key not in self._batches:
            drawn = contexts(self.dataset, self.parts, settings.contexts, seed)
            cases = build_cases(self.dataset, drawn, self._task(settings.task), seed, held_out=False)
            while len(self._batches) >= _KEPT:
                del self._batches[next(iter(self._batches))]
            self._batches[key] = self._prepared(cases, settings.batch, f"contexts of seed {seed}")
        return self._batches[key]

    def _task(self, name: str) -> dict[str, Task]:
        tasks = tasks_of(self.workspace, self.dataset, self.parts.train_events)
        if name not in tasks:
            raise RequestError(f"the model knows no task {name!r}", "policy.task", f"choose among: {', '.join(tasks)}")
        return {name: tasks[name]}

    def _prepared(self, cases: Sequence[Case], size: int, what: str) -> list[Prepared]:
        if not cases:
            raise WorkspaceError(f"no basket of this task among the {what}", mend="choose another policy.task")
        out = []
        for begin in range(0, len(cases), size):
            if self.cancel:
                self.cancel.check()
            out.append(self.policy.prepare(cases[begin : begin + size]))
            self.report(Progress("contexts", min(begin + size, len(cases)), len(cases), what))
        return out


def contexts(dataset: Dataset, parts: Split, n: int, seed: int) -> pd.DataFrame:
    """Training baskets to roll out at: of at least two items and with something before them, at most one a household per round of all.

    Raises:
        WorkspaceError: there is none.
    """
    usable = with_past(parts.train, MIN_TRAINED).sample(frac=1.0, random_state=seed)
    if not len(usable):
        raise WorkspaceError("no basket to roll out at", mend="bring more events")
    turn = usable.groupby(c.EVENT_USER).cumcount().to_numpy()
    return usable.iloc[np.argsort(turn, kind="stable")[:n]].reset_index(drop=True)
