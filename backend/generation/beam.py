"""Step 1: beam search over SID prefixes (SIGMA §1.4).

- Only prefixes that exist and still hold a legal item are considered; φ is the product of the level probabilities under the
  full softmax of each level, so a filter prunes but does not inflate.
- No generation settings of a base model play a part.
- Every prefix that was considered is returned, kept or pruned, for the trace.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from backend.generation.catalogue import PrefixIndex

LogProbs = Callable[[np.ndarray], np.ndarray]  # (beams, t) codes → (beams, codes) log-probabilities of level t + 1


@dataclass(frozen=True)
class Considered:
    """Prefixes considered at one level.

    Shape:
        rows: (c,) prefix rows of that length; log_phi: (c,); kept, legal: (c,) bool; counts: (c,) legal items inside.
    """

    length: int
    rows: np.ndarray
    log_phi: np.ndarray
    kept: np.ndarray
    legal: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True)
class Beams:
    """The kept prefixes, best first, and all that was considered.

    Shape:
        rows: (K,) prefix rows; log_phi: (K,).
    """

    rows: np.ndarray
    log_phi: np.ndarray
    considered: list[Considered]


def prefix_beam(
    index: PrefixIndex, log_probs: LogProbs, beams: int, allowed: np.ndarray, forced: tuple[int, ...] | None = None
) -> Beams:
    """Beam search for the K best legal prefixes.

    Args:
        index: prefixes of the catalogue.
        log_probs: the model's next-code log-probabilities.
        beams: K.
        allowed: items that the filters leave. Shape: (n_items,) bool.
        forced: a prefix (or its first codes) that all beams must carry.

    Returns:
        At most K beams; fewer where fewer prefixes are legal (none at all for an empty filter). Ties go to the smaller code.
    """
    rows, scores = np.zeros(1, np.int64), np.zeros(1)
    considered: list[Considered] = []
    if index.prefix_levels == 0:
        alive = bool(allowed.any())
        return Beams(rows[: int(alive)], scores[: int(alive)], considered)
    for length in range(1, index.prefix_levels + 1):
        level = index.levels[length]
        counts = index.legal_counts(length, allowed)
        table = log_probs(index.levels[length - 1].codes[rows])  # (beams, codes)
        beam_of = np.full(len(index.levels[length - 1].codes), -1)
        beam_of[rows] = np.arange(len(rows))
        children = np.flatnonzero(beam_of[level.parent] >= 0)  # (c,)
        owner = beam_of[level.parent[children]]
        log_phi = scores[owner] + table[owner, level.codes[children, -1]]
        legal = counts[children] > 0
        if forced is not None and len(forced) >= length:
            legal &= level.codes[children, -1] == forced[length - 1]
        order = np.lexsort((children, -log_phi))
        order = order[legal[order]][:beams]
        kept = np.zeros(len(children), bool)
        kept[order] = True
        considered.append(Considered(length, children, log_phi, kept, counts[children] > 0, counts[children]))
        rows, scores = children[order], log_phi[order]
        if not len(rows):
            break
    return Beams(rows, scores, considered)
