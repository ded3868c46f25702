"""Voting on the Judge page: which two items are shown for whom, and PSJ-B's weights trained on the votes.

- The household is taken as it stood before its latest basket, which is also how votes become pairs (`judge.feedback`). What it then
  bought stays hidden until the vote is in.
- The two items come from the generator's own list, drawn by seed without the judge's help: a judge that chose what it is asked about
  would be measured on what it likes to be asked.
- A list gives each item once, so that a household has ten pairs.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from backend.data import schema as s
from backend.errors import RequestError
from backend.generation.request import Request
from backend.progress import CancelToken, Progress, Report

if TYPE_CHECKING:  # these load torch or SQLAlchemy
    from backend.data.schema import Dataset
    from backend.evaluation.intervals import Interval
    from backend.generation.generator import Generator
    from backend.generation.shopper import Shoppers
    from backend.generation.trace import Trace
    from backend.judge.making import OpenJudge
    from backend.judge.weights import Pairs, Weights
    from backend.judge_settings import JudgeSettings, WeightSettings
    from backend.storage import Store

LENGTH = 20  # items of the list that pairs are drawn from
LEAST = 20  # votes for one of two items below which no weights are trained: an accuracy over twenty has a standard error of .11
PERSONAL = 20  # households below which all of them share one weighting
FOLDS = 5
_KEPT = 64  # lists


@dataclass(frozen=True)
class Ballot:
    """Two items for a household, as it stood before its latest basket.

    `items` has two rows: item (row) · item_id · title · department · category · path · price · sid · rank (place in the generator's list).
    """

    user: int
    user_id: str
    instruction: str
    number: int
    of: int
    start: int  # first event of the latest basket
    items: pd.DataFrame
    bought: frozenset[int]  # rows of the items of the latest basket
    model: str

    def context(self) -> dict[str, object]:
        """What a vote keeps beside the items: nothing that names the household or a day of its."""
        return {"instruction": self.instruction, "model": self.model, "as_of": "before the latest basket",
                "ranks": [int(rank) for rank in self.items["rank"]]}  # fmt: skip


@dataclass(frozen=True)
class _Slate:
    user: int
    start: int
    table: pd.DataFrame
    bought: frozenset[int]


class Ballots:
    """Makes ballots; the lists behind them are kept.

    Args:
        listed: a trace's list with the facts of its items, as the workbench shows lists.
    """

    def __init__(self, dataset: Callable[[], Dataset], people: Callable[[], Shoppers], generator: Callable[[], Generator],
                 listed: Callable[[Trace, Request], pd.DataFrame]) -> None:  # fmt: skip
        self._dataset, self._people, self._generator, self._listed = dataset, people, generator, listed
        self._slates: OrderedDict[tuple[str, str, str], _Slate] = OrderedDict()
        self._lock = Lock()

    def ballot(self, user_id: str, instruction: str, number: int, model: str) -> Ballot:
        """The `number`-th pair of a household and instruction; after the last comes the first again.

        Args:
            model: fingerprint of the model: another one has another list.

        Raises:
            RequestError: unknown household, one without an earlier basket, or a list of fewer than two items.
        """
        slate = self._slate(user_id, instruction, model)
        n = len(slate.table)
        if n < 2:
            raise RequestError("there are not two items to choose from", instruction[:80], "choose another instruction")
        order = np.random.default_rng([7, slate.user, len(instruction)]).permutation(n)
        place = number % (n // 2)
        items = slate.table.iloc[order[2 * place : 2 * place + 2]].reset_index(drop=True)
        return Ballot(slate.user, user_id, instruction, place, n // 2, slate.start, items, slate.bought, model)

    def _slate(self, user_id: str, instruction: str, model: str) -> _Slate:
        key = (user_id, instruction, model)
        with self._lock:
            if key in self._slates:
                self._slates.move_to_end(key)
                return self._slates[key]
        made = self._make(user_id, instruction)
        with self._lock:
            self._slates[key] = made
            while len(self._slates) > _KEPT:
                self._slates.popitem(last=False)
        return made

    def _make(self, user_id: str, instruction: str) -> _Slate:
        from backend.data.history import distinct
        from backend.generation.asked import understood
        from backend.generation.filters import allowed_items
        from backend.generation.shopper import Shopper
        from backend.settings import FusionSettings

        people, generator, dataset = self._people(), self._generator(), self._dataset()
        user = people.user_row(user_id)
        start = latest_basket(people, user)
        past = slice(int(people.histories.first[user]), start)
        items, steps = people.histories.items[past], people.histories.steps[past]
        ages = people.histories.days[start] - people.histories.days[past]
        shopper = Shopper(str(people.profiles.iloc[user]), distinct(items, ages), items, ages, steps)
        request = Request(instruction=instruction, user=user_id, fusion=FusionSettings(top=LENGTH))
        reading, asked = understood(request, generator.read)
        allowed = allowed_items(dataset, asked, items, people.item_rows)[0]
        trace = generator.generate(shopper, reading.instruction, request.fusion, allowed, total=asked.max_total)
        bought = people.histories.items[start : int(people.histories.first[user + 1])]
        table = self._listed(trace, request).drop(columns="why")  # that knows the latest basket
        return _Slate(user, start, table, frozenset(bought.tolist()))


def latest_basket(people: Shoppers, user: int) -> int:
    """Event row where a household's latest basket begins.

    Raises:
        RequestError: it has no basket before that one.
    """
    first, stop = (int(people.histories.first[user + place]) for place in (0, 1))
    steps = people.histories.steps[first:stop]
    start = first + int(np.searchsorted(steps, steps[-1])) if len(steps) else first
    if start == first:
        raise RequestError("this household has no basket before its latest one", mend="choose another household")
    return start


# PSJ-B on votes ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class VotedWeights:
    """PSJ-B trained on votes: the weights, and how often they order a vote rightly that they were not trained on.

    Attributes:
        personal: whether weights differ by household; with few households all share one weighting.
        unit: what an interval is over: "households", or "votes" where there are fewer than five households.
        accuracy: by weighting: "votes" (cross-validated), "proxies" (the judge stage's), "uniform".
        ahead: "votes" minus "proxies", paired.
    """

    weights: Weights
    votes: int
    households: int
    personal: bool
    unit: str
    accuracy: Mapping[str, Interval]
    ahead: Interval


def train_on_votes(
    store: Store, dataset: Dataset, judge: OpenJudge, settings: JudgeSettings, seed: int, report: Report, cancel: CancelToken
) -> VotedWeights:
    """PSJ-B on the votes alone, by the judge stage's own method; measured by cross-validation.

    Raises:
        RequestError: too few votes; says how many are needed.
        Cancelled: asked to stop.
    """
    from backend.judge.feedback import voted_pairs
    from backend.judge.making import FITTED_BY

    report(Progress("votes", 0, FOLDS + 2, "reading votes"))
    pairs = voted_pairs(store, dataset, judge.judge, judge.evidence)
    if len(pairs) < LEAST:
        raise RequestError(
            f"{len(pairs)} votes for one of two items are too few to train on", mend=f"{LEAST - len(pairs)} more are needed"
        )
    return measured(pairs, judge.weights, FITTED_BY[settings.method], settings.weights, seed, report, cancel)


def measured(pairs: Pairs, known: Weights, fit: Callable[[Pairs, WeightSettings, int], Weights], settings: WeightSettings, seed: int,
             report: Report, cancel: CancelToken) -> VotedWeights:  # fmt: skip
    """Weights fitted on all pairs, and on all folds but one for the figures.

    Args:
        known: the weights to compare with.
    """
    from dataclasses import replace

    from backend.evaluation.intervals import difference, interval
    from backend.judge.measure import by_household
    from backend.judge.weights import Weights, pair_accuracy

    households = len(np.unique(pairs.user))
    personal = households >= PERSONAL
    own = pairs if personal else replace(pairs, about=np.zeros_like(pairs.about))
    unit = pairs.user if households >= FOLDS else np.arange(len(pairs))
    names = np.unique(unit)
    shuffled = np.random.default_rng(seed).permutation(len(names))
    fold = shuffled[np.searchsorted(names, unit)] % FOLDS
    right = np.zeros(len(pairs))
    for number in range(FOLDS):
        cancel.check()
        report(Progress("votes", 1 + number, FOLDS + 2, "measuring"))
        held = fold == number
        if held.any() and not held.all():
            right[held] = pair_accuracy(_part(own, held), fit(_part(own, ~held), settings, seed))
    cancel.check()
    report(Progress("votes", FOLDS + 1, FOLDS + 2, "fitting"))
    weights = fit(own, settings, seed)
    even = Weights.uniform(pairs.about.shape[1], pairs.better.shape[1])
    values = {"votes": right, "proxies": pair_accuracy(pairs, known), "uniform": pair_accuracy(pairs, even)}
    by = {name: by_household(each, unit) for name, each in values.items()}
    report(Progress("votes", FOLDS + 2, FOLDS + 2, "done"))
    return VotedWeights(
        weights, len(pairs), households, personal, "households" if households >= FOLDS else "votes",
        {name: interval(each, seed=seed) for name, each in by.items()}, difference(by["votes"], by["proxies"], seed=seed),
    )  # fmt: skip


def _part(pairs: Pairs, which: np.ndarray) -> Pairs:
    from backend.judge.weights import Pairs

    return Pairs(pairs.better[which], pairs.worse[which], pairs.about[which], pairs.user[which])


def households_with_past(dataset: Dataset) -> list[str]:
    """Ids of the households with at least two baskets."""
    steps = dataset.events.groupby(s.EVENT_USER)[s.STEP].nunique()
    rows = steps[steps >= 2].index
    return [str(name) for name in dataset.users[s.USER].iloc[rows]]
