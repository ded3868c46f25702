"""Why an example's list changed: the terms of the score, before and after, for every item that is or was in the list.

- Each term's change is centred on its mean over the items of both lists: what moves all of them alike moves none of them.
- The term that is named is the one that pushed an item most in the direction in which its score went. Items that a cut (K, M) took out, or
  that the diversity step passed over, are said to be so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import log_softmax

from backend.evaluation.fusion_lab import FusionLab, Scores
from backend.evaluation.lab_cases import LabCases
from backend.evaluation.rescoring import rescore
from backend.frames import records
from backend.generation.diversity import POOL
from backend.settings import LabSettings

TERMS = ("prefix", "cosine", "repeat", "popularity", "rivals", "value", "judge", "diversity")


@dataclass(frozen=True)
class Why:
    """One example, before and after.

    Frames:
        items   item (row) · left · right (ranks, NaN if absent) · hit · prefix (row in the case) · one column a term (centred change) ·
                mover (the term that says why; "" where nothing moved) · note
    """

    user_id: str
    task: str
    instruction: str
    items: pd.DataFrame
    targets: np.ndarray
    figures: dict[str, tuple[float, float]]  # metric → before, after


def why(lab: FusionLab, question: int, before: Scores, after: Scores) -> Why:
    """Explain one question of the lab."""
    row, stored, hidden = int(lab.rows[question]), lab.cases, bool(lab.hide[question])
    left, right = before.lists.at[question], after.lists.at[question]
    at = np.array(list(dict.fromkeys([*right[right >= 0].tolist(), *left[left >= 0].tolist()])), np.int64)
    ranks = {
        side: {int(j): place for place, j in enumerate(each, 1) if j >= 0} for side, each in (("left", left), ("right", right))
    }
    terms = {
        side: terms_of(lab, row, at, each.setting.with_hidden(hidden)) for side, each in (("left", before), ("right", after))
    }
    change = terms["right"] - terms["left"]
    change -= change.mean(0) if len(change) else 0.0
    targets = lab.targets[question]
    frame = pd.DataFrame(
        {"item": stored.item[at].astype(np.int64), **{s: [ranks[s].get(int(j), np.nan) for j in at] for s in ranks}}
    )
    frame["left"], frame["right"] = frame["left"].astype(float), frame["right"].astype(float)
    frame["hit"] = np.isin(frame["item"], targets)
    frame["prefix"] = _beam(stored, row, at)
    for place, name in enumerate(TERMS[:-1]):
        frame[name] = change[:, place] if len(change) else 0.0
    frame["diversity"] = 0.0
    plain = _plain(lab, question, after)
    told = [
        _mover(entry, before.setting, after.setting, plain.get(int(j), float("nan")))
        for entry, j in zip(records(frame), at, strict=True)
    ]
    frame["mover"], frame["note"] = [name for name, _ in told], [note for _, note in told]
    about = stored.cases.iloc[row]
    pairs = {name: (float(before.values[name][question]), float(after.values[name][question])) for name in after.values}
    frame = frame.sort_values(["right", "left"], ignore_index=True)
    return Why(str(about["user_id"]), str(about["task"]), str(about["instruction"]), frame, targets, pairs)


def _beam(stored: LabCases, row: int, at: np.ndarray) -> np.ndarray:
    return np.searchsorted(stored.offsets[row * stored.beams : (row + 1) * stored.beams + 1], at, side="right") - 1


def terms_of(lab: FusionLab, row: int, at: np.ndarray, setting: LabSettings) -> np.ndarray:
    """The terms of some candidates of a case; they sum to its score. Shape: (len(at), 7), in the order of `TERMS` without diversity."""
    stored, beam = lab.cases, _beam(lab.cases, row, at)
    first = log_softmax(stored.first_logits[row] + setting.repeat_weight * stored.first_prior[row])
    log_phi = first[stored.code[row]] + stored.rest[row]
    sharp = spread_of(log_phi, setting) / setting.tau
    scale = stored.scale[row]
    parts = np.stack(
        [
            setting.prefix_weight * log_phi[beam],
            setting.item_weight * sharp * scale[0] * stored.cos[at],
            setting.item_weight * setting.repeat_weight * scale[1] * stored.repeat[at],
            setting.item_weight * setting.popularity_weight * scale[2] * stored.popularity[at],
            np.zeros(len(at)),
            setting.value_weight * lab.price[stored.item[at]],
            setting.judge_weight * scale[3] * stored.judge[at],
        ],
        1,
    )
    parts[:, 4] = -setting.item_weight * rivals(stored, row, sharp, setting)[beam]
    return parts


def spread_of(log_phi: np.ndarray, setting: LabSettings) -> float:
    """σ to the power of its strength, over the kept prefixes."""
    kept = np.sort(log_phi[np.isfinite(log_phi)])[::-1][: 1 if setting.top1_prefix else setting.beams]
    if len(kept) < 2:
        return 1.0
    values = kept if setting.sigma_domain == "log" else np.exp(kept)
    if setting.sigma_domain == "renormalised":
        values = values / values.sum()
    return float(np.std(values)) ** (setting.strength if setting.apf else 0.0)


def rivals(stored: LabCases, row: int, sharp: float, setting: LabSettings) -> np.ndarray:
    """log Σ exp(logit) over all items of each stored prefix: how strong an item's rivals in its prefix are. Shape: (K,)."""
    scale, ends = stored.scale[row], stored.offsets[row * stored.beams : (row + 1) * stored.beams + 1]
    own = slice(ends[0], ends[-1])
    logits = sharp * scale[0] * stored.cos[own] + setting.repeat_weight * scale[1] * stored.repeat[own]
    logits = logits + setting.popularity_weight * scale[2] * stored.popularity[own]
    beam = np.repeat(np.arange(stored.beams), np.diff(ends))
    d = np.array([sharp - stored.scaled[row], setting.repeat_weight - stored.shipped.repeat_weight,
                  setting.popularity_weight - stored.shipped.popularity_weight])  # fmt: skip
    tail = stored.tail[row].astype(float)  # (K, groups, 10)
    bend = tail[..., 4:7] @ (d**2) / 2 + tail[..., 7:] @ np.array([d[0] * d[1], d[0] * d[2], d[1] * d[2]])
    rest = tail[..., 0] + tail[..., 1:4] @ d + np.where(np.isfinite(tail[..., 0]), bend, 0.0)
    total = np.full(stored.beams, -np.inf)
    np.logaddexp.at(total, beam, logits)
    return np.where(np.isfinite(total), np.logaddexp(total, np.logaddexp.reduce(rest, axis=1)), 0.0)


def _plain(lab: FusionLab, question: int, after: Scores) -> dict[int, int]:
    """Ranks without the diversity step: candidate → rank; empty where the step is off."""
    if not after.setting.diversity:
        return {}
    plain = after.setting.model_copy(update={"diversity": 0.0, "top": max(POOL, after.setting.top)})
    found = rescore(lab.cases, lab.rows[[question]], lab.hide[[question]], plain, lab.price, lab.vectors).at[0]
    return {int(j): place for place, j in enumerate(found, 1) if j >= 0}


def _mover(item: dict[str, Any], before: LabSettings, after: LabSettings, plain: float) -> tuple[str, str]:
    """The term that says why an item moved, and a note."""
    left, right = item["left"], item["right"]
    if left == right:
        return "", ""
    up = np.isnan(left) or (not np.isnan(right) and right < left)
    if after.diversity != before.diversity and not np.isnan(plain) and (np.isnan(right) or plain != right):
        listed = plain <= after.top
        if np.isnan(right) and listed:
            return "diversity", f"place {plain:.0f} without the diversity step: too near to what stands above it"
        if not np.isnan(right) and (plain > right) == up:
            return "diversity", f"place {plain:.0f} without the diversity step"
    pushes = {name: item[name] * (1 if up else -1) for name in TERMS[:-1]}
    best = max(pushes, key=lambda name: pushes[name])
    if np.isnan(right) and after.beams < before.beams and pushes[best] <= 1e-6:
        return "prefix", f"its prefix is not among the {after.beams} that are kept"
    if pushes[best] <= 1e-6:
        return "", "others passed it" if not up else "others fell behind"
    return best, ""
