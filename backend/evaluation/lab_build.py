"""Making the fusion lab's stored terms from what the model said about evaluation cases (`Components`).

- Candidates are the best under the shipped fusion and under a few probes at the ends of the knobs, with bought items and without them: a
  softmax inside each prefix lifts other items when a prior goes, so the best of one setting alone would not do. Targets get no special place.
- What is no candidate goes into the tail (see `lab_cases`).
- All that knows how terms come out of `Components` is `terms_of`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from backend.data import schema as c
from backend.data.prices import log_price
from backend.evaluation.cases import Case
from backend.evaluation.components import Components, key_of
from backend.evaluation.lab_cases import CANDIDATES, GROUPS, LOGITS, TAIL, LabCases, starts
from backend.generation.fusion import fuse, item_priors, sigma
from backend.generation.generator import Generator
from backend.generation.logits import log_softmax
from backend.progress import CancelToken, Progress, Report, silent
from backend.settings import FusionSettings

Probes = tuple[tuple[dict[str, float | bool | str], float], ...]
PROBES: Probes = (  # changes of the shipped setting (and exponent of the price) to choose by
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
JUDGED: Probes = (({"judge_weight": 3.0}, 0.0),)  # further ones where there is a judge
_CHUNK = 64


@dataclass(frozen=True)
class Terms:
    """Everything of a few cases, not yet thinned out.

    Shape:
        first_logits, first_prior: (b, codes); code, rest: (b, K), rest -inf where there is no beam; members: (b, K, L) item rows, -1 padded;
        cos, repeat, popularity: (b, K, L) logits: cos times the model's sureness, before σ/τ; the priors as the model weighs them;
        judge: (b, K, L) what the judge's score adds at weight 1; bought: (b, K, L).
    """

    first_logits: np.ndarray
    first_prior: np.ndarray
    code: np.ndarray
    rest: np.ndarray
    members: np.ndarray
    cos: np.ndarray
    repeat: np.ndarray
    popularity: np.ndarray
    judge: np.ndarray
    bought: np.ndarray


def terms_of(generator: Generator, components: Components, cases: Sequence[Case]) -> Terms:
    """The terms of a few cases (the one place that knows how `Components` keeps them)."""
    index, n_items = generator.index, len(generator.sids)
    at = [components.index[key_of(case)] for case in cases]
    rows = components.rows[at]
    members = index.members[rows]  # (b, K, L)
    safe, batch = np.maximum(members, 0), np.arange(len(cases))[:, None, None]
    first_code = index.last.codes[:, 0] if index.prefix_levels else np.zeros(1, np.int64)
    weights = components.weights[at]  # (b, K, 1 + terms)
    known = components.terms[components.record[at][:, None, None], safe].astype(np.float32)  # (b, K, L, terms)
    repeat, popularity = item_priors(weights, known)
    held = np.zeros((len(cases), n_items), bool)
    for row, case in enumerate(cases):
        held[row, case.history] = True
    return Terms(
        components.first_logits[at], components.first_prior[at], first_code[rows], components.rest[at], members,
        np.where(members >= 0, components.cos[at].astype(np.float32) * weights[..., :1], -np.inf), repeat, popularity,
        np.broadcast_to(np.asarray(components.judged(at, safe), np.float32), members.shape), held[batch, safe],
    )  # fmt: skip


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
    judged = generator.judge.fingerprint() if generator.judge is not None and components.judge is not None else ""
    probes = PROBES + JUDGED if judged else PROBES
    parts = []
    for start in range(0, len(cases), _CHUNK):
        if cancel:
            cancel.check()
        part = cases[start : start + _CHUNK]
        parts.append(_thin(terms_of(generator, components, part), shipped, price, candidates, probes))
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
        households={split: households or frame["user"].nunique()},
        judged=judged,
        **stacked,
    )


def _thin(terms: Terms, shipped: FusionSettings, price: np.ndarray, candidates: int, probes: Probes) -> dict[str, np.ndarray]:
    """Candidates and tail of a chunk."""
    log_phi = _log_phi(terms, shipped.repeat_weight)
    legal = np.isfinite(terms.cos) & (terms.members >= 0) & np.isfinite(log_phi)[..., None]
    kept = np.where(np.argsort(np.argsort(-log_phi, 1, kind="stable"), 1) < shipped.beams, log_phi, -np.inf)
    spread = sigma(kept, shipped.sigma_domain) if shipped.apf else np.ones(len(kept))  # over the prefixes that are kept
    scaled = (spread**shipped.strength / shipped.tau).astype(np.float32)
    logits = np.where(legal, terms.cos, 0.0) * scaled[:, None, None]
    logits += shipped.repeat_weight * terms.repeat + shipped.popularity_weight * terms.popularity
    chosen = _choose(terms, legal, shipped, price, candidates, probes)
    flat: dict[str, np.ndarray] = {"item": terms.members[chosen].astype(np.int32), "bought": terms.bought[chosen]}
    scale = np.zeros((len(logits), len(LOGITS)), np.float32)
    at = np.nonzero(chosen)[0]
    for place, name in enumerate(LOGITS):
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


def _choose(
    terms: Terms, legal: np.ndarray, shipped: FusionSettings, price: np.ndarray, candidates: int, probes: Probes
) -> np.ndarray:
    """Mask of the candidates: the best under each probe, all items and new items alike; the room that is left goes to the shipped one."""
    chosen = np.zeros((len(legal), legal[0].size), bool)
    share = candidates // (2 * len(probes))
    first: list[np.ndarray] = []
    for update, weight in probes:
        setting = shipped.model_copy(update={**update, "beams": legal.shape[1]})
        for hidden, mask in ((False, legal), (True, legal & ~terms.bought)):
            own = setting.with_hidden(hidden)
            log_phi = _log_phi(terms, own.repeat_weight)
            cos = np.where(mask, terms.cos, -np.inf)
            alive = np.where(mask.any(-1), log_phi, -np.inf)
            score = (
                fuse(alive, cos, own, repeat=terms.repeat, popularity=terms.popularity, judge=terms.judge)[0]
                + weight * price[np.maximum(terms.members, 0)]
            )
            score = score.reshape(chosen.shape)
            first = first if len(first) == 2 else [*first, score]
            _mark(chosen, score, np.full(len(score), share))
    room = candidates - chosen.sum(1)
    for score, count in (
        (first[1], room // 2),
        (first[0], room),
        (first[1], room),
    ):  # what one view does not need, the other gets
        _mark(chosen, np.where(chosen, -np.inf, score), np.minimum(count, candidates - chosen.sum(1)))
    return chosen.reshape(legal.shape)


def _mark(chosen: np.ndarray, score: np.ndarray, count: np.ndarray) -> None:
    """Add the best finite entries of each row, `count` by row, to a mask."""
    most = min(int(count.max(initial=0)), score.shape[1])
    if most < 1:
        return
    every = np.broadcast_to(np.arange(most), (len(score), most))
    columns = np.argpartition(-score, most - 1, axis=1)[:, :most] if most < score.shape[1] else every
    values = np.take_along_axis(score, columns, 1)
    order = np.argsort(-values, axis=1, kind="stable")
    columns, values = np.take_along_axis(columns, order, 1), np.take_along_axis(values, order, 1)
    good = np.isfinite(values) & (np.arange(most) < count[:, None])
    rows = np.broadcast_to(np.arange(len(score))[:, None], columns.shape)
    chosen[rows[good], columns[good]] = True


def _tail(terms: Terms, logits: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Expansions of the items that are no candidates. Shape: (b, K, GROUPS, len(TAIL))."""
    out = np.zeros((*left.shape[:2], GROUPS, len(TAIL)), np.float32)
    moved = (terms.cos, terms.repeat, terms.popularity)
    for group, mask in enumerate((left & terms.bought, left & ~terms.bought)):
        own = np.where(mask, logits, -np.inf)
        top = own.max(-1, keepdims=True, initial=-1e30)
        weight = np.exp(own - top)
        total = weight.sum(-1)
        out[..., group, 0] = np.where(total > 0, np.log(np.maximum(total, 1e-30)) + top[..., 0], -np.inf)
        share = weight / np.maximum(total, 1e-30)[..., None]
        away = []
        for place, values in enumerate(moved):
            mean = (share * np.where(mask, values, 0.0)).sum(-1)
            out[..., group, 1 + place] = mean
            away.append(np.where(mask, values - mean[..., None], 0.0))
        for place, (one, two) in enumerate(((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))):
            out[..., group, 4 + place] = (share * away[one] * away[two]).sum(-1)
    return out
