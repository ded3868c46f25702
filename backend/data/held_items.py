"""Items held out of everything: a dataset that has never heard of them, and one in which they have joined, to be asked about.

- What trains gets tables without the items: no text, event, query, statistic, pair, label or history of theirs is left that anything could
  learn from. No setting of the training has to be trusted for that.
- For the questions they join behind the known items. Of their events only those inside the asked baskets are there: they are
  bought for the first time, since a shop knows no purchases of what it did not sell.
- The draw is stratified by department and by how often an item was bought.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from backend.data import schema
from backend.data.assemble import assemble
from backend.data.schema import Dataset
from backend.data.split import START, STOP, Split
from backend.errors import RequestError

_BANDS = 3  # parts of each department by number of training purchases


@dataclass(frozen=True)
class HeldItems:
    """Two datasets over one catalogue.

    Attributes:
        known: without the held items.
        joined: the known items in the same rows, then the held ones.
        rows: where each row of `joined` stood before. Shape: (n_items,)
    """

    known: Dataset
    joined: Dataset
    rows: np.ndarray

    @property
    def held(self) -> np.ndarray:
        """Which rows of `joined` are held items. Shape: (n_items,) bool."""
        return np.arange(self.joined.n_items) >= self.known.n_items


def draw_held(dataset: Dataset, parts: Split, share: float, seed: int) -> np.ndarray:
    """Items to hold out, the same share of every department's often, sometimes and seldom bought ones. Shape: (n_items,) bool.

    Raises:
        RequestError: the share leaves nothing to hold out or nothing to know.
    """
    rng = np.random.default_rng(seed)
    bought = np.bincount(dataset.events.loc[parts.train_events, schema.EVENT_ITEM], minlength=dataset.n_items)
    frame = pd.DataFrame({"department": dataset.items[schema.DEPARTMENT].to_numpy(), "bought": bought})
    order = frame.sort_values(["department", "bought"], kind="stable").index.to_numpy()  # neighbours are alike
    place = frame.groupby("department")["bought"].rank(method="first", pct=True)
    band = np.minimum((place.to_numpy() * _BANDS).astype(int), _BANDS - 1)
    held = np.zeros(dataset.n_items, bool)
    carried = rng.random()  # small strata share their fractions, so that the whole comes out right
    for _, rows in pd.Series(order).groupby([frame["department"].to_numpy()[order], band[order]], sort=False):
        wanted = share * len(rows) + carried
        count, carried = int(wanted), wanted - int(wanted)
        held[rng.permutation(rows.to_numpy())[:count]] = True
    if not held.any() or held.all():
        raise RequestError(f"a share of {share:g} holds out {int(held.sum())} of {len(held)} items", "share", "give one between")
    return held


def hold_out_items(dataset: Dataset, parts: Split, held: np.ndarray, asked: pd.DataFrame) -> HeldItems:
    """The two datasets.

    Args:
        parts: the split of `dataset`, for what trains.
        held: items to hold out. Shape: (n_items,) bool
        asked: baskets in which held items may be found, with the columns of `split.baskets`.
    """
    rows = np.concatenate([np.flatnonzero(~held), np.flatnonzero(held)])
    place = np.empty(len(rows), np.int64)
    place[rows] = np.arange(len(rows))
    new = held[dataset.events[schema.EVENT_ITEM].to_numpy()]
    inside = np.zeros(len(new), bool)
    for start, stop in zip(asked[START], asked[STOP], strict=True):
        inside[start:stop] = True
    known = int((~held).sum())
    items = dataset.items.iloc[rows].reset_index(drop=True)
    events, queries = (
        frame.assign(**{column: place[frame[column].to_numpy()]})
        for frame, column in ((dataset.events, schema.EVENT_ITEM), (dataset.queries, schema.QUERY_ITEM))
    )
    without = assemble(
        f"{dataset.name} without held items",
        items.iloc[:known],
        dataset.users,
        events[~new],
        queries[queries[schema.QUERY_ITEM] < known],
    )
    joined = assemble(f"{dataset.name} with items that joined", items, dataset.users, events[~new | inside], queries)
    return HeldItems(without, joined, rows)
