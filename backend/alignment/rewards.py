"""Business rewards: what an item in a list is worth to the shop, given what the household then bought.

- *Expected value* (ours): the money an item earns when a unit of it sells, times how near it comes to what was bought: the item itself,
  another of its type, category, department. Nearly every group then holds different rewards, while exact hits alone leave most groups
  of a small model without any variance.
- Money is what the receipts say: regular price × usual quantity × margin, less the usual discount. **The data holds no costs**: the
  margin is a proxy, two shares in the settings, and every report says so. An item that is sold below it keeps a least margin, so that
  no purchase counts as a loss of what the shop chose to give away.
- *Correctness* is the setting of the papers on public data: 1 for a hit, and a penalty for each wrong item, the larger the higher the
  model ranked it. A group without a hit says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from backend.data import schema as c
from backend.data.naming import PRIVATE
from backend.data.schema import Dataset
from backend.settings import RewardSettings

SMOOTHING = 5.0  # lines of the catalogue's own usual quantity and discount that are added to every item's

Floats = npt.NDArray[np.floating]


def expected_value(dataset: Dataset, events: npt.NDArray[np.bool_], settings: RewardSettings) -> Floats:
    """Dollars that the shop keeps of one line of an item: max(price·quantity·margin - discount, least margin·price·quantity).

    Quantity and discount are means over the item's lines, smoothed towards those of the catalogue (the discount: as a share of the price).

    Args:
        events: the lines that may be counted. Shape: (n_events,)

    Shape:
        returns: (n_items,) float64, > 0 wherever the price and the least margin are.
    """
    lines = dataset.events.loc[np.asarray(events)]
    item, quantity = lines[c.EVENT_ITEM].to_numpy(), lines[c.QUANTITY].to_numpy(float)
    price = dataset.items[c.PRICE].to_numpy(float)  # regular, of one unit
    sold = np.bincount(item, minlength=len(price))
    usual = quantity.mean() if len(lines) else 1.0
    units = (np.bincount(item, quantity, len(price)) + SMOOTHING * usual) / (sold + SMOOTHING)  # (n_items,) of one line
    given = lines[c.DISCOUNT].to_numpy(float)
    turnover = float((price[item] * quantity).sum())
    share = float(given.sum()) / turnover if turnover else 0.0  # of the regular price, over the whole catalogue
    discount = (np.bincount(item, given, len(price)) + SMOOTHING * share * price * usual) / (sold + SMOOTHING)
    own = (dataset.items[c.BRAND] == PRIVATE).to_numpy()
    regular = price * units
    margin = np.where(own, settings.store_brand_margin, settings.margin)
    return np.maximum(regular * margin - discount, settings.least_margin * regular)


class Matches:
    """How near items come to what was bought: the closest grade of any purchase."""

    def __init__(self, dataset: Dataset) -> None:
        names = dataset.items[[c.DEPARTMENT, c.CATEGORY, c.TYPE]].fillna("").astype(str)
        department = names[c.DEPARTMENT]
        category = department + "\x00" + names[c.CATEGORY]  # two departments may each have an "Other"
        kinds = (category + "\x00" + names[c.TYPE], category, department)
        self._codes = [np.arange(len(names)), *(pd.factorize(kind)[0] for kind in kinds)]

    def grades(self, bought: npt.NDArray[np.integer], settings: RewardSettings) -> Floats:
        """The best grade of every item; 0 where not even the department was bought.

        Shape:
            bought: (b,) item rows; returns: (n_items,) float64.
        """
        best = np.zeros(len(self._codes[0]))
        for codes, grade in zip(self._codes, settings.grades, strict=True):
            hit = np.zeros(int(codes.max(initial=-1)) + 1, bool)
            hit[codes[bought]] = True
            best = np.maximum(best, grade * hit[codes])
        return best


class BusinessReward:
    """Rewards of the rollouts of a context.

    Args:
        events: lines that the money is counted on: of the training period. Shape: (n_events,) bool
    """

    def __init__(self, dataset: Dataset, events: npt.NDArray[np.bool_], settings: RewardSettings) -> None:
        self.settings = settings
        self.value = expected_value(dataset, events, settings)
        self._matches = Matches(dataset)

    def __call__(self, rollouts: npt.NDArray[np.integer], bought: npt.NDArray[np.integer]) -> Floats:
        """Rewards: dollars, or right and wrong, as the settings have it.

        Shape:
            rollouts: (G,) item rows, the likeliest first; bought: (b,) item rows; returns: (G,) float64.
        """
        if self.settings.kind == "correct":
            return correctness(rollouts, bought)
        return (self.value * self._matches.grades(bought, self.settings))[rollouts]


def correctness(rollouts: npt.NDArray[np.integer], bought: Sequence[int] | npt.NDArray[np.integer]) -> Floats:
    """1 for a hit; for a wrong item at rank r, minus its share of Σ 1/log2(r + 1) over the group's wrong items; 0 without any hit.

    The rank-aware penalty of the papers' public setting; that a group without a hit says nothing is how their code has it.

    Shape:
        rollouts: (G,) item rows, the likeliest first; bought: (b,); returns: (G,) float64.
    """
    hit = np.isin(rollouts, bought)
    if not hit.any():
        return np.zeros(len(rollouts))
    penalty = np.where(hit, 0.0, 1.0 / np.log2(np.arange(len(rollouts)) + 2.0))
    return hit - penalty / max(penalty.sum(), 1e-12)
