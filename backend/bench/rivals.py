"""The obvious ways to keep a beam legal, for comparison: all of them answer a step with the scores of every code, −inf where it is illegal.

- `DictTrie`: nested dictionaries asked beam by beam, through transformers' own `prefix_allowed_tokens_fn`. What most code does.
- `SortedScan`: no trie, only the sorted list of packed SIDs; every code of every beam is looked up in it, in one vectorised call.
- `Kernel`: the trie of this project; `Processor`: the same as a `LogitsProcessor`.

Codes stand for tokens level · codes + code; there are no other tokens and no prompt.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from transformers import PrefixConstrainedLogitsProcessor

from backend.generation.logits_processor import TrieLogitsProcessor
from backend.tokenization.trie import Trie


class Rival(ABC):
    """One way to keep a beam legal, over a catalogue."""

    name: str
    nbytes: int

    def __init__(self, sids: np.ndarray, codes: int) -> None:
        self.levels, self.codes = sids.shape[1], codes

    def prepare(self, codes: np.ndarray, logits: np.ndarray) -> tuple[Any, ...]:
        """What `step` takes, in the form in which a decoder of this kind has it already (not timed).

        Shape:
            codes: (beams, t) so far; logits: (beams, codes) of level t + 1.
        """
        return codes, logits

    @abstractmethod
    def step(self, *prepared: Any) -> Any:
        """The constraint of one step: the timed part."""

    def scores(self, stepped: Any, depth: int) -> np.ndarray:
        """The scores of all codes of a step, −inf where illegal (not timed). Shape: (beams, codes)."""
        found: np.ndarray = stepped
        return found


class Kernel(Rival):
    """The trie: beams are known by their nodes; the step also moves as many beams on to their next nodes."""

    name = "trie kernel"

    def __init__(self, sids: np.ndarray, codes: int) -> None:
        super().__init__(sids, codes)
        self.trie = Trie.build(sids, codes)
        self.nbytes = self.trie.nbytes

    def prepare(self, codes: np.ndarray, logits: np.ndarray) -> tuple[Any, ...]:
        """Nodes instead of codes, and some legal continuations to move on to."""
        nodes, depth = self.trie.walk(codes), codes.shape[1]
        own = self.trie.legal(depth, nodes).scores(logits)
        rows, columns = np.nonzero(own > -np.inf)
        some = np.linspace(0, len(rows) - 1, len(codes)).astype(int)  # as many as there are beams, from all over
        return depth, nodes, logits, rows[some], columns[some]

    def step(self, depth: int, nodes: np.ndarray, logits: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> Any:
        """Legal continuations, their scores, the next nodes."""
        legal = self.trie.legal(depth, nodes)
        return legal, legal.scores(logits), legal.step(rows, columns)

    def scores(self, stepped: Any, depth: int) -> np.ndarray:
        """By code."""
        legal, own, _ = stepped
        found: np.ndarray = legal.spread(own)
        return found


class SortedScan(Rival):
    """Binary search of every beam × code in the sorted list of SIDs."""

    name = "sorted scan"

    def __init__(self, sids: np.ndarray, codes: int) -> None:
        super().__init__(sids, codes)
        self.bits = max(1, (codes - 1).bit_length())
        self.keys = np.sort(packed(sids, self.bits))
        self.nbytes = self.keys.nbytes + 4 * len(sids)  # and the items in the same order

    def prepare(self, codes: np.ndarray, logits: np.ndarray) -> tuple[Any, ...]:
        """Packed prefixes, and the bits behind their next code."""
        return packed(codes, self.bits), self.bits * (self.levels - codes.shape[1] - 1), logits

    def step(self, prefixes: np.ndarray, rest: int, logits: np.ndarray) -> np.ndarray:
        """A code is legal where the list holds something between it and the next code."""
        wanted = ((prefixes[:, None] << self.bits) + np.arange(self.codes + 1)) << rest
        begins = self.keys.searchsorted(wanted)
        return np.where(begins[:, 1:] > begins[:, :-1], logits, np.float32(-np.inf))


class _Processed(Rival):
    """A transformers logits processor over token ids."""

    processor: Any

    def prepare(self, codes: np.ndarray, logits: np.ndarray) -> tuple[Any, ...]:
        """Token ids so far, and scores over the whole vocabulary."""
        depth = codes.shape[1]
        tokens = torch.from_numpy(codes + self.codes * np.arange(depth))
        scores = torch.full((len(codes), self.levels * self.codes), -20.0)
        scores[:, depth * self.codes : (depth + 1) * self.codes] = torch.from_numpy(logits)
        return tokens, scores

    def step(self, tokens: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """One call of the processor."""
        found: torch.Tensor = self.processor(tokens, scores)
        return found

    def scores(self, stepped: torch.Tensor, depth: int) -> np.ndarray:
        """The level's own tokens."""
        return stepped[:, depth * self.codes : (depth + 1) * self.codes].numpy()


class Processor(_Processed):
    """The trie as a `LogitsProcessor`."""

    name = "trie LogitsProcessor"

    def __init__(self, sids: np.ndarray, codes: int) -> None:
        super().__init__(sids, codes)
        trie = Trie.build(sids, codes)
        self.nbytes = trie.nbytes
        self.processor = TrieLogitsProcessor(trie, level_tokens(self.levels, codes), self.levels * codes, 0)


class DictTrie(_Processed):
    """`prefix_allowed_tokens_fn` over nested dictionaries."""

    name = "prefix_allowed_tokens_fn"

    def __init__(self, sids: np.ndarray, codes: int) -> None:
        super().__init__(sids, codes)
        self.root = nested(sids, codes)
        self.nbytes = size_of(self.root)

    def prepare(self, codes: np.ndarray, logits: np.ndarray) -> tuple[Any, ...]:
        """Also tell the processor how many beams there are."""
        self.processor = PrefixConstrainedLogitsProcessor(lambda batch, ids: allowed_tokens(self.root, ids), len(codes))
        return super().prepare(codes, logits)


def packed(codes: np.ndarray, bits: int) -> np.ndarray:
    """One integer a row of codes. Shape: (n, t) → (n,) int64."""
    key = np.zeros(len(codes), np.int64)
    for column in codes.T:
        key = (key << bits) | column
    return key


def level_tokens(levels: int, codes: int, first: int = 0) -> list[np.ndarray]:
    """Token ids of the codes of each level, from token `first` on."""
    return list(first + np.arange(levels * codes).reshape(levels, codes))


def nested(sids: np.ndarray, codes: int, first: int = 0) -> dict[int, Any]:
    """Dictionaries of dictionaries by token id; all leaves are the same empty one."""
    root: dict[int, Any] = {}
    end: dict[int, Any] = {}
    last = sids.shape[1] - 1
    for row in (sids.astype(np.int64) + first + codes * np.arange(last + 1)).tolist():
        at = root
        for token in row[:last]:
            at = at.setdefault(token, {})
        at[row[last]] = end
    return root


def allowed_tokens(root: dict[int, Any], ids: torch.Tensor) -> list[int]:
    """The tokens that may follow, as `prefix_allowed_tokens_fn` returns them; never none, which transformers refuses."""
    at = root
    for token in ids.tolist():
        at = at.get(token, {})
    return list(at) or [0]


def size_of(root: dict[int, Any]) -> int:
    """Bytes of nested dictionaries, their keys not counted."""
    total, level = sys.getsizeof(root), [root]
    while level := [below for at in level for below in at.values() if below]:
        total += sum(map(sys.getsizeof, level))
    return total


RIVALS: tuple[type[Rival], ...] = (Kernel, Processor, SortedScan, DictTrie)
