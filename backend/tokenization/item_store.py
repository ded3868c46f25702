"""The item store: frozen vectors of every item, from which the soft unique-item token is made (SIGMA §1.2).

- One row an item: ID vector (behaviour), text vector (grounded), image vector (may be absent for the whole catalogue), and a few
  standardised behaviour statistics that unit-norm ID vectors do not hold (popularity, repeat rate, price).
- The trend (popularity of two weeks, by week) stands beside them: requests see the newest, training that of its time.
- Names of type, category and department stand beside them as sentence vectors, each name once: an instruction may say them outright.
- A new item joins with its vectors alone: `add` appends a row; without behaviour its ID part is zero, which Proj&Fuse
  has seen in training (ID dropout). Sales it has none, and none would bury it: it is taken to sell like what lies nearest to it (ours).
- Semantic IDs stand beside the vectors, so that store, codebooks and model can be checked against each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from backend.data import schema as c
from backend.data.trend import Trend
from backend.errors import WorkspaceError

STATISTICS = ("log_popularity", "repeat_rate", "log_price")
NAMED = (c.TYPE, c.CATEGORY, c.DEPARTMENT)  # the names an item goes by, beside its title
_NEAREST = 10  # known items that a new one is taken to sell like


@dataclass(frozen=True)
class ItemStore:
    """Frozen vectors and semantic IDs of all items.

    Shape:
        ids: (n, id_dim) unit norm or zero; text: (n, dim) unit norm; image: (n, image_dim) or None;
        statistics: (n, 3) standardised, zero for items never bought; sids: (n, levels) int64;
        names: (m, sentence_dim) unit norm, of all names; name_of: (n, len(NAMED)) rows of names, -1 = none; trend.table: (weeks, n).
    """

    ids: np.ndarray
    text: np.ndarray
    image: np.ndarray | None
    statistics: np.ndarray
    sids: np.ndarray
    names: np.ndarray
    name_of: np.ndarray
    trend: Trend

    def __post_init__(self) -> None:
        lengths = {
            len(self.ids),
            len(self.text),
            len(self.statistics),
            len(self.sids),
            len(self.name_of),
            self.trend.table.shape[1],
        }
        if self.image is not None:
            lengths.add(len(self.image))
        if len(lengths) != 1:
            raise WorkspaceError(
                f"item store and semantic IDs disagree on the number of items: {sorted(lengths)}", mend="build again"
            )

    def __len__(self) -> int:
        return len(self.sids)

    def add(
        self, text: np.ndarray, sids: np.ndarray, image: np.ndarray | None = None, name_of: np.ndarray | None = None
    ) -> ItemStore:
        """A new store with cold items appended, known by their vectors alone; statistics and trend are the mean of their nearest items'.

        Shape:
            text: (m, dim) grounded text vectors; sids: (m, levels); image: (m, image_dim) or None;
            name_of: (m, len(NAMED)) rows of the store's names, or None where they go by none of them.
        """
        m = len(text)
        near = np.argsort(-(text @ self.text.T), axis=1, kind="stable")[:, :_NEAREST]  # (m, ≤ 10) rows of known items
        name_of = np.full((m, len(NAMED)), -1, np.int64) if name_of is None else name_of
        joined = None
        if self.image is not None:
            joined = np.concatenate([self.image, np.zeros((m, self.image.shape[1]), np.float32) if image is None else image])
        return ItemStore(
            np.concatenate([self.ids, np.zeros((m, self.ids.shape[1]), np.float32)]),
            np.concatenate([self.text, text]).astype(np.float32),
            joined,
            np.concatenate([self.statistics, self.statistics[near].mean(1)]),
            np.concatenate([self.sids, sids]),
            self.names,
            np.concatenate([self.name_of, name_of]),
            self.trend.grown(self.trend.table[:, near].mean(2)),
        )


def item_names(items: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    """All names that items go by, each once, and which item goes by which.

    Shape:
        returns: m names, (n_items, len(NAMED)) rows of them, -1 where the field is empty.
    """
    fields = np.stack([items[column].fillna("").to_numpy(str) for column in NAMED], axis=1)  # (n_items, fields)
    names, rows = np.unique(fields, return_inverse=True)
    rows = rows.reshape(fields.shape)
    return (names[1:].tolist(), rows - 1) if len(names) and not names[0] else (names.tolist(), rows)


def item_statistics(items: pd.DataFrame, train_events: pd.DataFrame) -> np.ndarray:
    """Standardised behaviour statistics from training events only; zero rows for items never bought there.

    Shape:
        returns: (n_items, 3) float32, columns as in `STATISTICS`.
    """
    n = len(items)
    baskets = np.bincount(train_events[c.EVENT_ITEM], minlength=n).astype(float)
    buyers = train_events.groupby(c.EVENT_ITEM)[c.EVENT_USER].nunique().reindex(range(n), fill_value=0).to_numpy(float)
    repeat = np.where(buyers > 0, baskets / np.maximum(buyers, 1), 0.0)
    raw = np.stack([np.log1p(baskets), np.log1p(repeat), np.log1p(items[c.PRICE].to_numpy(float))], axis=1)
    known = baskets > 0
    mean, std = raw[known].mean(0), raw[known].std(0) + 1e-6
    return np.where(known[:, None], (raw - mean) / std, 0.0).astype(np.float32)
