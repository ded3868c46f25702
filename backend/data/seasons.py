"""A fair test of seasons with one year of data: the same occasion does not come twice, so households are held out instead of time.

- Held households' training baskets neither train nor are counted, so pools and model know the occasion from other households alone.
- An example is a held household's last basket of an occasion (or season) that is large enough and has a past, in the training period:
  all the year's occasions are asked about, not only those of its last weeks.
- What the grounding counted before (co-purchases) still includes the held households: the projection knows items, not households.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from backend.data import calendar, schema
from backend.data.schema import Dataset
from backend.data.split import Split, with_past

HELD_SEED = 7  # of the draw of households: one for all trainings, so that models of several seeds are asked the same
WORD = "word"  # column of the examples: the occasion or season that a basket stands for


@dataclass(frozen=True)
class SeasonSplit:
    """Households held out.

    Attributes:
        held: whether a household is. Shape: (n_users,) bool
        train: training baskets of the others, with the columns of `split.baskets`.
        counted: training events of the others. Shape: (n_events,) bool
        examples: baskets of the held households, with the columns of `split.baskets` and `word`; a basket of an occasion stands for
            its season too where no later basket of the household does.
    """

    held: np.ndarray
    train: pd.DataFrame
    counted: np.ndarray
    examples: pd.DataFrame


def hold_out(dataset: Dataset, parts: Split, share: float = 0.1, min_targets: int = 3) -> SeasonSplit:
    """Hold out a share of the households for all occasions and seasons of the training period.

    Args:
        parts: the split in time.
        share: of the households, between 0 and 1.
        min_targets: smallest basket that becomes an example, in distinct items.
    """
    held = np.random.default_rng(HELD_SEED).random(len(dataset.users)) < share
    own = held[parts.train[schema.EVENT_USER].to_numpy()]
    mine = parts.train[own]
    fit = with_past(mine, min_targets)
    days = fit[schema.TIME].to_numpy()
    found = []
    for word in calendar.words():
        inside = fit[calendar.inside(days, word)].assign(**{WORD: word})
        found.append(inside.drop_duplicates(schema.EVENT_USER, keep="last"))
    examples = pd.concat(found).sort_values([schema.EVENT_USER, schema.TIME, WORD], ignore_index=True)
    counted = parts.train_events & ~held[dataset.events[schema.EVENT_USER].to_numpy()]
    return SeasonSplit(held, parts.train[~own].reset_index(drop=True), counted, examples)
