"""Re-ranking many examples at once over stored terms: one compiled pass for each example, without temporaries.

    score = w_φ·log φ_k + w_item·log P(i|k) + w_value·log price_i + w_judge·judge_i
    P(i|k) = softmax over V_k of cos·σ^s/τ + w_r·repeat + w_p·popularity

- What a knob leaves out is not computed: prefixes beyond K are skipped, the diversity step only runs when its weight is not zero. Nor is what
  cannot matter: P(i|k) ≤ 1, so once even that would not reach the list's last place, this prefix and all behind it are left (exact).
- M is a quota: the list takes at most M items of one prefix, which is the same as cutting each prefix to its M best before fusing.
- Diversity is maximal marginal relevance (Carbonell & Goldstein 1998) over the best `POOL` items: (1-λ)·score, scaled to [0, 1] in the pool,
  minus λ·the largest cosine to what is already in the list.
- The pass releases Python's lock and runs on plain threads: numba's own threading layer must not be entered by two sessions at once.
- Compiled once a process (some seconds, `ready`) and not kept on disk: numba's cache index is a pickle, and none is read here.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numba import njit

from backend.evaluation.lab_cases import GROUPS, LOGITS, TAIL, LabCases
from backend.generation.diversity import POOL
from backend.settings import FusionSettings, LabSettings

DOMAINS = ("probability", "renormalised", "log")
_FAST = {"reassoc", "contract", "arcp", "afn"}  # not nnan, not ninf: -inf means "no such beam"
_THREADS = max(1, min(4, os.cpu_count() or 1))
_pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="rescoring")


@dataclass(frozen=True)
class Lists:
    """Ranked lists of q questions.

    Shape:
        at: (q, N) flat positions of the candidates, -1 = empty place; score: (q, N).
    """

    at: np.ndarray
    score: np.ndarray

    def items(self, lab: LabCases) -> np.ndarray:
        """Item rows. Shape: (q, N), -1 = empty place."""
        return np.where(self.at >= 0, lab.item[np.maximum(self.at, 0)], -1).astype(np.int64)


def rescore(
    lab: LabCases, rows: np.ndarray, hide: np.ndarray, setting: LabSettings, value: np.ndarray, vectors: np.ndarray
) -> Lists:
    """Lists of some questions under a setting.

    Args:
        rows: which case each question is about.
        hide: whether items that the household has bought are hidden.
        value: log price of every item, around nought.
        vectors: unit vectors of every item, for the diversity step.

    Shape:
        rows, hide: (q,); value: (n_items,); vectors: (n_items, d).
    """
    q, top = len(rows), setting.top
    at, score = np.full((q, top), -1, np.int64), np.full((q, top), -np.inf, np.float32)
    numbers = np.array(
        [
            setting.prefix_weight, setting.item_weight, setting.tau, setting.strength if setting.apf else 0.0, setting.repeat_weight,
            setting.popularity_weight, setting.value_weight, setting.diversity, lab.shipped.repeat_weight, lab.shipped.popularity_weight,
            setting.with_hidden(True).repeat_weight, setting.judge_weight,
        ],
        np.float32,
    )  # fmt: skip
    sizes = np.array(
        [1 if setting.top1_prefix else setting.beams, setting.per_prefix, DOMAINS.index(setting.sigma_domain), POOL], np.int64
    )
    arguments = (
        np.ascontiguousarray(rows, np.int64), np.ascontiguousarray(hide, np.bool_), numbers, sizes, lab.first_logits, lab.first_prior,
        lab.code, lab.rest, lab.tail, lab.scaled, lab.offsets, lab.item, lab.cos, lab.repeat, lab.popularity, lab.judge, lab.bought, lab.scale,
        np.ascontiguousarray(value, np.float32), np.ascontiguousarray(vectors, np.float32), at, score,
    )  # fmt: skip
    _spread_out(_pass, q, arguments)
    return Lists(at, score)


def spacing(items: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Intra-list diversity, as `metrics.listwise`, in single precision.

    Shape:
        items: (q, N), -1 = empty place; vectors: (n_items, d) unit rows, or rows of zeros; returns: (q,), NaN for a list of less than two.
    """
    out = np.full(len(items), np.nan)
    _spread_out(_apart, len(items), (np.ascontiguousarray(items, np.int64), np.ascontiguousarray(vectors, np.float32), out))
    return out


def ready() -> None:
    """Compile, so that the first move does not wait for it."""
    none, nothing = np.zeros((1, 0), np.float32), np.zeros(0, np.int16)
    lab = LabCases(
        cases=pd.DataFrame(), shipped=FusionSettings(), first_logits=none, first_prior=none, code=none.astype(np.int16), rest=none,
        tail=np.zeros((1, 0, GROUPS, len(TAIL)), np.float32), scaled=np.ones(1, np.float32), offsets=np.zeros(1, np.int64),
        item=nothing.astype(np.int32), cos=nothing, repeat=nothing, popularity=nothing, judge=nothing, bought=nothing.astype(bool),
        scale=np.ones((1, len(LOGITS)), np.float32), target=nothing, target_offsets=np.zeros(2, np.int64), target_bought=nothing.astype(bool),
    )  # fmt: skip
    row = np.zeros(1, np.int64)
    rescore(lab, row, row, LabSettings(), np.zeros(1), np.zeros((1, 1)))
    spacing(row[:, None], np.zeros((1, 1)))


def _spread_out(work: Callable[..., None], n: int, arguments: tuple[Any, ...]) -> None:
    """Compiled work on rows 0 … n in several threads; more pieces than threads, since a busy machine does not share evenly."""
    cuts = np.linspace(0, n, 4 * _THREADS + 1).astype(int) if n >= 64 else np.array([0, n])
    for each in [_pool.submit(work, int(low), int(high), *arguments) for low, high in pairwise(cuts)]:
        each.result()


@njit(nogil=True, fastmath=_FAST)
def _prefixes(logits, prior, weight, code, rest):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """log φ of every stored prefix of a case."""
    top, total = np.float32(-np.inf), np.float32(0.0)
    for c in range(len(logits)):
        top = max(top, logits[c] + weight * prior[c])
    for c in range(len(logits)):
        total += np.exp(logits[c] + weight * prior[c] - top)
    norm, out = top + np.log(total), np.empty(len(code), np.float32)
    for k in range(len(code)):
        out[k] = logits[code[k]] + weight * prior[code[k]] - norm + rest[k]
    return out


@njit(nogil=True, fastmath=_FAST)
def _spread(log_phi, kept, domain):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """σ over the kept prefixes; see `generation.fusion.sigma`."""
    n = len(kept)
    if n < 2:
        return np.float32(1.0)
    values, total, squares = np.empty(n, np.float64), 0.0, 0.0
    for j in range(n):
        values[j] = log_phi[kept[j]] if domain == 2 else np.exp(log_phi[kept[j]])
        total += values[j]
    mean = total / n
    for j in range(n):
        squares += (values[j] - mean) ** 2
    spread = np.sqrt(squares / n)
    return np.float32(spread / max(total, 1e-30) if domain == 1 else spread)


@njit(nogil=True, fastmath=_FAST)
def _insert(scores, places, size, most, score, place):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Put an entry into a short list that is kept in order; returns the list's new size."""
    if size == most:
        if score <= scores[size - 1]:
            return size
        size -= 1
    j = size
    while j > 0 and scores[j - 1] < score:
        scores[j], places[j] = scores[j - 1], places[j - 1]
        j -= 1
    scores[j], places[j] = score, place
    return size + 1


@njit(nogil=True, fastmath=_FAST)
def _spaced(scores, rows, vectors, weight, count):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Maximal marginal relevance: the order in which a pool (best first) is taken."""
    n, d = len(scores), vectors.shape[1]
    own = np.empty((n, d), np.float32)
    for i in range(n):
        own[i] = vectors[rows[i]]
    span = max(scores[0] - scores[n - 1], np.float32(1e-6))
    near, taken = np.full(n, np.float32(-1.0)), np.zeros(n, np.bool_)
    order = np.empty(min(count, n), np.int64)
    for place in range(len(order)):
        best, at = np.float32(-np.inf), -1
        for i in range(n):
            if taken[i]:
                continue
            worth = (np.float32(1.0) - weight) * (scores[i] - scores[n - 1]) / span
            if place:
                worth -= weight * near[i]
            if worth > best:
                best, at = worth, i
        order[place], taken[at] = at, True
        for i in range(n):
            if not taken[i]:
                cosine = np.float32(0.0)
                for x in range(d):
                    cosine += own[i, x] * own[at, x]
                near[i] = max(near[i], cosine)
    return order


@njit(nogil=True, fastmath=_FAST)
def _apart(low, high, items, vectors, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Lists low … high of `spacing`: Σ cos over the pairs from |Σu|² = Σ|u|² + 2 Σ cos, one sum a list."""
    d = vectors.shape[1]
    total = np.empty(d, np.float32)
    for row in range(low, high):
        total[:] = 0.0
        n, own = 0, np.float32(0.0)
        for i in items[row]:
            if i >= 0:
                n += 1
                for x in range(d):
                    total[x] += vectors[i, x]
                    own += vectors[i, x] * vectors[i, x]
        whole = np.float32(0.0)
        for x in range(d):
            whole += total[x] * total[x]
        if n > 1:
            out[row] = 1.0 - (whole - own) / (n * (n - 1))


@njit(nogil=True, fastmath=_FAST)
def _pass(  # type: ignore[no-untyped-def]  # noqa: ANN202
    low, high, rows, hide, numbers, sizes, first_logits, first_prior, code, rest, tail, scaled, offsets, item, cos, repeat, popularity, judge,  # noqa: ANN001
    bought, scale, value, vectors, out, out_score,  # noqa: ANN001
):  # fmt: skip
    """Questions low … high of `rescore`."""
    w_phi, w_item, tau, strength, w_open, w_popularity, w_value, w_near, r0, p0, w_hidden, w_judge = numbers
    beams, quota, domain, pool = sizes
    top, stored = out.shape[1], code.shape[1]
    most = max(pool, top) if w_near > 0 else top
    best, best_at = np.empty(most, np.float32), np.empty(most, np.int64)
    own, own_at = np.empty(min(quota, most), np.float32), np.empty(min(quota, most), np.int64)
    kept_phi, kept_at = np.empty(min(beams, stored), np.float32), np.empty(min(beams, stored), np.int64)
    longest = 1
    for i in range(len(offsets) - 1):
        longest = max(longest, offsets[i + 1] - offsets[i])
    logits = np.empty(longest, np.float32)
    lift = np.float32(0.0)  # the most that the price can add to a score; the judge only takes away
    for i in range(len(value)):
        lift = max(lift, w_value * value[i])
    lift += np.float32(1e-3)  # more than rounding
    for question in range(low, high):
        row, hidden = rows[question], hide[question]
        w_repeat = w_hidden if hidden else w_open
        log_phi = _prefixes(first_logits[row], first_prior[row], w_repeat, code[row], rest[row])
        n_kept = 0
        for k in range(stored):
            if log_phi[k] == -np.inf:
                continue
            alive = not hidden
            for group in range(1, tail.shape[2]):  # group 0 holds bought items
                alive = alive or tail[row, k, group, 0] > -np.inf
            begin, end = offsets[row * stored + k], offsets[row * stored + k + 1]
            while not alive and begin < end:
                alive = not bought[begin]
                begin += 1
            if alive:
                n_kept = _insert(kept_phi, kept_at, n_kept, len(kept_at), log_phi[k], k)
        kept = kept_at[:n_kept]
        sharp = _spread(log_phi, kept, domain) ** strength / tau
        a, r, p = sharp * scale[row, 0], w_repeat * scale[row, 1], w_popularity * scale[row, 2]
        u = w_judge * scale[row, 3]
        size = 0
        for k in kept:  # from the likeliest prefix on
            if size == most and w_phi * log_phi[k] + lift < best[size - 1]:
                break
            begin, end = offsets[row * stored + k], offsets[row * stored + k + 1]
            peak = np.float32(-1e30)
            for j in range(begin, end):
                logit = a * cos[j] + r * repeat[j] + p * popularity[j]
                if hidden and bought[j]:
                    logit = np.float32(-np.inf)
                logits[j - begin] = logit
                peak = max(peak, logit)
            total = np.float32(0.0)
            for j in range(end - begin):
                total += np.exp(logits[j] - peak)
            for group in range(1 if hidden else 0, tail.shape[2]):
                own_tail = tail[row, k, group]
                if own_tail[0] > -np.inf:
                    dc, dr, dp = sharp - scaled[row], w_repeat - r0, w_popularity - p0
                    slope = dc * own_tail[1] + dr * own_tail[2] + dp * own_tail[3]
                    bend = dc * dc * own_tail[4] + dr * dr * own_tail[5] + dp * dp * own_tail[6]
                    twist = dc * dr * own_tail[7] + dc * dp * own_tail[8] + dr * dp * own_tail[9]
                    logit = own_tail[0] + slope + np.float32(0.5) * bend + twist
                    if logit > peak:
                        total = total * np.exp(peak - logit) + np.float32(1.0)
                        peak = logit
                    else:
                        total += np.exp(logit - peak)
            base = w_phi * log_phi[k] - w_item * (peak + np.log(max(total, np.float32(1e-30))))
            direct, own_size = quota >= most, 0
            for j in range(begin, end):
                if logits[j - begin] > -np.inf:
                    score = base + w_item * logits[j - begin] + w_value * value[item[j]]
                    if u > 0:
                        score += u * judge[j]
                    if direct:
                        size = _insert(best, best_at, size, most, score, j)
                    else:
                        own_size = _insert(own, own_at, own_size, len(own), score, j)
            for j in range(own_size):
                size = _insert(best, best_at, size, most, own[j], own_at[j])
        if w_near > 0 and size:
            chosen = np.empty(size, np.int64)
            for j in range(size):
                chosen[j] = item[best_at[j]]
            order = _spaced(best[:size], chosen, vectors, w_near, top)
            for j in range(len(order)):
                out[question, j], out_score[question, j] = best_at[order[j]], best[order[j]]
        else:
            for j in range(min(size, top)):
                out[question, j], out_score[question, j] = best_at[j], best[j]
