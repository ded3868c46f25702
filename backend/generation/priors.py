"""Priors that fusion may add to the model's probabilities: the household's own repeat purchases, and popularity.

Both are logs of ratios, 0 where they say nothing, so that a weight of zero and an unseen item are the same thing.
"""

from __future__ import annotations

import numpy as np

HALF_LIFE_DAYS = 60.0
_FLOOR = 0.01  # purchase rate that counts as "never": one basket in a hundred


def repeat_prior(items: np.ndarray, days: np.ndarray, steps: np.ndarray, n_items: int) -> np.ndarray:
    """log(1 + r_u(i)/floor), r = recency-weighted share of the household's baskets that hold the item.

    Shape:
        items, days, steps: (events,) item row, age in days, basket of each past event; returns: (n_items,) ≥ 0, zero if never bought.
    """
    if not len(items):
        return np.zeros(n_items)
    weight = np.exp2(-days / HALF_LIFE_DAYS)
    first = np.concatenate([[True], steps[1:] != steps[:-1]])  # one event of each basket (events of a basket are adjacent)
    rate = np.bincount(items, weight, n_items) / weight[first].sum()
    return np.log1p(rate / _FLOOR)


def popularity_prior(train_items: np.ndarray, n_items: int) -> np.ndarray:
    """log(1 + training baskets), centred over the items. Shape: (events,) → (n_items,)."""
    value = np.log1p(np.bincount(train_items, minlength=n_items))
    return value - value.mean()
