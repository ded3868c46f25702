"""A beam search over full semantic IDs as a frame of nodes: what was kept, what was pruned, what the constraint took away.

Columns:
    nodes  level (1 …) · sid ("a17·b3") · parent · before (P of the code given its parent, over everything the model could have written) ·
           after (the same over the legal continuations alone; 0 where illegal) · path (P of the whole way, before the constraint) · legal · kept ·
           branching (legal continuations of the parent) · n_items (items of the catalogue below; 0 where illegal)
    beams  rank · sid · log_p · path · valid (an item has this SID) · item (row of the first one, -1 where invalid) · shared (items that have it)
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from backend.generation.constrained import Found, Logits, NextCode, Normaliser, constrained_beam, log_sum_exp
from backend.tokenization.prefixes import prefix_name
from backend.tokenization.trie import NodeMask, Trie

NODES = ("level", "sid", "parent", "before", "after", "path", "legal", "kept", "branching", "n_items")
BEAMS = ("rank", "sid", "log_p", "path", "valid", "item", "shared")
PRUNED = 12  # nodes of a level that are told beside the kept ones, of the legal and of the illegal ones


class Ended:
    """A model of padded codes: behind code 0, the end, only code 0 follows. Titles need it: nothing was trained to stand behind their end.

    The model is asked of the beams that go on alone, so a beam costs as many steps as its own title has tokens.
    """

    def __init__(self, model: NextCode) -> None:
        self.model = model
        self.place = np.zeros(1, np.intp)  # of each beam of the call before, among those that the model was asked of
        self.width = 0  # codes of a level; all levels of a padded representation have as many

    def __call__(self, codes: np.ndarray, origin: np.ndarray) -> Logits:
        """What the model says; of ended beams what there is to say."""
        going = np.flatnonzero(codes[:, -1]) if codes.shape[1] else np.arange(len(codes))
        said = self.model(codes[going], self.place[origin[going]]) if len(going) else None
        self.width = self.width if said is None else said.codes.shape[1]
        if said is None or len(going) < len(codes):
            logits, total = np.full((len(codes), self.width), -np.inf, np.float32), np.zeros(len(codes), np.float32)
            logits[:, 0] = 0.0  # of the ended ones; the others are written over
            if said is not None:
                logits[going], total[going] = said.codes, said.total()
            said = Logits(logits, total)
        self.place = np.full(len(codes), -1, np.intp)
        self.place[going] = np.arange(len(going))
        return said


@dataclass
class Heard:
    """A model that keeps what it said, for the frames."""

    model: NextCode
    codes: list[np.ndarray] = field(default_factory=list)
    said: list[Logits] = field(default_factory=list)

    def __call__(self, codes: np.ndarray, origin: np.ndarray) -> Logits:
        """What the model says."""
        said = self.model(codes, origin)
        self.codes.append(codes)
        self.said.append(said)
        return said


def searched(
    trie: Trie, model: NextCode, beams: int, mask: NodeMask | None = None, normaliser: Normaliser = "full"
) -> tuple[Found, pd.DataFrame]:
    """The constrained beam, and its nodes (the columns of `NODES`; per level all that are kept and the best of the pruned)."""
    heard = Heard(model)
    found = constrained_beam(trie, heard, beams, mask, normaliser)
    return found, nodes_of(trie, heard, found, mask)


def nodes_of(trie: Trie, heard: Heard, found: Found, mask: NodeMask | None) -> pd.DataFrame:
    """The nodes of a search that was listened to."""
    frames = []
    paths = np.zeros(1)  # log P of the beams before the constraint
    for depth, (codes, said) in enumerate(zip(heard.codes, heard.said, strict=True)):
        nodes = trie.walk(codes)
        allowed = trie.full(depth, nodes, said.codes, mask) > -np.inf  # (beams, codes)
        log_p = said.codes - said.total()[:, None]
        inside = np.where(allowed, said.codes, -np.inf)
        after = np.where(allowed, said.codes - log_sum_exp(inside)[:, None], -np.inf)
        path = paths[:, None] + log_p
        following = heard.codes[depth + 1] if depth + 1 < len(heard.codes) else found.codes
        kept = np.zeros(allowed.shape, bool)
        place = {tuple(row): number for number, row in enumerate(codes.tolist())}
        beam = np.array([place[tuple(row)] for row in following[:, :depth].tolist()], np.intp)
        kept[beam, following[:, depth]] = True
        chosen = np.unique(np.concatenate([np.flatnonzero(kept), _best(path, allowed & ~kept), _best(path, ~allowed)]))
        rows, columns = np.divmod(chosen, allowed.shape[1])
        order = np.argsort(-path[rows, columns], kind="stable")
        rows, columns = rows[order], columns[order]
        below = _items_below(trie, depth + 1)
        at = trie.walk(np.concatenate([codes[rows], columns[:, None]], axis=1))
        parents = [prefix_name(row) for row in codes]
        frames.append(
            pd.DataFrame(
                {
                    "level": depth + 1,
                    "sid": [prefix_name([*codes[row], column]) for row, column in zip(rows, columns, strict=True)],
                    "parent": [parents[row] for row in rows],
                    "before": np.exp(log_p[rows, columns]),
                    "after": np.exp(after[rows, columns]),
                    "path": np.exp(path[rows, columns]),
                    "legal": allowed[rows, columns],
                    "kept": kept[rows, columns],
                    "branching": allowed.sum(1)[rows],
                    "n_items": np.where(at >= 0, below[np.maximum(at, 0)], 0),
                }
            )
        )
        paths = path[beam, following[:, depth]]
    return pd.concat(frames, ignore_index=True)[list(NODES)] if frames else pd.DataFrame(columns=list(NODES))


def beams_of(trie: Trie, found: Found) -> pd.DataFrame:
    """The SIDs that a search ended with (the columns of `BEAMS`)."""
    items = [trie.items_of(int(leaf)) if leaf >= 0 else np.zeros(0, np.int32) for leaf in found.leaves]
    return pd.DataFrame(
        {
            "rank": np.arange(1, len(items) + 1),
            "sid": [prefix_name(row) for row in found.codes],
            "log_p": found.log_p,
            "path": np.exp(found.log_p.astype(float)),
            "valid": found.leaves >= 0,
            "item": [int(own[0]) if len(own) else -1 for own in items],
            "shared": [len(own) for own in items],
        },
        columns=list(BEAMS),
    )


def _best(path: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Flat places of the most probable ones. Shape: (beams, codes) → (≤ PRUNED,)."""
    flat = np.where(among, path, -np.inf).ravel()
    at = np.argpartition(-flat, min(PRUNED, len(flat) - 1))[:PRUNED]
    return at[flat[at] > -np.inf]


def _items_below(trie: Trie, depth: int) -> np.ndarray:
    """Items below each node of a depth. Shape: (nodes,)."""
    ends = trie.leaf_first.astype(np.int64)
    for level in reversed(trie.levels[depth:]):
        ends = ends[level.first]
    return np.diff(ends)
