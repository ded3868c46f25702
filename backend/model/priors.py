"""What is known of an item without the decoder: the household's record, and how popular it is (ours).

- `Priors` turns a record into a few *terms* for each item: how strongly it asks to be bought again (a small MLP over the receipts'
  features), how familiar its category is, whether that was bought lately, and the item's popularity.
- How much each term weighs is not decided here but read off the decoder's hidden state, so the instruction decides: much for a next
  basket, little for something new, less than nothing for a category that is on the table every week.
- The pointer of RepeatNet (Ren et al. 2019), in product form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backend.data.record import OWN, Record

TERMS = ("again", "familiar", "lately", "popularity")  # columns of the terms; all but the last are the repeat prior
REPEAT_TERMS = 3
_HIDDEN = 32


@dataclass
class RecordBatch:
    """Records of a batch of trees.

    Shape:
        tree, item: (purchases,) which tree, which item row; own: (purchases, len(OWN)); familiar, lately: (trees, n_items).
    """

    tree: Tensor
    item: Tensor
    own: Tensor
    familiar: Tensor
    lately: Tensor

    @classmethod
    def of(cls, records: Sequence[Record]) -> RecordBatch:
        """Records, one a tree."""
        return cls(
            torch.from_numpy(np.repeat(np.arange(len(records)), [len(record.items) for record in records])),
            torch.from_numpy(np.concatenate([record.items for record in records])),
            torch.from_numpy(np.concatenate([record.own for record in records])),
            torch.from_numpy(np.stack([record.familiar for record in records])),
            torch.from_numpy(np.stack([record.lately for record in records])),
        )


class Priors(nn.Module):
    """From a record to terms, and to the weights with which the history's soft tokens make the household's taste."""

    def __init__(self, n_statistics: int) -> None:
        super().__init__()
        width = len(OWN) + n_statistics + 1
        self.hidden = nn.Linear(width, _HIDDEN)
        self.again = nn.Linear(_HIDDEN, 1)
        self.taste = nn.Linear(_HIDDEN, 1)
        for head in (self.again, self.taste):  # at the start both are the plain rate of the last 60 days
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    def forward(self, records: RecordBatch, statistics: Tensor) -> tuple[Tensor, Tensor]:
        """Terms of all items, and taste weights.

        Shape:
            statistics: (n_items, n_statistics); returns: terms (trees, n_items, len(TERMS)), taste (trees, n_items) ≥ 0.
        """
        trees, n_items = records.familiar.shape
        own = torch.cat([records.own, statistics[records.item], records.familiar[records.tree, records.item, None]], dim=1)
        hidden = F.gelu(self.hidden(own))
        rate = records.own[:, 0]
        both = torch.stack([rate + self.again(hidden)[:, 0], rate * F.softplus(self.taste(hidden)[:, 0])], dim=1)
        at = records.tree * n_items + records.item
        spread = torch.zeros(trees * n_items, 2).index_put((at,), both.float()).view(trees, n_items, 2)
        popularity = statistics[:, 0].expand(trees, -1)
        return torch.stack([spread[..., 0], records.familiar, records.lately, popularity], dim=-1), spread[..., 1]
