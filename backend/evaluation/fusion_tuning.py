"""Choosing the fusion weights on validation: a coordinate search over stored components.

- The model is not asked again: every trial is a re-scoring.
- Like every baseline, the model gets one setting for all questions (SIGMA: "no knob per task"): the score is the mean NDCG@10 over
  all (task, view) pairs. The best setting of each task among the same trials is kept too, as what per-task knobs would buy.
- Kept: every trial, so that a table can show what each knob is worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.evaluation.cases import Case
from backend.evaluation.components import Components
from backend.evaluation.sigma import SigmaRecommender
from backend.evaluation.tuning import ndcg_by_view
from backend.generation.generator import Generator
from backend.progress import CancelToken, Progress, Report, silent
from backend.settings import FusionSettings

TAUS = (0.005, 0.01, 0.02, 0.035, 0.05, 0.07, 0.1, 0.15, 0.25)
DOMAINS = ("probability", "renormalised", "log")
KNOBS: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("repeat_weight", (0.5, 0.75, 1.0, 1.25, 1.5)),
    ("prefix_weight", (0.5, 0.75, 1.0, 1.25)),
    ("popularity_weight", (0.0, 0.5, 1.0, 1.5)),
    ("repeat_hidden", (0.0, 0.25, 0.5, 0.75)),
)


@dataclass
class Search:
    """All trials so far: setting → NDCG@10 of each "task/view"."""

    generator: Generator
    components: Components
    cases: Sequence[Case]
    report: Report = silent
    cancel: CancelToken | None = None
    parts: dict[FusionSettings, dict[str, float]] = field(default_factory=dict)

    def score(self, setting: FusionSettings) -> float:
        """Mean NDCG@10 over the (task, view) pairs."""
        if setting not in self.parts:
            if self.cancel:
                self.cancel.check()
            self.parts[setting] = ndcg_by_view(SigmaRecommender("trial", self.generator, self.components, setting), self.cases)
            self.report(Progress("fusion", len(self.parts), 0, "trials", {"ndcg@10": self._mean(setting)}))
        return self._mean(setting)

    def _mean(self, setting: FusionSettings) -> float:
        values = self.parts[setting].values()
        return sum(values) / max(len(values), 1)

    def climb(self, setting: FusionSettings, name: str, values: Sequence[Any]) -> FusionSettings:
        """The best of a setting and its variations in one field; ties go to the setting as it is."""
        return max([setting, *(setting.model_copy(update={name: value}) for value in values)], key=self.score)

    def best_for(self, task: str) -> FusionSettings:
        """The best trial for one task."""

        def own(setting: FusionSettings) -> float:
            values = [value for part, value in self.parts[setting].items() if part.split("/")[0] == task]
            return sum(values) / max(len(values), 1)

        return max(self.parts, key=own)


@dataclass(frozen=True)
class Tuned:
    """The chosen setting, the best one without APF, the best of each task, and all trials."""

    best: FusionSettings
    best_without_apf: FusionSettings
    by_task: dict[str, FusionSettings]
    trials: list[dict[str, Any]]


def tune_fusion(
    generator: Generator,
    components: Components,
    cases: Sequence[Case],
    start: FusionSettings,
    report: Report = silent,
    cancel: CancelToken | None = None,
) -> Tuned:
    """Search on (validation) cases: first without APF, then every σ domain from there."""
    search = Search(generator, components, cases, report, cancel)
    plain = start.model_copy(update={"apf": False})
    for name, values in (("tau", TAUS), *KNOBS, ("tau", TAUS)):
        plain = search.climb(plain, name, values)
    domains = [plain.model_copy(update={"apf": True, "sigma_domain": domain}) for domain in DOMAINS]
    adaptive = max((search.climb(setting, "tau", TAUS) for setting in domains), key=search.score)
    for name, values in KNOBS:
        adaptive = search.climb(adaptive, name, values)
    tasks = dict.fromkeys(case.task for case in cases)
    changed = [
        {name: value for name, value in setting.model_dump().items() if value != getattr(start, name)} for setting in search.parts
    ]
    return Tuned(
        best=max((adaptive, plain), key=search.score),
        best_without_apf=plain,
        by_task={task: search.best_for(task) for task in tasks},
        trials=[
            {
                "setting": setting,
                "ndcg@10": round(search.score(key), 5),
                "parts": {k: round(v, 5) for k, v in search.parts[key].items()},
            }
            for setting, key in zip(changed, search.parts, strict=True)
        ],
    )
