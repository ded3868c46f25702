"""Beam search over full semantic IDs, along a trie of the catalogue or free (JD's stage 4).

- A model is anything that says the logits of the next code of each beam (`NextCode`); `causal` makes one of a transformers decoder.
- Two normalisers. *full*: log p = logit − log Σ exp over the whole vocabulary: a path keeps the probability that the free model gives
  it, the constraint prunes and does not inflate, and the beam's order is that of the free probabilities. *legal*: the sum is over the legal
  slice alone, so every step is a distribution over what exists. That is cheaper (no head over the vocabulary), but a node with one child
  passes its whole mass on: where the model spends mass on illegal codes, paths through few children gain, and the order can differ.
- Nothing else shapes the scores: no settings of a base model, no length penalty, no temperature.
- Ties go to the smaller SID. Items are ranked, not SIDs: where several share one, each takes an equal share and its own place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch

from backend.errors import RequestError
from backend.tokenization.trie import NodeMask, Trie

Normaliser = Literal["full", "legal"]


@dataclass(frozen=True)
class Logits:
    """What a model says of the next code.

    Shape:
        codes: (beams, codes of the level) float32 logits; log_total: (beams,) log Σ exp over the full vocabulary, None where the level's
        codes are all there is.
    """

    codes: np.ndarray
    log_total: np.ndarray | None = None

    def total(self) -> np.ndarray:
        """log Σ exp over all there is. Shape: (beams,)."""
        return log_sum_exp(self.codes) if self.log_total is None else self.log_total


class NextCode(Protocol):
    """A model, asked step by step."""

    def __call__(self, codes: np.ndarray, origin: np.ndarray, /) -> Logits:
        """Logits of the code behind each beam.

        Shape:
            codes: (beams, t) the beams so far, t = 0 at the first call (one empty beam); origin: (beams,) the beam of the call before
            that each continues.
        """


@dataclass(frozen=True)
class Step:
    """One step of the search, for a trace.

    Shape:
        legal: (beams,) legal continuations of each beam; mass: (beams,) their share of the probability before the constraint.
    """

    legal: np.ndarray
    mass: np.ndarray


@dataclass(frozen=True)
class Found:
    """Complete SIDs, best first.

    Shape:
        codes: (k, levels) int64; leaves: (k,) leaf of the trie, −1 where no item has the SID (free search only); log_p: (k,) float32.
    """

    codes: np.ndarray
    leaves: np.ndarray
    log_p: np.ndarray
    steps: tuple[Step, ...] = ()

    @property
    def invalid(self) -> float:
        """Share of the SIDs that no item has."""
        return float((self.leaves < 0).mean()) if len(self.leaves) else 0.0


def constrained_beam(
    trie: Trie, model: NextCode, beams: int, mask: NodeMask | None = None, normaliser: Normaliser = "full", trace: bool = False
) -> Found:
    """The best SIDs among those that exist and that a mask leaves.

    Args:
        beams: how many are kept at each level.
        mask: what filters leave (`trie.mask`).
        normaliser: over the full vocabulary, or over the legal slice (see above).
        trace: also return the steps.

    Returns:
        at most `beams` SIDs; fewer where fewer are legal. With as many beams as leaves it is the exhaustive ranking.

    Raises:
        RequestError: no beams, or the model's logits are not numbers.
    """
    return _search(trie, trie.sizes, model, beams, mask, normaliser, trace)


def free_beam(trie: Trie, model: NextCode, beams: int) -> Found:
    """The best SIDs without a constraint: any code of each level; the trie only says afterwards which of them exist."""
    found = _search(None, trie.sizes, model, beams, None, "full", False)
    return Found(found.codes, trie.walk(found.codes), found.log_p)


def rank_items(trie: Trie, found: Found, top: int | None = None, mask: NodeMask | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Items of the SIDs that were found, best first: P(item) = P(SID) / items that share it (ours). An invalid SID has no items.

    Shape:
        returns: item ids (m,), log P (m,); m ≤ top.
    """
    rows = np.flatnonzero(found.leaves >= 0)
    items = [trie.items_of(int(leaf), mask) for leaf in found.leaves[rows]]
    sizes = np.array([len(own) for own in items], np.int64)
    if not sizes.sum():
        return np.zeros(0, np.int32), np.zeros(0, np.float32)
    log_p = np.repeat(found.log_p[rows] - np.log(np.maximum(sizes, 1)).astype(np.float32), sizes)
    order = np.argsort(-log_p, kind="stable")[:top]
    return np.concatenate(items)[order], log_p[order]


def log_sum_exp(logits: np.ndarray) -> np.ndarray:
    """log Σ exp of each row. Shape: (beams, width) → (beams,)."""
    top = logits.max(1)
    return top + np.log(np.exp(logits - top[:, None]).sum(1))


def best(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k largest scores of all rows together, −inf never; ties go to the smaller row and column.

    Shape:
        scores: (beams, width); returns: rows, columns (at most k,), best first.
    """
    flat = scores.ravel()
    least = -np.inf
    if (
        k < len(flat)
    ):  # torch selects four times as fast as numpy; which of the tied ones it takes is not said, so only the threshold is taken from it
        least = float(torch.topk(torch.from_numpy(flat), k, sorted=False).values.min())
    at = np.flatnonzero(flat >= least if least > -np.inf else flat > least)
    at = at[np.argsort(-flat[at], kind="stable")[:k]]
    rows, columns = np.divmod(at, scores.shape[1])
    return rows, columns


def _search(
    trie: Trie | None,
    sizes: tuple[int, ...],
    model: NextCode,
    beams: int,
    mask: NodeMask | None,
    normaliser: Normaliser,
    trace: bool,
) -> Found:
    if beams < 1:
        raise RequestError(f"{beams} is no number of beams", mend="ask for one at least")
    codes, nodes, origin = np.zeros((1, 0), np.int64), np.zeros(1, np.intp), np.zeros(1, np.intp)
    total = np.zeros(1, np.float32)
    steps: list[Step] = []
    if trie is not None and not (trie.leaves if mask is None else mask.items.any()):
        return Found(np.zeros((0, len(sizes)), np.int64), np.zeros(0, np.intp), np.zeros(0, np.float32))
    for depth in range(len(sizes)):
        said = model(codes, origin)
        if trie is None:
            scores = said.codes.copy()
        else:
            legal = trie.legal(depth, nodes, mask)
            scores = legal.scores(said.codes)
        log_total = log_sum_exp(scores) if normaliser == "legal" else said.total()
        if np.isnan(log_total).any():
            raise RequestError("the model's logits are not numbers", f"level {depth + 1} of the semantic ID", "train it again")
        if trace:
            steps.append(Step((scores > -np.inf).sum(1), np.exp(log_sum_exp(scores) - said.total())))
        scores += (total - log_total)[:, None]
        origin, column = best(scores, beams)
        total = scores[origin, column]
        if trie is None:
            code = column
        else:
            code, nodes = legal.step(origin, column)
        codes = np.concatenate([codes[origin], code[:, None]], axis=1)
    return Found(codes, nodes, total, tuple(steps))
