"""What an instruction does to the ranking beside being read by the decoder (ours).

- Its *demand*: which of the trained tasks it asks for, as probabilities. Each demand has its own row of *gates*: how far the household's
  taste and the instruction's words pull h, how much nearness counts, how much each prior weighs. Training takes the demand as given
  (it knows the task); at serving `backend.instructions.demand` reads it, so a wording never met is understood as well as it is read.
- Its *words*: the soft token that an item with this text would have, and what a small MLP adds: a sentence is not a title.
- The *names* it says: its nearness to the names of an item's type, category and department. The soft token of an item blends all that is
  known of it, a shelf's name is said outright; "something in cheese" is about the second.
- The *pool*: whether an item is what is asked for at all (`pool_of`), as far as the text, the household and the week tell.
- Nearness is the mean of four cosines (h to the soft token, the sentence to three names) and the pool, each as heavy as the demand has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backend.instructions.catalogue import Catalogue
from backend.model.fuse import ProjFuse
from backend.tokenization.item_store import NAMED

_PULLS, _NEAR = 2, 1 + len(NAMED) + 1
GATES = ("taste", "words", "soft token", *NAMED, "pool", "again", "familiar", "lately", "popularity", "trend")
_START = {"soft token": -1.5, "again": 0.54, "popularity": 0.6, "pool": -1.0, **dict.fromkeys(NAMED, -4.0)}  # else 0
_SPEED = 4.0  # gates are a few scalars that have far to go; Adam moves each weight by at most the learning rate a step
_UNHEARD = 0.2  # of the instructions in training have no pool, so that words keep their meaning where none is found
_NOISE = 0.3  # on vectors of length 1 in training: what many sentences have in common, not each one's own


@dataclass(frozen=True)
class Said:
    """Instructions as vectors.

    Shape:
        grounded: (n, text_dim) in the items' space; sentence: (n, sentence_dim) as the text encoder has it; demand: (n, demands) probabilities;
        pools: of each text, (n_items,) bool by demand, of the demands whose pool it says.
    """

    grounded: Tensor
    sentence: Tensor
    demand: Tensor
    pools: Sequence[Mapping[str, np.ndarray]]


class Listen(Protocol):
    """Turns texts into `Said`."""

    tasks: tuple[str, ...]  # the demands that it tells apart
    sentence_dim: int
    catalogue: Catalogue  # what instructions are read with

    def __call__(self, texts: Sequence[str], demand: Tensor | None = None) -> Said:
        """Vectors of instructions; `demand` where it is known, else it is read."""


@dataclass
class Wish:
    """What instructions ask for.

    Shape:
        words: (n, item_dim) unit norm; pulls: (n, 2) ≥ 0 of taste and words on h; weights: (n, 1 + terms) how much nearness counts,
        and the weight of each term; share: (n, 1) of h among the cosines; named: (n, n_items) what the names and the pool add to nearness.
    """

    words: Tensor
    pulls: Tensor
    weights: Tensor
    share: Tensor
    named: Tensor


class Instruction(nn.Module):
    """From vectors of instructions to what they ask for.

    Args:
        text_dim, sentence_dim: widths of grounded and of sentence vectors; item_dim: of soft tokens; demands: how many are told apart.
        near: False for a model that cannot rank inside a prefix (SID only): nearness counts nothing.
    """

    def __init__(self, text_dim: int, sentence_dim: int, item_dim: int, demands: int, near: bool = True) -> None:
        super().__init__()
        width = text_dim + sentence_dim
        self.near = near
        self.add = nn.Sequential(nn.Linear(width, 2 * item_dim), nn.GELU(), nn.Linear(2 * item_dim, item_dim))
        self.asks = nn.ModuleList(
            nn.Sequential(nn.Linear(width, item_dim), nn.GELU(), nn.Linear(item_dim, sentence_dim)) for _ in NAMED
        )
        for last in (self.add[-1], *(ask[-1] for ask in self.asks)):  # type: ignore[index]
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        start = torch.tensor([_START.get(name, 0.0) for name in GATES])
        self.gates = nn.Parameter(start.repeat(demands, 1) / _SPEED)

    def forward(self, said: Said, fuse: ProjFuse, names: Tensor, name_of: Tensor, pool: Tensor) -> Wish:
        """What instructions ask for.

        Shape:
            names: (m, sentence_dim) unit norm; name_of: (n_items, len(NAMED)) rows of names, -1 where an item has none;
            pool: (n, n_items) as `pool_of` gives it.
        """
        both = torch.cat([said.grounded, said.sentence], dim=1)
        if self.training:
            both = both + _NOISE / both.shape[1] ** 0.5 * torch.randn_like(both)
            pool = torch.where(torch.rand(len(pool), 1) < _UNHEARD, 1.0, pool)
        gates = _SPEED * (said.demand @ self.gates)  # (n, gates)
        near = F.softplus(gates[:, _PULLS : _PULLS + _NEAR])
        near = torch.cat([near[:, :1], near[:, 1:-1] * float(bool(len(names))), near[:, -1:]], dim=1) * float(self.near)
        all_near = near.sum(1, keepdim=True)
        share = near / all_near.clamp(min=1e-6)  # (n, 1 + names + 1)
        named = share[:, -1:] * pool
        for place, ask in enumerate(self.asks if len(names) else ()):
            cosine = F.normalize(said.sentence + ask(both), dim=-1) @ names.T  # (n, m)
            own = name_of[:, place]
            named = named + share[:, 1 + place, None] * cosine[:, own.clamp(min=0)] * (own >= 0)
        first, rest = gates[:, _PULLS + _NEAR, None], gates[:, _PULLS + _NEAR + 1 :]
        return Wish(
            words=F.normalize(fuse.of_text(said.grounded) + self.add(both), dim=-1),
            pulls=F.softplus(gates[:, :_PULLS]),
            weights=torch.cat([all_near, F.softplus(first) * said.demand, rest], dim=1),
            share=share[:, :1],
            named=named,
        )


def pool_of(said: Said, tasks: Sequence[str], trees: Sequence[int], of_record: Mapping[str, Tensor], n_items: int) -> Tensor:
    """How surely each item is what is asked for at all: Σ P(demand) · [item in its pool], where everything is in a pool that is not known.

    Args:
        tasks: the demands, in the order of `said.demand`.
        trees: how many of the instructions belong to each household.
        of_record: (households, n_items) bool of the demands whose pool hangs on the household.

    Shape:
        returns: (n, n_items) in [0, 1].
    """
    out = torch.ones(len(said.demand), n_items)
    tree = torch.repeat_interleave(torch.arange(len(trees)), torch.tensor(trees, dtype=torch.long))
    for place, task in enumerate(tasks):
        if task in of_record:
            own = of_record[task][tree].float()
            out += said.demand[:, place, None] * torch.where(own.any(1, keepdim=True), own - 1, 0.0)
    for row, pools in enumerate(said.pools):
        for task, pool in pools.items():
            out[row] += said.demand[row, tasks.index(task)] * (torch.from_numpy(pool).float() - 1)
    return out
