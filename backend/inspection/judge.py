"""What the Judge page may ask: ballots, judged items, the advantage plane, the arms as measured, a list after the policy's training.

- Each part opens what it needs, when first asked: voting needs the model alone, aspects the `judge` stage, arms the `policy` stage.
- The judge answers here, on a page that looks into it; a recommendation asks it only where its weight was drawn (`FusionSettings.judge_weight`).
- What the judge goes by are proxies, and everything that shows its figures says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from backend.data import schema as s
from backend.errors import RequestError
from backend.generation.request import Request
from backend.inspection.health import StageInfo, inspect
from backend.inspection.judge_arms import Arms, every_arms
from backend.inspection.judge_votes import LEAST, Ballot, Ballots, VotedWeights, households_with_past
from backend.judge.aspects import ASPECTS, LEVELS, MEANING, WORDS, Situation, Situations
from backend.judge.opened import is_open, opened
from backend.workspace import Workspace, command_of

if TYPE_CHECKING:  # these load torch or SQLAlchemy
    from backend.data.schema import Dataset
    from backend.generation.generator import Generator
    from backend.generation.shopper import Shoppers
    from backend.generation.trace import Trace
    from backend.judge.making import OpenJudge
    from backend.judge.weights import Weights
    from backend.progress import CancelToken, Report
    from backend.settings import JudgeSettings
    from backend.storage import Store

__all__ = ["ASPECTS", "LEAST", "LEVELS", "MEANING", "WORDS", "Arms", "Ballot", "JudgeBench", "Opinion", "VotedWeights"]


@dataclass(frozen=True)
class Opinion:
    """What the judge says of some items for a household.

    Shape:
        levels, expected: (n, aspects), -1 and NaN where an aspect is not used; score: (n,) s_hol between 0 and 1, NaN where nothing is used;
        weights: (aspects,) of this household; reasons: for each item a sentence by aspect.
    """

    levels: npt.NDArray[np.integer]
    expected: npt.NDArray[np.floating]
    score: npt.NDArray[np.floating]
    weights: npt.NDArray[np.floating]
    reasons: Sequence[Mapping[str, str]]


class JudgeBench:
    """The judge and the policies of a workspace.

    Args:
        dataset, people, generator: the tables, whom ids mean, the model; each loaded when first asked.
        listed: a trace's list with the facts of its items.
    """

    def __init__(self, workspace: Workspace, dataset: Callable[[], Dataset], people: Callable[[], Shoppers],
                 generator: Callable[[], Generator], listed: Callable[[Trace, Request], pd.DataFrame]) -> None:  # fmt: skip
        self.workspace, self._dataset, self._people, self._generator, self._listed = workspace, dataset, people, generator, listed
        self._ballots = Ballots(dataset, people, generator, listed)
        self._worth: tuple[str, npt.NDArray[np.floating]] | None = None

    # what is there -----------------------------------------------------------------------------------------------------

    def stage(self, name: str) -> StageInfo:
        """State and figures of the stage `judge` or `policy`; never raises for a bad one."""
        found = inspect(self.workspace).stages.get(name)
        return found or StageInfo(name, "missing", command=command_of(name, self.workspace.path))

    def judge(self) -> OpenJudge:
        """The judge; loaded once, and again when it was made again.

        Raises:
            WorkspaceError: missing, stale or damaged.
        """
        return opened(self.workspace, self._dataset())

    @property
    def judge_ready(self) -> bool:
        """Whether the judge is loaded."""
        return is_open(self.workspace)

    # voting ------------------------------------------------------------------------------------------------------------

    @cached_property
    def households(self) -> list[str]:
        """Ids of the households that can be voted for: those with an earlier basket."""
        return households_with_past(self._dataset())

    def ballot(self, user_id: str, instruction: str, number: int = 0) -> Ballot:
        """A pair to vote on (see `Ballots`).

        Raises:
            RequestError: unknown household, or none with two baskets.
        """
        return self._ballots.ballot(user_id, instruction, number, self.workspace.stage("model").fingerprint)

    def vote(self, store: Store, ballot: Ballot, winner: int | None) -> int:
        """Write a vote down; returns its id.

        Args:
            winner: row of the chosen item; None = neither.

        Raises:
            StorageError: the database refuses.
        """
        from backend.judge.feedback import vote

        first, second = (int(row) for row in ballot.items["item"])
        return vote(store, self._dataset(), ballot.user, first, second, winner, ballot.context())

    def export(self, store: Store) -> str:
        """All votes as JSON lines.

        Raises:
            StorageError: the database cannot be read.
        """
        from backend.judge.feedback import export_votes

        return export_votes(store)

    def take_in(self, store: Store, data: bytes) -> int:
        """Votes of an export; how many were new: all of them or none.

        Raises:
            RequestError: too large, no text, or a line that is no vote; names the line.
            StorageError: the database refuses.
        """
        from backend.judge.feedback import import_votes

        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise RequestError("this file is no text", mend="bring a file that was exported here") from error
        return import_votes(store, text)

    def said_of(self, ballot: Ballot, weights: Weights | None = None) -> Opinion:
        """What the judge says of a ballot's two items, as of the ballot.

        Raises:
            WorkspaceError: there is no judge.
        """
        judge, situation = self.judge(), self._situations.before(ballot.user, ballot.start, ballot.instruction)
        return _opinion(judge, situation, ballot.items["item"].to_numpy(), weights or judge.weights)

    @cached_property
    def _situations(self) -> Situations:
        return Situations(self._dataset())

    def train_on_votes(self, store: Store, report: Report, cancel: CancelToken) -> VotedWeights:
        """PSJ-B on the votes (see `judge_votes.train_on_votes`); nothing is written.

        Raises:
            RequestError: too few votes.
            WorkspaceError: there is no judge.
        """
        from backend.inspection.judge_votes import train_on_votes

        judge, settings = self.judge(), self._settings()
        seed = int(self.workspace.stage("judge").manifest["settings"]["seed"])
        return train_on_votes(store, self._dataset(), judge, settings, seed, report, cancel)

    def _settings(self) -> JudgeSettings:
        from backend.settings import JudgeSettings

        kept = self.workspace.stage("judge").manifest["settings"]
        return JudgeSettings(**{name: value for name, value in kept.items() if name in JudgeSettings.model_fields})

    # judged items ------------------------------------------------------------------------------------------------------

    def opinion(self, request: Request, items: npt.NDArray[np.integer], weights: Weights | None = None) -> Opinion:
        """What the judge says of items for a request's household, today.

        Raises:
            RequestError: a request without a household.
            WorkspaceError: there is no judge.
        """
        judge = self.judge()
        return _opinion(judge, self._now(request), items, weights or judge.weights)

    def _now(self, request: Request) -> Situation:
        """A household when its next basket is due, as the generator takes it."""
        shopper = self._people().resolve(request)
        if shopper.user is None:
            raise RequestError("the judge needs a household, not a composed shopper", "user", "pick one")
        return Situation(
            shopper.user, shopper.profile, shopper.items, shopper.days, shopper.steps, shopper.day, request.instruction
        )

    # the advantage plane -----------------------------------------------------------------------------------------------

    def plane(self, contexts: int, seed: int, report: Report, cancel: CancelToken) -> pd.DataFrame:
        """Rollouts of validation baskets with both advantages (see `alignment.plane`), by the model before any policy training; with the
        household's id, and title, category and price of each item.

        Raises:
            WorkspaceError: there is no judge or no model.
            Cancelled: asked to stop.
        """
        from backend.alignment.arm import Scorer
        from backend.alignment.plane import advantage_plane
        from backend.alignment.policy import Policy
        from backend.alignment.rewards import BusinessReward
        from backend.data.split import split
        from backend.data.store import dataset_settings
        from backend.evaluation.cases import build_cases
        from backend.generation.generator import Generator
        from backend.instructions.trained import tasks_of
        from backend.model.loading import load_model
        from backend.settings import PolicySettings

        dataset, settings = self._dataset(), PolicySettings(**self._policy_settings())
        parts = split(dataset, dataset_settings(self.workspace))
        scorer = Scorer(dataset, BusinessReward(dataset, parts.train_events, settings.reward), self.judge())
        tasks = tasks_of(self.workspace, dataset, parts.train_events)
        task = settings.task if settings.task in tasks else next(iter(tasks))
        drawn = parts.validation.sample(min(contexts, len(parts.validation)), random_state=seed)
        cases = build_cases(dataset, drawn, {task: tasks[task]}, seed)
        # a model of its own: a policy freezes parameters, and nobody else may wait for these passes
        policy = Policy(Generator(load_model(self.workspace, dataset), dataset))
        table = advantage_plane(policy, cases, scorer, settings, report, cancel)
        facts = dataset.items.iloc[table["item"]].reset_index(drop=True)[[s.ITEM, s.TITLE, s.CATEGORY, s.PRICE]]
        names = dataset.users[s.USER].astype(str).iloc[table["user"]].to_numpy()
        return pd.concat([table.assign(user_id=names), facts], axis=1)

    def _policy_settings(self) -> dict[str, Any]:
        from backend.settings import PolicySettings

        if not self.workspace.has("policy"):
            return {}
        kept = self.workspace.stage("policy").manifest.get("settings") or {}
        return {name: value for name, value in kept.items() if name in PolicySettings.model_fields}

    # the arms, as measured ---------------------------------------------------------------------------------------------

    def arms(self) -> list[Arms]:
        """Every training of policies that was measured (see `judge_arms`)."""
        return every_arms(self.workspace, self.stage("policy"))

    def curves(self) -> pd.DataFrame:
        """What each step of each run looked like: arm · seed · step · loss · kl · business · semantic · dead · agreement · coefficient …

        Raises:
            WorkspaceError: there is no policy stage, or it is damaged.
        """
        return self.workspace.stage("policy").table("curves")

    # before and after --------------------------------------------------------------------------------------------------

    def worth(self, items: npt.NDArray[np.integer]) -> npt.NDArray[np.floating]:
        """Dollars that the shop keeps when one line of an item sells: a proxy, since the data holds no costs (see `alignment.rewards`).

        Shape:
            items: (n,) rows; returns: (n,).
        """
        made = self.workspace.stage("dataset").fingerprint
        if self._worth is None or self._worth[0] != made:
            from backend.alignment.rewards import expected_value
            from backend.data.split import split
            from backend.data.store import dataset_settings
            from backend.settings import PolicySettings

            dataset = self._dataset()
            events = split(dataset, dataset_settings(self.workspace)).train_events
            self._worth = made, expected_value(dataset, events, PolicySettings(**self._policy_settings()).reward)
        return self._worth[1][items]


def _opinion(judge: OpenJudge, situation: Situation, items: npt.NDArray[np.integer], weights: Weights) -> Opinion:
    from backend.judge.aspects import holistic

    said = judge.judge.judge(situation, np.asarray(items, np.int64), reasons=True)
    own = weights.of(judge.evidence.user_facts(situation)[None])[0]
    return Opinion(said.levels, said.expected, holistic(said.expected, own), own, said.reasons)
