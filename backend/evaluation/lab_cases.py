"""Stored terms of the score for live re-ranking: what the fusion lab reads instead of asking the model.

- For each case: the first code's logits, the prefixes, and up to C candidate items, chosen once (`lab_build`).
- The item softmax of a prefix is normalised over *all* its items. Those that are no candidates are kept as a tail: a few groups a prefix,
  each the second-order expansion of its log Σ exp(logit) around the shipped setting: exact there, near elsewhere (the tests say how near).
- Candidates lie flat, by case, then prefix (`offsets`), so that re-scoring is one run through memory; terms are 16-bit numbers with one
  scale a case and term.
- Reading and re-ranking them needs no model and no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from backend.settings import FusionSettings

CANDIDATES = 1000
GROUPS = 2  # of the tail: bought items, others
TAIL = ("log", "c", "r", "p", "cc", "rr", "pp", "cr", "cp", "rp")  # what is kept of a group of the tail
LOGITS = ("cos", "repeat", "popularity", "judge")  # stored terms of a candidate, in the order of their scales
Split = Literal["validation", "test"]
SPLITS: tuple[Split, Split] = ("validation", "test")


@dataclass(frozen=True)
class LabCases:
    """Stored terms of n cases with m candidates in all.

    Frame `cases`: user (row) · user_id · start · task · split · instruction.

    Shape:
        first_logits, first_prior: (n, codes) float32; code: (n, K) int16; rest: (n, K) float32, -inf where there is no beam;
        tail: (n, K, GROUPS, len(TAIL)) float32: log Σ exp(logit) of the group at the shipped setting (-inf: nobody in it), then means and
        (co)variances of cos, repeat and popularity under that softmax; scaled: (n,) σ/τ at the shipped setting;
        offsets: (n·K + 1,) candidates of case i, beam k lie at offsets[iK + k]:offsets[iK + k + 1]; item: (m,); cos, repeat, popularity,
        judge: (m,) int16, times `scale` (n, 4); judge is what the judge's score adds at weight 1, ≤ 0; bought: (m,) bool;
        target: item rows of the held-out basket, of case i at target_offsets[i]:target_offsets[i + 1]; target_bought: whether in its history.
    """

    cases: pd.DataFrame
    shipped: FusionSettings
    first_logits: np.ndarray
    first_prior: np.ndarray
    code: np.ndarray
    rest: np.ndarray
    tail: np.ndarray
    scaled: np.ndarray
    offsets: np.ndarray
    item: np.ndarray
    cos: np.ndarray
    repeat: np.ndarray
    popularity: np.ndarray
    judge: np.ndarray
    bought: np.ndarray
    scale: np.ndarray
    target: np.ndarray
    target_offsets: np.ndarray
    target_bought: np.ndarray
    households: Mapping[str, int] = field(default_factory=dict)  # split → how many its whole window has
    judged: str = ""  # fingerprint of the judge that scored the candidates; "" = none did, `judge` is nought

    def __len__(self) -> int:
        return len(self.cases)

    @property
    def beams(self) -> int:
        """Stored prefixes of each case."""
        return self.code.shape[1]

    @property
    def candidates(self) -> int:
        """Most candidates of a case."""
        return int(np.diff(self.offsets[:: self.beams]).max(initial=0))

    def take(self, rows: np.ndarray) -> LabCases:
        """Some of the cases. Shape: rows (r,) int or (n,) bool."""
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        sizes = np.diff(self.offsets).reshape(-1, self.beams)
        flat = _spans(self.offsets[:: self.beams], rows)
        hits = _spans(self.target_offsets, rows)
        own: dict[str, Any] = {name: getattr(self, name)[rows] for name in _BY_CASE}
        own |= {name: getattr(self, name)[flat] for name in _FLAT}
        return replace(
            self,
            cases=self.cases.iloc[rows].reset_index(drop=True),
            offsets=starts(sizes[rows].ravel()),
            target=self.target[hits],
            target_bought=self.target_bought[hits],
            target_offsets=starts(np.diff(self.target_offsets)[rows]),
            **own,
        )

    def of(self, split: Split) -> LabCases:
        """The cases of one split."""
        return self.take((self.cases["split"] == split).to_numpy())

    def sample(self, households: int) -> LabCases:
        """All cases of the first so many households of each split (households are in random order of id)."""
        keep = np.zeros(len(self), bool)
        for split in SPLITS:
            own = (self.cases["split"] == split).to_numpy()
            keep |= own & self.cases["user"].isin(self.cases.loc[own, "user"].unique()[:households]).to_numpy()
        return self.take(keep)

    def joined(self, other: LabCases) -> LabCases:
        """The cases of both, which must come from one model."""
        both: dict[str, Any] = {}
        for name in (*_BY_CASE, *_FLAT, "target", "target_bought"):
            both[name] = np.concatenate([getattr(self, name), getattr(other, name)])
        for name in ("offsets", "target_offsets"):
            both[name] = starts(np.concatenate([np.diff(getattr(self, name)), np.diff(getattr(other, name))]))
        cases = pd.concat([self.cases, other.cases], ignore_index=True)
        return replace(self, cases=cases, households={**self.households, **other.households}, **both)


_BY_CASE = ("first_logits", "first_prior", "code", "rest", "tail", "scaled", "scale")
_FLAT = ("item", *LOGITS, "bought")
ARRAYS = tuple(each.name for each in fields(LabCases) if each.name not in ("cases", "shipped", "households", "judged"))


def starts(sizes: np.ndarray) -> np.ndarray:
    """Where pieces of these sizes begin, and where the last ends. Shape: (n,) → (n + 1,) int64."""
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])


def _spans(offsets: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Flat positions of some pieces, one after another."""
    sizes = np.diff(offsets)[rows]
    return np.repeat(offsets[rows] - starts(sizes)[:-1], sizes) + np.arange(sizes.sum())
