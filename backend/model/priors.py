"""What is known of an item without the decoder: the household's record, and how popular it is (ours).

- `Priors` turns a record into a few *terms* for each item: how strongly it asks to be bought again (a small MLP over the receipts'
  features, an output for each demand), how familiar its category is, whether that was bought lately, and how popular the item is, in the
  whole training period and in two weeks of it (`backend.data.trend`).
- How much each term weighs is not decided here but by the instruction's demand (`backend.model.instruction`): much for a next
  basket, little for something new, less than nothing for a category that is on the table every week.
- The pointer of RepeatNet (Ren et al. 2019), in product form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backend.data.record import OWN, Record

TERMS = ("familiar", "lately", "popularity", "trend")  # last columns of the terms, behind one "again" for each demand
POPULAR = 2  # how many of the last terms say what everybody buys; those before are the repeat prior
_HIDDEN = 32


@dataclass
class RecordBatch:
    """Records of a batch of trees.

    Shape:
        tree, item: (purchases,) which tree, which item row; own: (purchases, len(OWN)); familiar, lately: (trees, n_items); week: (trees,);
        pools: (trees, n_items) bool of each demand whose pool hangs on the household or the week.
    """

    tree: Tensor
    item: Tensor
    own: Tensor
    familiar: Tensor
    lately: Tensor
    week: Tensor
    pools: Mapping[str, Tensor]

    @classmethod
    def of(cls, records: Sequence[Record]) -> RecordBatch:
        """Records, one a tree."""
        lately = torch.from_numpy(np.stack([record.lately for record in records]))
        due = torch.from_numpy(np.stack([record.due for record in records]))
        deals = torch.from_numpy(
            np.stack([np.ones_like(record.due) if record.deals is None else record.deals for record in records])
        )
        return cls(
            torch.from_numpy(np.repeat(np.arange(len(records)), [len(record.items) for record in records])),
            torch.from_numpy(np.concatenate([record.items for record in records])),
            torch.from_numpy(np.concatenate([record.own for record in records])),
            torch.from_numpy(np.stack([record.familiar for record in records])),
            lately,
            torch.tensor([record.week for record in records], dtype=torch.long),
            {"Discover": lately == 0, "Replenish": due, "Deals": deals},
        )


class Priors(nn.Module):
    """From a record to terms, and to the weights with which the history's soft tokens make the household's taste."""

    def __init__(self, n_statistics: int, demands: int) -> None:
        super().__init__()
        width = len(OWN) + n_statistics + 1
        self.hidden = nn.Linear(width, _HIDDEN)
        self.again = nn.Linear(_HIDDEN, demands)
        self.taste = nn.Linear(_HIDDEN, 1)
        for head in (self.again, self.taste):  # at the start both are the plain rate of the last 60 days
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    def forward(self, records: RecordBatch, statistics: Tensor, trend: Tensor) -> tuple[Tensor, Tensor]:
        """Terms of all items, and taste weights.

        Shape:
            statistics: (n_items, n_statistics); trend: (weeks, n_items); returns: terms (trees, n_items,
            demands + len(TERMS)), taste (trees, n_items) ≥ 0.
        """
        trees, n_items = records.familiar.shape
        own = torch.cat([records.own, statistics[records.item], records.familiar[records.tree, records.item, None]], dim=1)
        hidden = F.gelu(self.hidden(own))
        rate = records.own[:, :1]
        both = torch.cat([rate + self.again(hidden), rate * F.softplus(self.taste(hidden))], dim=1)  # (purchases, demands + 1)
        at = records.tree * n_items + records.item
        spread = torch.zeros(trees * n_items, both.shape[1]).index_put((at,), both.float()).view(trees, n_items, -1)
        rest = torch.stack([records.familiar, records.lately, statistics[:, 0].expand(trees, -1), trend[records.week]], dim=-1)
        return torch.cat([spread[..., :-1], rest], dim=-1), spread[..., -1]
