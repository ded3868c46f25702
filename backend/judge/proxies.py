"""Proxy labels: levels read off what households did later, inside the training period. **Not opinions of people.**

- *future*: in the next four weeks the household bought the item (3), its type (2), its category (1), or none of it.
- *profile*: share of all its later baskets that hold the item's category: none, up to 5 %, up to 20 %, more.
- *novelty*: 0 where it had bought the item before; a new item counts more, the nearer it comes to what was bought in the next four weeks.
- *context*: how many times its usual share the item's category sold in the week that follows, among the households of one group; so the
  labels of held-out households come from held-out households.

Everything is called a proxy wherever it is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from backend.data import schema as c
from backend.data.schema import Dataset
from backend.data.split import START, baskets
from backend.judge.aspects import ASPECTS, Floats, Ints, Situation, Situations
from backend.judge.evidence import FACTS, USER_FACTS, Evidence, sold_before

FUTURE_DAYS, CONTEXT_DAYS = 28, 7
MIN_PAST, MIN_FUTURE = 5, 4  # baskets before and after a situation
_STANDING = (0.05, 0.2)  # shares of later baskets between the levels of "profile"
_LIFT = (0.8, 1.25, 2.0)  # lifts between the levels of "context"
_SMOOTHING = 5.0


@dataclass(frozen=True)
class Labelled:
    """Judged pairs of household and item, by proxy.

    Shape:
        facts: (n, facts); levels: (n, aspects); group: (n,) number of the situation; bought: (n,) whether the item is in the next four weeks.
        user: (situations,) row of the household; about: (situations, user facts); items: (n,) rows; situations: as many, whom it is about.
    """

    facts: Floats
    levels: Ints
    group: Ints
    bought: np.ndarray
    user: Ints
    about: Floats
    items: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    situations: Sequence[Situation] = ()

    def first(self, households: int) -> Labelled:
        """One situation, the first, of so many households."""
        _, number = np.unique(self.user, return_index=True)
        number = number[:households]
        keep = np.isin(self.group, number)
        return Labelled(
            self.facts[keep], self.levels[keep], np.searchsorted(number, self.group[keep]), self.bought[keep], self.user[number],
            self.about[number], self.items[keep], [self.situations[place] for place in number.tolist()],
        )  # fmt: skip

    def asked(self) -> Iterator[tuple[Situation, slice]]:
        """Each situation, and which rows are its items."""
        edges = np.searchsorted(self.group, np.arange(len(self.situations) + 1)).tolist()
        for situation, low, high in zip(self.situations, edges[:-1], edges[1:], strict=True):
            yield situation, slice(low, high)


class Proxies:
    """Labels over one dataset.

    Args:
        may: events that may be looked at, past and future alike: the training period. Shape: (n_events,) bool
    """

    def __init__(self, dataset: Dataset, may: np.ndarray, evidence: Evidence) -> None:
        self.evidence, self.situations = evidence, Situations(dataset)
        self.past = self.situations.past
        self.user_of = dataset.events[c.EVENT_USER].to_numpy()
        self.may = np.asarray(may)
        self.day = (dataset.events[c.TIME].to_numpy("datetime64[D]") - evidence.first_day).astype(int)
        self.end = int(self.day[self.may].max(initial=-1)) + 1  # first day that may not be looked at
        self.frame = baskets(dataset)
        self.type_of, self.category_of, _ = evidence.kinds

    def contexts(self, held: np.ndarray, per_user: int, seed: int) -> pd.DataFrame:
        """Baskets that situations are made of: with enough before and four weeks after them; at most `per_user` a household.

        Shape:
            held: (n_users,) bool, the households to take.
        """
        frame = self.frame[held[self.frame[c.EVENT_USER].to_numpy()] & self.may[self.frame[START].to_numpy()]]
        place = frame.groupby(c.EVENT_USER).cumcount()
        size = frame.groupby(c.EVENT_USER)[START].transform("size")
        early = self.day[frame[START].to_numpy()] + FUTURE_DAYS <= self.end
        fit = frame[(place >= MIN_PAST) & (size - place >= MIN_FUTURE) & early]
        mixed = fit.sample(frac=1.0, random_state=seed)
        return mixed.groupby(c.EVENT_USER).head(per_user).sort_values(START, ignore_index=True)

    def levels(self, situation: Situation, start: int, items: Ints, season: Floats) -> tuple[Ints, np.ndarray]:
        """Proxy levels of items at a basket, and whether each was bought in the next four weeks.

        Shape:
            items: (n,); season: (categories,) lift of the week that follows; returns: (n, aspects) int64, (n,) bool.
        """
        later = self._later(situation.user, start)
        bought = self._soon(later, start)
        category = self.category_of[items]
        same = (
            np.isin(items, bought),
            np.isin(self.type_of[items], self.type_of[bought]),
            np.isin(category, self.category_of[bought]),
        )
        near = np.select(list(same), [3, 2, 1], 0)
        steps = self.past.steps[later]
        held = np.unique(np.stack([steps, self.category_of[self.past.items[later]]]), axis=1)[1]
        standing = np.bincount(held, minlength=len(season))[category] / max(len(np.unique(steps)), 1)
        profile = np.where(standing > 0, 1 + np.searchsorted(_STANDING, standing, "left"), 0)
        new = ~np.isin(items, situation.history)
        novelty = np.where(new, 1 + np.select([same[1], same[2]], [2, 1], 0), 0)
        context = np.searchsorted(_LIFT, season[category], "right")
        return np.stack([profile, near, novelty, context], axis=1).astype(np.int64), same[0]

    def _later(self, user: int, start: int) -> Ints:
        """Rows of a household's events from a basket on, as far as they may be looked at. Shape: (later,)."""
        stop = int(self.past.first[user + 1])
        return np.arange(start, stop)[self.may[start:stop]]

    def _soon(self, later: Ints, start: int) -> Ints:
        """Items of those events in the next four weeks, with repeats. Shape: (later,) → (soon,)."""
        return self.past.items[later[self.day[later] < self.day[start] + FUTURE_DAYS]]

    def season(self, day: int, daily: Floats) -> Floats:
        """Lift of each category in the week from `day`, over its share of the whole period. Shape: daily (days + 1, categories) cumulated."""
        last = len(daily) - 1
        inside = daily[min(day + CONTEXT_DAYS, last)] - daily[min(day, last)]
        share = inside.sum() / max(daily[-1].sum(), 1.0)
        return (inside + _SMOOTHING * share) / ((daily[-1] + _SMOOTHING) * max(share, 1e-9)) if share else np.ones(daily.shape[1])

    def daily(self, held: np.ndarray) -> Floats:
        """Lines of each category before each day, of some households. Shape: (n_users,) bool → (days + 1, categories)."""
        own = self.may & held[self.user_of]
        return sold_before(self.day[own], self.category_of[self.past.items[own]], self.end, self.evidence.sizes[1])

    def candidates(self, situation: Situation, start: int, n: int, rng: np.random.Generator) -> Ints:
        """Items to be judged: a quarter of what was bought soon, a quarter of the past, the rest by popularity. Shape: (≤ n,) distinct."""
        chance = np.expm1(self.evidence.popular) + 1.0
        parts = [
            rng.permutation(np.unique(self._soon(self._later(situation.user, start), start)))[: n // 4],
            rng.permutation(np.unique(situation.history))[: n // 4],
            rng.choice(len(chance), min(n, len(chance)), replace=False, p=chance / chance.sum()),
        ]
        return np.array(list(dict.fromkeys(np.concatenate(parts).tolist()))[:n], np.int64)

    def make(self, held: np.ndarray, per_user: int, per_situation: int, seed: int) -> Labelled:
        """Situations of some households with their items, facts and proxy levels."""
        frame, daily = self.contexts(held, per_user, seed), self.daily(held)
        facts, levels, groups, bought, about, rows, situations = [], [], [], [], [], [], []
        for number, (user, start) in enumerate(zip(frame[c.EVENT_USER].tolist(), frame[START].tolist(), strict=True)):
            situation = self.situations.before(user, start)
            items = self.candidates(situation, start, per_situation, np.random.default_rng((seed, user, start)))
            own, taken = self.levels(situation, start, items, self.season(int(self.day[start]), daily))
            facts.append(self.evidence.facts(situation, items))
            levels.append(own)
            groups.append(np.full(len(items), number))
            bought.append(taken)
            about.append(self.evidence.user_facts(situation))
            rows.append(items)
            situations.append(situation)
        if not facts:
            none = np.zeros(0, np.int64)
            empty = np.zeros((0, len(ASPECTS)), np.int64)
            return Labelled(np.zeros((0, len(FACTS))), empty, none, none.astype(bool), none, np.zeros((0, len(USER_FACTS))))
        return Labelled(
            np.concatenate(facts), np.concatenate(levels), np.concatenate(groups), np.concatenate(bought),
            frame[c.EVENT_USER].to_numpy(np.int64), np.stack(about), np.concatenate(rows), situations,
        )  # fmt: skip
