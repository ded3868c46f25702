"""Stored terms of the score for live re-ranking: what the fusion lab reads instead of asking the model.

- For each case: the first code's logits, the prefixes, and up to C candidate items, chosen once: the best under the shipped fusion and under
  a few probes at the ends of the knobs, with bought items and without them. Targets get no special place.
- The item softmax of a prefix is normalised over *all* its items. Those that are no candidates are kept as a tail: a few groups a prefix,
  each the second-order expansion of its log Σ exp(logit) around the shipped setting: exact there, near elsewhere (the tests say how near).
- Candidates lie flat, by case, then prefix (`offsets`), so that re-scoring is one run through memory; terms are 16-bit numbers with one
  scale a case and term.
- All that knows how terms come out of `Components` is `terms_of`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
import pandas as pd

from backend.data import schema as c
from backend.data.schema import Dataset
from backend.evaluation.cases import Case
from backend.evaluation.components import Components, key_of, repeat_of
from backend.generation.fusion import fuse, sigma
from backend.generation.generator import Generator
from backend.generation.runner import log_softmax
from backend.progress import CancelToken, Progress, Report, silent
from backend.settings import FusionSettings

CANDIDATES = 1000
PROBES: tuple[tuple[dict[str, float | bool | str], float], ...] = (  # changes of the shipped setting (and exponent of the price) to choose by
    ({}, 0.0),
    ({"repeat_weight": 0.0, "popularity_weight": 0.0}, 0.0),
    ({"popularity_weight": -1.5}, 0.0),
    ({"popularity_weight": 2.0}, 0.0),
    ({"repeat_weight": 2.5}, 0.0),
    ({"apf": False, "tau": 0.05}, 0.0),
    ({"sigma_domain": "probability", "apf": True}, 0.0),
    ({"prefix_weight": 0.0}, 0.0),
    ({}, 1.0),
)
GROUPS = 3  # of the tail: bought items, then the lower and the upper part of the others by cosine
TAIL = ("log", "cos", "repeat", "popularity", "cos_cos", "pop_pop", "cos_pop")  # what is kept of a group of the tail
SPLITS = ("validation", "test")
_CHUNK = 64


@dataclass(frozen=True)
class Terms:
    """Everything of a few cases, not yet thinned out.

    Shape:
        first_logits, first_prior: (b, codes); code, rest: (b, K), rest -inf where there is no beam; members: (b, K, L) item rows, -1 padded;
        cos, repeat, popularity: (b, K, L) logits: cos before σ/τ, the priors as the model weighs them; bought: (b, K, L).
    """

    first_logits: np.ndarray
    first_prior: np.ndarray
    code: np.ndarray
    rest: np.ndarray
    members: np.ndarray
    cos: np.ndarray
    repeat: np.ndarray
    popularity: np.ndarray
    bought: np.ndarray


def terms_of(generator: Generator, components: Components, cases: Sequence[Case]) -> Terms:
    """The terms of a few cases (the one place that knows how `Components` keeps them)."""
    index, n_items = generator.index, len(generator.sids)
    at = [components.index[key_of(case)] for case in cases]
    rows = components.rows[at]
    members = index.members[rows]  # (b, K, L)
    safe, batch = np.maximum(members, 0), np.arange(len(cases))[:, None, None]
    first_code = index.last.codes[:, 0] if index.prefix_levels else np.zeros(1, np.int64)
    gates, table = components.gates[at], np.stack([repeat_of(case, n_items) for case in cases]).astype(np.float32)
    held = np.zeros((len(cases), n_items), bool)
    for row, case in enumerate(cases):
        held[row, case.history] = True
    return Terms(
        components.first_logits[at], components.first_prior[at], first_code[rows], components.rest[at], members,
        components.cos[at].astype(np.float32), gates[..., :1] * table[batch, safe], gates[..., 1:] * generator.popularity[safe],
        held[batch, safe],
    )  # fmt: skip


@dataclass(frozen=True)
class LabCases:
    """Stored terms of n cases with m candidates in all.

    Frame `cases`: user (row) · user_id · start · task · split · instruction.

    Shape:
        first_logits, first_prior: (n, codes) float32; code: (n, K) int16; rest: (n, K) float32, -inf where there is no beam;
        tail: (n, K, GROUPS, len(TAIL)) float32: log Σ exp(logit) of the group at the shipped setting (-inf: nobody in it), then means and
        (co)variances of the terms under that softmax; scaled: (n,) σ/τ at the shipped setting;
        offsets: (n·K + 1,) candidates of case i, beam k lie at offsets[iK + k]:offsets[iK + k + 1]; item: (m,); cos, repeat, popularity: (m,)
        int16, times `scale` (n, 3); bought: (m,) bool;
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
    bought: np.ndarray
    scale: np.ndarray
    target: np.ndarray
    target_offsets: np.ndarray
    target_bought: np.ndarray
    households: int = 0  # in the whole window of each split together; 0 = unknown

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
        own = {name: getattr(self, name)[rows] for name in _BY_CASE} | {name: getattr(self, name)[flat] for name in _FLAT}
        return replace(
            self,
            cases=self.cases.iloc[rows].reset_index(drop=True),
            offsets=starts(sizes[rows].ravel()),
            target=self.target[hits],
            target_bought=self.target_bought[hits],
            target_offsets=starts(np.diff(self.target_offsets)[rows]),
            **own,
        )

    def of(self, split: Literal["validation", "test"]) -> LabCases:
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
        both: dict[str, np.ndarray] = {}
        for name in (*_BY_CASE, *_FLAT, "target", "target_bought"):
            both[name] = np.concatenate([getattr(self, name), getattr(other, name)])
        for name in ("offsets", "target_offsets"):
            both[name] = starts(np.concatenate([np.diff(getattr(self, name)), np.diff(getattr(other, name))]))
        cases = pd.concat([self.cases, other.cases], ignore_index=True)
        return replace(self, cases=cases, households=self.households + other.households, **both)


_BY_CASE = ("first_logits", "first_prior", "code", "rest", "tail", "scaled", "scale")
_FLAT = ("item", "cos", "repeat", "popularity", "bought")
ARRAYS = tuple(field.name for field in fields(LabCases) if field.name not in ("cases", "shipped", "households"))


def log_price(dataset: Dataset) -> np.ndarray:
    """log(price / median price), 0 where there is no price: `value_weight` times this is the exponent of the price. Shape: (n_items,)."""
    price = dataset.items[c.PRICE].to_numpy(float)
    known = np.isfinite(price) & (price > 0)
    middle = float(np.median(price[known])) if known.any() else 1.0
    return np.log(np.where(known, price, middle) / middle).astype(np.float32)


def starts(sizes: np.ndarray) -> np.ndarray:
    """Where pieces of these sizes begin, and where the last ends. Shape: (n,) → (n + 1,) int64."""
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])


def _spans(offsets: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Flat positions of some pieces, one after another."""
    sizes = np.diff(offsets)[rows]
    return np.repeat(offsets[rows] - starts(sizes)[:-1], sizes) + np.arange(sizes.sum())


def build(
    generator: Generator,
    components: Components,
    cases: Sequence[Case],
    split: Literal["validation", "test"],
    shipped: FusionSettings,
    candidates: int = CANDIDATES,
    households: int = 0,
    report: Report = silent,
    cancel: CancelToken | None = None,
) -> LabCases:
    """Choose the candidates of each case and keep their terms.

    Args:
        components: of at least these cases.
        shipped: the setting by which candidates are chosen, at which the tail is exact.
        candidates: at most so many a case.
        households: how many the whole window has, for "sample of n of N"; 0 = as many as these cases have.
    """
    price = log_price(generator.dataset)
    parts = []
    for start in range(0, len(cases), _CHUNK):
        if cancel:
            cancel.check()
        part = cases[start : start + _CHUNK]
        parts.append(_thin(terms_of(generator, components, part), shipped, price, candidates))
        report(Progress("terms", min(start + _CHUNK, len(cases)), len(cases)))
    stacked = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    sizes = stacked.pop("sizes")
    names = generator.dataset.users[c.USER].to_numpy()
    frame = pd.DataFrame(
        {
            "user": [case.user for case in cases],
            "user_id": [str(names[case.user]) for case in cases],
            "start": [case.start for case in cases],
            "task": [case.task for case in cases],
            "split": split,
            "instruction": [case.instruction for case in cases],
        }
    )
    target = np.concatenate([case.targets for case in cases])
    new = [np.isin(case.targets, case.new_targets) for case in cases]
    return LabCases(
        cases=frame,
        shipped=shipped,
        offsets=starts(sizes),
        target=target.astype(np.int32),
        target_bought=~np.concatenate(new),
        target_offsets=starts(np.array([len(case.targets) for case in cases])),
        households=households or frame["user"].nunique(),
        **stacked,
    )


def _thin(terms: Terms, shipped: FusionSettings, price: np.ndarray, candidates: int) -> dict[str, np.ndarray]:
    """Candidates and tail of a chunk."""
    log_phi = _log_phi(terms, shipped.repeat_weight)
    legal = np.isfinite(terms.cos) & (terms.members >= 0) & np.isfinite(log_phi)[..., None]
    kept = np.where(np.argsort(np.argsort(-log_phi, 1, kind="stable"), 1) < shipped.beams, log_phi, -np.inf)
    spread = sigma(kept, shipped.sigma_domain) if shipped.apf else np.ones(len(kept))  # over the prefixes that are kept
    scaled = (spread / shipped.tau).astype(np.float32)
    logits = np.where(legal, terms.cos, 0.0) * scaled[:, None, None]
    logits += shipped.repeat_weight * terms.repeat + shipped.popularity_weight * terms.popularity
    chosen = _choose(terms, legal, shipped, price, candidates)
    flat: dict[str, np.ndarray] = {"item": terms.members[chosen].astype(np.int32), "bought": terms.bought[chosen]}
    scale = np.zeros((len(logits), 3), np.float32)
    at = np.nonzero(chosen)[0]
    for place, name in enumerate(("cos", "repeat", "popularity")):
        values = getattr(terms, name)
        top = np.abs(np.where(chosen, values, 0.0)).reshape(len(logits), -1).max(1)
        scale[:, place] = np.maximum(top, 1e-9) / 32767
        flat[name] = np.rint(values[chosen] / scale[at, place]).astype(np.int16)
    return {
        **flat,
        "scale": scale,
        "sizes": chosen.sum(2).ravel(),
        "scaled": scaled,
        "tail": _tail(terms, logits, legal & ~chosen),
        "first_logits": terms.first_logits.astype(np.float32),
        "first_prior": terms.first_prior.astype(np.float32),
        "code": terms.code.astype(np.int16),
        "rest": terms.rest.astype(np.float32),
    }


def _log_phi(terms: Terms, repeat_weight: float) -> np.ndarray:
    first = log_softmax(terms.first_logits + repeat_weight * terms.first_prior)
    return np.take_along_axis(first, terms.code, 1) + terms.rest


def _choose(terms: Terms, legal: np.ndarray, shipped: FusionSettings, price: np.ndarray, candidates: int) -> np.ndarray:
    """Mask of the candidates: the best under each probe, all items and new items alike; the room that is left goes to the shipped setting."""
    chosen = np.zeros((len(legal), legal[0].size), bool)
    share = candidates // (2 * len(PROBES))
    first = None
    for update, weight in PROBES:
        setting = shipped.model_copy(update={**update, "beams": legal.shape[1]})
        log_phi = _log_phi(terms, setting.repeat_weight)
        for mask in (legal, legal & ~terms.bought):
            cos = np.where(mask, terms.cos, -np.inf)
            alive = np.where(mask.any(-1), log_phi, -np.inf)
            score = fuse(alive, cos, setting, terms.repeat, terms.popularity)[0] + weight * price[np.maximum(terms.members, 0)]
            score = score.reshape(chosen.shape)
            first = score if first is None else first
            _mark(chosen, score, np.full(len(score), share))
    assert first is not None
    _mark(chosen, np.where(chosen, -np.inf, first), candidates - chosen.sum(1))
    return chosen.reshape(legal.shape)


def _mark(chosen: np.ndarray, score: np.ndarray, count: np.ndarray) -> None:
    """Add the best finite entries of each row, `count` by row, to a mask."""
    most = min(int(count.max(initial=0)), score.shape[1])
    if most < 1:
        return
    if most < score.shape[1]:
        columns = np.argpartition(-score, most - 1, axis=1)[:, :most]
    else:
        columns = np.broadcast_to(np.arange(most), score.shape)
    values = np.take_along_axis(score, columns, 1)
    order = np.argsort(-values, axis=1, kind="stable")
    columns, values = np.take_along_axis(columns, order, 1), np.take_along_axis(values, order, 1)
    good = np.isfinite(values) & (np.arange(most) < count[:, None])
    rows = np.broadcast_to(np.arange(len(score))[:, None], columns.shape)
    chosen[rows[good], columns[good]] = True


def _tail(terms: Terms, logits: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Expansions of the items that are no candidates. Shape: (b, K, GROUPS, len(TAIL))."""
    out = np.zeros((*left.shape[:2], GROUPS, len(TAIL)), np.float32)
    fresh = left & ~terms.bought
    middle = np.where(fresh, terms.cos, 0.0).sum(-1, keepdims=True) / np.maximum(fresh.sum(-1, keepdims=True), 1)
    above = terms.cos > middle
    for group, mask in enumerate((left & terms.bought, fresh & ~above, fresh & above)):
        own = np.where(mask, logits, -np.inf)
        top = own.max(-1, keepdims=True, initial=-1e30)
        weight = np.exp(own - top)
        total = weight.sum(-1)
        out[..., group, 0] = np.where(total > 0, np.log(np.maximum(total, 1e-30)) + top[..., 0], -np.inf)
        for place, values in enumerate((terms.cos, terms.repeat, terms.popularity)):
            out[..., group, 1 + place] = (weight * np.where(mask, values, 0.0)).sum(-1) / np.maximum(total, 1e-30)
        away = [np.where(mask, values - out[..., group, 1 + place, None], 0.0) for place, values in ((0, terms.cos), (2, terms.popularity))]
        for place, (one, two) in enumerate(((0, 0), (1, 1), (0, 1))):
            out[..., group, 4 + place] = (weight * away[one] * away[two]).sum(-1) / np.maximum(total, 1e-30)
    return out
