"""The trie on tensors, for beams that live on a GPU: the same arrays, the same numbering of nodes, no synchronisation in a step.

- A step is as wide as the widest node of its level (known when the tensors are made), not as the widest among the beams, which would have
  to be asked of the device.
- On a CPU `trie.Trie` is faster: a call of torch costs more than one of numpy at these sizes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backend.tokenization.trie import NodeMask, Trie
from backend.tokenization.trie_level import Level


@dataclass(frozen=True)
class TensorLevel:
    """A level of the trie on a device.

    Shape:
        first: (nodes + 1,) int32; labels: (children,) uint8, int16 or int32, or None; cells: (children,) int32 or None; table: (nodes, codes) float32
        or None.
    """

    codes: int
    widest: int  # children of the node with the most
    first: Tensor
    labels: Tensor | None
    cells: Tensor | None
    table: Tensor | None


@dataclass(frozen=True)
class TensorMask:
    """A `NodeMask` on a device: for each level the penalties of its children and, where it is dense, its table."""

    penalties: tuple[Tensor, ...]
    tables: tuple[Tensor | None, ...]


class TensorTrie:
    """A trie on a device.

    Args:
        trie: the trie.
        device: where its tensors are to be.
    """

    def __init__(self, trie: Trie, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.sizes = trie.sizes
        self.levels = tuple(self._level(level) for level in trie.levels)

    def _level(self, level: Level) -> TensorLevel:
        widest = int(np.diff(level.first).max(initial=0))
        arrays = (self._tensor(array) for array in (level.labels, level.cells, level.table))
        return TensorLevel(level.codes, widest, torch.as_tensor(level.first, device=self.device), *arrays)

    def _tensor(self, array: np.ndarray | None) -> Tensor | None:
        return None if array is None else torch.as_tensor(array, device=self.device)

    def mask(self, mask: NodeMask) -> TensorMask:
        """A mask of the same trie, on the device."""
        penalties = tuple(torch.as_tensor(each, device=self.device) for each in mask.penalties)
        return TensorMask(penalties, tuple(self._tensor(each) for each in mask.tables))

    def scores(
        self, depth: int, nodes: Tensor, logits: Tensor, mask: TensorMask | None = None
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """The logits of the legal continuations of all beams, −inf in the other columns.

        Shape:
            nodes: (beams,) rows of that depth; logits: (beams, codes); returns: scores (beams, width); codes (beams, width), or None where columns
            are codes; children (beams, width) nodes of the next depth, in the first form only their own first one (beams, 1).
        """
        level = self.levels[depth]
        first = level.first[nodes].long()[:, None]
        table = level.table if mask is None else mask.tables[depth]
        if table is not None:
            return logits + table[nodes], None, first
        assert level.labels is not None
        children = first + torch.arange(level.widest, device=self.device)
        inside = children < level.first[nodes + 1][:, None]
        children = children.clamp(max=len(level.labels) - 1)
        codes = level.labels[children].long()
        scores = logits.gather(1, codes).masked_fill(~inside, -torch.inf)
        if mask is not None:
            scores = scores + mask.penalties[depth][children]
        return scores, codes, children

    def full(self, depth: int, nodes: Tensor, logits: Tensor, mask: TensorMask | None = None) -> Tensor:
        """The logits of all codes, −inf where a code is no legal continuation; all −inf for a node of −1. Shape: (beams, codes) both."""
        known = (nodes >= 0)[:, None]
        scores, codes, _ = self.scores(depth, nodes.clamp(min=0), logits, mask)
        scores = scores.masked_fill(~known, -torch.inf)
        if codes is None:
            return scores
        # columns beyond a node's children repeat codes of other nodes with −inf: the largest of a code's columns is its own
        return torch.full_like(logits, -torch.inf).scatter_reduce(1, codes, scores, "amax")

    def walk(self, codes: Tensor) -> Tensor:
        """The nodes that codes lead to from the root, −1 where there is none.

        Shape:
            codes: (k, t) integers, whatever their range; returns: (k,).
        """
        if not self.levels[0].widest:  # an empty catalogue
            return torch.full((len(codes),), -1, device=self.device)
        nodes = torch.zeros(len(codes), dtype=torch.long, device=self.device)
        for level, wanted in zip(self.levels, codes.long().T, strict=False):
            known = (nodes >= 0) & (wanted >= 0) & (wanted < level.codes)
            at, code = nodes.clamp(min=0), wanted.clamp(0, level.codes - 1)
            if level.cells is not None:
                cell = at * level.codes + code
                child = torch.searchsorted(level.cells, cell.to(level.cells.dtype))
                known &= level.cells[child.clamp(max=len(level.cells) - 1)] == cell
            else:
                assert level.labels is not None
                children = level.first[at].long()[:, None] + torch.arange(level.widest, device=self.device)
                same = level.labels[children.clamp(max=len(level.labels) - 1)] == code[:, None]
                same &= children < level.first[at + 1][:, None]
                known &= same.any(1)
                child = children.gather(1, same.int().argmax(1)[:, None])[:, 0]
            nodes = torch.where(known, child, -1)
        return nodes
