"""The evidence that a judge goes by: what can be looked up about a household, an item and the day.

- All of it lies before the day in question. What is counted over the shop (popularity, lift of a category, what alike households buy)
  is counted on the events that the maker of the evidence allows, so that held-out households stay unseen.
- Each column is one fact that a sentence can cite (`cite`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from backend.data import calendar
from backend.data import schema as c
from backend.data.deals import DAYS
from backend.data.naming import PRIVATE
from backend.data.record import OWN, Records
from backend.data.schema import Dataset
from backend.judge.aspects import NOBODY, Floats, Ints, Situation

FACTS = (
    "times", "days", "due", "type rate", "category rate", "department rate", "text", "nearest", "behaviour", "popular", "momentum",
    "occasion", "price", "brand", "alike", "deal",
)  # fmt: skip
USER_FACTS = ("baskets", "variety", "newness", "own brand", "usual price", "basket size", "known profile")
_HALF_LIFE = 60.0  # days after which a purchase counts half
_FLOOR = 0.01  # rate of one basket in a hundred
_NEVER = 1000.0  # days since a purchase that never was
_OWN = [OWN.index(name) for name in ("times", "days since", "due")]  # of the household's record
_NEVER_BOUGHT = np.array([0.0, np.log1p(_NEVER), 0.0], np.float32)
_MOMENTUM_DAYS = 14
_SMOOTHING = 10.0  # lines at the usual rate that are added to every category
_NEWEST = 10  # baskets that newness looks at


class Evidence:
    """Facts over one catalogue.

    Args:
        events: lines that may be counted over the shop. Shape: (n_events,) bool
        text, ids: item vectors of the store. Shape: (n_items, …)
        occasions: the vector of each word of the calendar in the space of `text`; empty = that column is zero.
    """

    def __init__(
        self, dataset: Dataset, events: np.ndarray, text: np.ndarray, ids: np.ndarray, occasions: Mapping[str, np.ndarray]
    ) -> None:
        items, users = dataset.items, dataset.users
        self.title, self.profile = items[c.TITLE].tolist(), users[c.PROFILE].tolist()
        names = items[[c.TYPE, c.CATEGORY, c.DEPARTMENT]].fillna("").astype(str)
        self.names = {column: names[column].tolist() for column in names}
        self.kinds = [pd.factorize(names[column])[0] for column in (c.TYPE, c.CATEGORY, c.DEPARTMENT)]
        self.sizes = [int(kind.max(initial=-1)) + 1 for kind in self.kinds]
        self.text, self.ids, self.occasions = _unit(text), _unit(ids), {word: _unit(v[None])[0] for word, v in occasions.items()}
        self.log_price = np.log(items[c.PRICE].to_numpy(float).clip(0.01))
        self.own_brand = (items[c.BRAND] == PRIVATE).to_numpy(float)
        lines = dataset.events.loc[np.asarray(events)]
        item = lines[c.EVENT_ITEM].to_numpy()
        self.popular = np.log1p(np.bincount(item, minlength=dataset.n_items))
        self.records = Records(dataset)
        day = lines[c.TIME].to_numpy("datetime64[D]")
        self.first_day = (
            dataset.events[c.TIME].to_numpy("datetime64[D]").min() if len(dataset.events) else np.datetime64("2000-01-01")
        )
        span = int((day.max() - self.first_day).astype(int)) + 1 if len(day) else 1
        self.sold = sold_before((day - self.first_day).astype(int), self.kinds[1][item], span, self.sizes[1])
        self.alike = _alike(dataset, lines, self.kinds[1], self.sizes[1])  # (n_users, categories)

    # facts of items ---------------------------------------------------------------------------------------------------

    def facts(self, situation: Situation, items: Ints) -> Floats:
        """Facts of items for a household. Shape: (n,) → (n, len(FACTS)) float32."""
        history, ages = situation.history, situation.ages
        out = np.zeros((len(items), len(FACTS)), np.float32)
        weight = np.exp2(-ages / _HALF_LIFE)
        own = np.tile(_NEVER_BOUGHT, (len(self.popular), 1))
        record = self.records.of(history, ages, situation.steps)
        own[record.items] = record.own[:, _OWN]
        out[:, :3] = own[items]
        first = np.concatenate([[True], situation.steps[1:] != situation.steps[:-1]]) if len(history) else np.zeros(0, bool)
        baskets = max(float(weight[first].sum()), 1e-9) if len(history) else 1.0
        for column, (kind, size) in enumerate(zip(self.kinds, self.sizes, strict=True), start=3):
            # baskets that hold the kind, not lines: a basket counts once
            key = np.unique(situation.steps * size + kind[history], return_index=True)[1] if len(history) else np.zeros(0, int)
            held = np.bincount(kind[history[key]], weight[key], size)
            out[:, column] = np.log1p(held[kind[items]] / baskets / _FLOOR)
        if len(history):
            bought, place = np.unique(history, return_inverse=True)
            mass = np.bincount(place, weight)
            out[:, 6] = self.text[items] @ _unit((mass @ self.text[bought])[None])[0]
            near = self.text[items] @ self.text[bought].T
            near[items[:, None] == bought[None]] = -1.0  # likeness to oneself is no news
            out[:, 7] = near.max(1)
            out[:, 8] = self.ids[items] @ _unit((mass @ self.ids[bought])[None])[0]
            out[:, 12] = self.log_price[items] - mass @ self.log_price[bought] / mass.sum()
            share = mass @ self.own_brand[bought] / mass.sum()
            out[:, 13] = np.where(self.own_brand[items] > 0, share, 1 - share)
        category = self.kinds[1][items]
        out[:, 9] = self.popular[items]
        out[:, 10] = self.momentum(situation.day)[category]
        word = self.occasion(situation.day)
        if word in self.occasions:
            out[:, 11] = self.text[items] @ self.occasions[word]
        out[:, 14] = self._alike_of(situation)[category]
        week = int((situation.day - self.first_day).astype(int)) // DAYS
        out[:, 15] = self.records.deals.on_deal(week - 1)[items]  # last week's offers; this week's are not over
        return out

    def _alike_of(self, situation: Situation) -> Floats:
        """What households like this one buy; nought where nothing is known of it. Shape: (categories,)."""
        return self.alike[situation.user] if situation.user != NOBODY else np.zeros(self.alike.shape[1], np.float32)

    def momentum(self, day: np.datetime64) -> Floats:
        """log of how many times its usual share each category sold in the last fortnight. Shape: (categories,)."""
        end = int(np.clip((day - self.first_day).astype(int), 0, len(self.sold) - 1))
        before, inside = self.sold[end], self.sold[end] - self.sold[max(end - _MOMENTUM_DAYS, 0)]
        share = inside.sum() / max(before.sum(), 1.0)
        if not share:
            return np.zeros(len(before))
        return np.log((inside + _SMOOTHING * share) / ((before + _SMOOTHING) * share))

    @staticmethod
    def occasion(day: np.datetime64) -> str:
        """The word of the calendar for a day: its occasion, else its season."""
        date = day.astype("datetime64[D]").astype(object)
        return calendar.holiday_of(date) or calendar.season_of(date)

    # facts of households ----------------------------------------------------------------------------------------------

    def user_facts(self, situation: Situation) -> Floats:
        """Facts of a household alone, whatever is proposed to it. Shape: (len(USER_FACTS),) float32."""
        history, steps = situation.history, situation.steps
        if not len(history):
            return np.zeros(len(USER_FACTS), np.float32)
        starts = np.flatnonzero(np.concatenate([[True], steps[1:] != steps[:-1]]))
        recent = int(starts[-_NEWEST]) if len(starts) > _NEWEST else 0
        known = history[:recent]
        return np.array(
            [
                np.log1p(len(starts)),
                len(np.unique(history)) / len(history),
                float(np.mean(~np.isin(history[recent:], known))) if recent else 0.5,
                float(self.own_brand[history].mean()),
                float(self.log_price[history].mean()),
                np.log1p(len(history) / len(starts)),
                float(bool(self._alike_of(situation).any())),
            ],
            np.float32,
        )

    # sentences --------------------------------------------------------------------------------------------------------

    def cite(self, fact: str, value: float, situation: Situation, item: int) -> str:
        """The fact as a clause of a sentence; `value` is that of `facts`."""
        name = {"type": self.names[c.TYPE], "category": self.names[c.CATEGORY], "department": self.names[c.DEPARTMENT]}
        if fact == "times":
            times = round(float(np.expm1(value)))
            return f"bought {times} time{'s' if times != 1 else ''} before" if times else "never bought before"
        if fact == "days":
            days = round(float(np.expm1(value)))
            return f"last bought {days} day{'s' if days != 1 else ''} ago" if days < _NEVER else "never bought before"
        if fact == "due":
            return (
                "overdue by its own rhythm" if value > 0 else "bought again sooner than usual" if value < 0 else "no rhythm known"
            )
        if fact.endswith(" rate"):
            kind = fact.removesuffix(" rate")
            share = float(np.expm1(value)) * _FLOOR
            return f"{name[kind][item]} ({kind}) in {min(share, 1.0):.0%} of its baskets lately"
        if fact == "nearest" and len(situation.history):
            bought = np.unique(situation.history[situation.history != item])
            if len(bought):
                best = int(bought[np.argmax(self.text[bought] @ self.text[item])])
                return f"like “{self.title[best]}”, which it buys (cosine {value:.2f})"
        if fact == "momentum":
            return f"{name['category'][item]} sold {np.exp(value):.1f} times its usual share in the last two weeks"
        if fact == "occasion":
            return f"for {self.occasion(situation.day)} (cosine {value:.2f})"
        if fact == "price":
            return f"{abs(np.expm1(value)):.0%} {'dearer' if value > 0 else 'cheaper'} than what it usually buys"
        if fact == "alike":
            return f"households like this one ({self.profile[situation.user]}) buy {name['category'][item]} {np.exp(value):.1f} times as often"
        if fact == "deal":
            return "on offer last week" if value else "not on offer last week"
        texts = {
            "text": "cosine {:.2f} with its taste", "behaviour": "bought together with what it buys (cosine {:.2f})",
            "brand": "{:.0%} of its purchases are of this kind of brand", "nearest": "nearest purchase at cosine {:.2f}",
        }  # fmt: skip
        if fact == "popular":
            return f"bought {round(float(np.expm1(value))):,} times in the shop"
        return texts[fact].format(value)


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors = np.asarray(vectors, np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def sold_before(day: Ints, kind: Ints, days: int, kinds: int) -> Floats:
    """Lines of each kind before each day. Shape: day, kind (lines,) → (days + 1, kinds)."""
    sold = np.zeros((days + 1, kinds))
    np.add.at(sold, (day + 1, kind), 1.0)
    return np.cumsum(sold, axis=0)


def _alike(dataset: Dataset, lines: pd.DataFrame, category_of: np.ndarray, n_categories: int) -> Floats:
    """How many times as often (log) households with a user's attributes buy each category; 0 where none is known.

    The mean over the user's known attributes. Shape: (n_users, categories) float32.
    """
    attributes = [column for column in dataset.users.columns if column not in (c.USER, c.PROFILE)]
    out, known = np.zeros((len(dataset.users), n_categories)), np.zeros(len(dataset.users))
    user, category = lines[c.EVENT_USER].to_numpy(), category_of[lines[c.EVENT_ITEM].to_numpy()]
    total = np.bincount(category, minlength=n_categories)
    for column in attributes:
        code, values = pd.factorize(dataset.users[column].fillna("").astype(str))
        code = np.where(np.asarray(values, dtype=str)[code] == "", -1, code) if len(values) else code
        if not (code >= 0).any():
            continue
        own = code[user]
        held = np.zeros((len(values), n_categories))
        np.add.at(held, (own[own >= 0], category[own >= 0]), 1.0)
        share = np.maximum(held.sum(1, keepdims=True) / max(len(user), 1), 1e-9)  # of all lines
        lift = np.log((held + _SMOOTHING * share) / ((total + _SMOOTHING) * share))
        has = code >= 0
        out[has] += lift[code[has]]
        known += has
    return (out / np.maximum(known, 1)[:, None]).astype(np.float32)
