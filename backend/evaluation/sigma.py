"""The model as a recommender under the protocol: stored components + a fusion setting = lists.

Variants differ in the setting alone, so that every ablation of step 3 runs on the same forward passes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from backend.evaluation.baselines.base import top_k
from backend.evaluation.cases import Case
from backend.evaluation.components import Components, key_of
from backend.generation.diversity import POOL, spaced
from backend.generation.fusion import fuse, item_priors
from backend.generation.generator import Generator
from backend.settings import FusionSettings

_CHUNK = 64


class SigmaRecommender:
    """Three-step generation over stored components.

    Args:
        name: shown in tables.
        generator: catalogue, popularity prior.
        components: of at least the cases that will be asked.
        fusion: one setting, or one a task (key "" = all others).
        filtered: apply the instruction's constraint as a hard filter too (Category and Query pages of a shop do).
    """

    def __init__(
        self,
        name: str,
        generator: Generator,
        components: Components,
        fusion: FusionSettings | Mapping[str, FusionSettings],
        filtered: bool = False,
    ) -> None:
        self.name, self.generator, self.components, self.filtered = name, generator, components, filtered
        self.fusion: Mapping[str, FusionSettings] = {"": fusion} if isinstance(fusion, FusionSettings) else fusion

    def recommend(self, cases: Sequence[Case], k: int) -> np.ndarray:
        """Item rows, best first. Shape: (len(cases), k); -1 where the kept prefixes hold fewer items."""
        out = np.full((len(cases), k), -1, np.int64)
        kinds = [(case.task, case.seen == "hide") for case in cases]
        for kind in dict.fromkeys(kinds):
            task, hidden = kind
            setting = self.fusion.get(task, self.fusion.get("", FusionSettings())).with_hidden(hidden)
            own = [row for row, each in enumerate(kinds) if each == kind]
            for start in range(0, len(own), _CHUNK):
                part = own[start : start + _CHUNK]
                out[part] = self._chunk([cases[row] for row in part], k, setting)
        return out

    def _chunk(self, cases: Sequence[Case], k: int, setting: FusionSettings) -> np.ndarray:
        n_items = len(self.generator.sids)
        at = [self.components.index[key_of(case)] for case in cases]
        stored = self.components
        index = self.generator.index
        first_code = index.last.codes[:, 0] if index.prefix_levels else np.zeros(1, np.int64)
        log_phi = stored.log_phi(at, first_code, setting.repeat_weight)  # (b, K)
        order = np.argsort(-log_phi, axis=1, kind="stable")
        log_phi = np.take_along_axis(log_phi, order, 1)
        pick = (np.asarray(at)[:, None], order)
        members = index.members[stored.rows[pick]]  # (b, K, L)
        safe = np.maximum(members, 0)
        legal = np.ones((len(cases), n_items), bool)
        for row, case in enumerate(cases):
            if case.seen == "hide":
                legal[row, case.history] = False
            if self.filtered and case.allowed is not None:
                legal[row] &= case.allowed
        batch = np.arange(len(cases))[:, None, None]
        cos = np.where((members >= 0) & legal[batch, safe], stored.cos[pick].astype(np.float32), -np.inf)
        width = 1 if setting.top1_prefix else setting.beams
        alive = np.isfinite(cos).any(-1) & np.isfinite(log_phi)
        log_phi = np.where(alive & (np.cumsum(alive, axis=1) <= width), log_phi, -np.inf)  # the first K that hold a legal item
        weights = stored.weights[pick]  # (b, K, 1 + terms)
        terms = stored.terms[stored.record[at][:, None, None], safe].astype(np.float32)  # (b, K, L, terms)
        price = self.generator.price[safe]
        judge = stored.judged(at, safe) if setting.judge_weight else 0.0
        score, _, _ = fuse(log_phi, cos, setting, weights[..., 0], *item_priors(weights, terms), price, judge)
        if setting.per_prefix < score.shape[-1]:
            bar = -np.partition(-score, setting.per_prefix - 1, axis=-1)[..., setting.per_prefix - 1 : setting.per_prefix]
            score = np.where(score >= bar, score, -np.inf)
        flat = score.reshape(len(cases), -1)
        flat = np.where(
            np.isfinite(flat), flat + 1e-9 * np.where(np.isfinite(cos), cos, 0.0).reshape(flat.shape), -np.inf
        )  # ties: nearer first
        best = top_k(flat, max(POOL, k) if setting.diversity else k)
        items = np.where(best >= 0, np.take_along_axis(members.reshape(len(cases), -1), np.maximum(best, 0), 1), -1)
        if setting.diversity:
            items = np.stack(
                [
                    self._spaced(own, scores[at[at >= 0]], setting.diversity, k)
                    for own, scores, at in zip(items, flat, best, strict=True)
                ]
            )
        return items

    def _spaced(self, items: np.ndarray, scores: np.ndarray, weight: float, k: int) -> np.ndarray:
        """A pool's list with its diversity step. Shape: items (pool,), -1 padded; scores (found,), best first; returns: (k,), -1 padded."""
        found = items[items >= 0]
        order = spaced(scores, self.generator.model.store.text[found], weight, k)
        return np.pad(found[order], (0, k - len(order)), constant_values=-1)
