"""Choosing the fusion weights on validation: a coordinate search over stored components.

- The model is not asked again: every trial is a re-scoring.
- Each task gets its own setting; the score is the mean NDCG@10 over the task's views, as for the baselines.
- Kept: every trial, so that the README can show what each knob is worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backend.evaluation.cases import Case
from backend.evaluation.components import Components
from backend.evaluation.sigma import SigmaRecommender
from backend.evaluation.tuning import ndcg_by_view
from backend.generation.generator import Generator
from backend.progress import CancelToken, Progress, Report, silent
from backend.settings import FusionSettings

TAUS = (0.01, 0.02, 0.035, 0.05, 0.07, 0.1, 0.15)
DOMAINS = ("probability", "renormalised", "log")
REPEATS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0)
POPULARITIES = (-0.1, 0.0, 0.1, 0.2)
PREFIX_WEIGHTS = (0.5, 0.75, 1.0, 1.25)


@dataclass(frozen=True)
class Tuned:
    """The best setting of a task with and without APF, and all trials ({"setting": changed fields, "ndcg@10"})."""

    task: str
    best: FusionSettings
    best_without_apf: FusionSettings
    trials: list[dict[str, Any]]


def tune_fusion(
    generator: Generator,
    components: Components,
    cases: Sequence[Case],
    start: FusionSettings,
    report: Report = silent,
    cancel: CancelToken | None = None,
) -> dict[str, Tuned]:
    """Tune every task of the (validation) cases, with APF on and off."""
    tasks = list(dict.fromkeys(case.task for case in cases))
    out: dict[str, Tuned] = {}
    for done, task in enumerate(tasks):
        own = [case for case in cases if case.task == task]
        trials: list[dict[str, Any]] = []
        scores: dict[FusionSettings, float] = {}

        def score(
            setting: FusionSettings,
            own: list[Case] = own,
            scores: dict[FusionSettings, float] = scores,
            trials: list[Any] = trials,
        ) -> float:
            if cancel:
                cancel.check()
            if setting not in scores:
                parts = ndcg_by_view(SigmaRecommender("trial", generator, components, setting), own)
                scores[setting] = sum(parts.values()) / len(parts)
                changed = {k: v for k, v in setting.model_dump().items() if v != getattr(start, k)}
                trials.append({"setting": changed, "ndcg@10": round(scores[setting], 5), "parts": parts})
            return scores[setting]

        def climb(setting: FusionSettings, field: str, values: Sequence[Any], score: Any = score) -> FusionSettings:
            options = [setting, *(setting.model_copy(update={field: value}) for value in values)]
            return max(options, key=score)

        plain = climb(start.model_copy(update={"apf": False, "repeat_weight": 0.5}), "tau", TAUS)
        for field, values in (
            ("repeat_weight", REPEATS),
            ("tau", TAUS),
            ("prefix_weight", PREFIX_WEIGHTS),
            ("popularity_weight", POPULARITIES),
        ):
            plain = climb(plain, field, values)
        adaptive = plain.model_copy(update={"apf": True})
        both = [climb(adaptive.model_copy(update={"sigma_domain": domain}), "tau", TAUS) for domain in DOMAINS]
        adaptive = max(both, key=score)
        for field, values in (("repeat_weight", REPEATS), ("prefix_weight", PREFIX_WEIGHTS), ("popularity_weight", POPULARITIES)):
            adaptive = climb(adaptive, field, values)
        out[task] = Tuned(task, max((adaptive, plain), key=score), plain, trials)
        report(Progress("fusion", done + 1, len(tasks), task, {"ndcg@10": score(out[task].best), "without APF": score(plain)}))
    return out
