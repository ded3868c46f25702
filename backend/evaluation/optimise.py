"""Searching the fusion's knobs for several goals at once (Optuna), on validation examples.

- Every trial is one re-ranking of all examples, so a budget of hundreds takes seconds.
- The shipped setting is the first trial: the front never lies behind what one started from.
- NSGA-II for two and more goals, TPE for one; seeded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from backend.errors import RequestError
from backend.evaluation.fusion_lab import MEAN, METRICS, FusionLab, front
from backend.progress import CancelToken, Progress, Report, silent
from backend.settings import LabSettings

KNOBS: dict[str, tuple[float, float, bool]] = {  # name → lowest, highest, on a logarithmic scale
    "prefix_weight": (0.0, 3.0, False),
    "item_weight": (0.1, 3.0, False),
    "tau": (0.01, 1.0, True),
    "strength": (0.0, 2.0, False),
    "repeat_weight": (0.0, 3.0, False),
    "repeat_hidden": (0.0, 1.0, False),
    "popularity_weight": (-2.0, 2.0, False),
    "value_weight": (-1.0, 1.0, False),
    "judge_weight": (0.0, 4.0, False),
    "diversity": (0.0, 0.8, False),
}
MAX_TRIALS = 2000


@dataclass(frozen=True)
class Search:
    """What was found.

    trials: one row a trial: number · setting (JSON) · front (bool) · one column a metric and part, "metric/part".
    """

    goals: tuple[tuple[str, str], ...]
    start: LabSettings
    trials: pd.DataFrame

    def settings(self, number: int) -> LabSettings:
        """The setting of a trial."""
        return LabSettings.model_validate_json(str(self.trials.loc[self.trials["number"] == number, "setting"].iat[0]))


def column(metric: str, part: str) -> str:
    """Name of a goal's column."""
    return f"{metric}/{part}"


def optimise(
    lab: FusionLab,
    start: LabSettings,
    goals: Sequence[tuple[str, str]],
    knobs: Sequence[str],
    trials: int = 150,
    seed: int = 7,
    report: Report = silent,
    cancel: CancelToken | None = None,
) -> Search:
    """Search for settings that are best in all goals together.

    Args:
        lab: of the *validation* split.
        start: the first trial; knobs that are not searched stay as they are here.
        goals: (metric, part) pairs, each to be made as large as possible; the part may be `MEAN`.
        knobs: names of `KNOBS`.
        trials: the budget.

    Raises:
        RequestError: no goal, no knob, or an unknown one.
        Cancelled: asked to stop.
    """
    import optuna

    unknown = [name for name in knobs if name not in KNOBS]
    unknown += [f"{m}/{p}" for m, p in goals if m not in METRICS or p not in (*lab.parts, MEAN)]
    if unknown or not goals or not knobs:
        raise RequestError(
            f"nothing to search for: {', '.join(unknown) or 'no goal or no knob'}", "optimise", "choose goals and knobs"
        )
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler: Any = optuna.samplers.NSGAIISampler(seed=seed, population_size=max(10, min(40, trials // 6)))
    study = optuna.create_study(
        directions=["maximize"] * len(goals), sampler=sampler if len(goals) > 1 else optuna.samplers.TPESampler(seed=seed)
    )
    ranges = {name: KNOBS[name] for name in knobs}
    study.enqueue_trial({name: min(max(getattr(start, name), low), high) for name, (low, high, _) in ranges.items()})
    rows: list[dict[str, Any]] = []

    def objective(trial: optuna.Trial) -> list[float]:
        if cancel:
            cancel.check()
        values = {name: trial.suggest_float(name, low, high, log=log) for name, (low, high, log) in ranges.items()}
        setting = start.model_copy(update={name: float(f"{value:.3g}") for name, value in values.items()})
        if trial.number == 0:
            setting = start
        means = {str(part): row for part, row in lab.means(lab.score(setting)).to_dict("index").items()}
        found = [float(means[part][metric]) for metric, part in goals]
        every = {column(str(metric), str(part)): float(value) for part, row in means.items() for metric, value in row.items()}
        rows.append({"number": trial.number, "setting": setting.model_dump_json(), **every})
        report(Progress("optimise", len(rows), trials, "trials", {column(*goals[0]): found[0]}))
        return found

    study.optimize(objective, n_trials=max(1, min(trials, MAX_TRIALS)))
    frame = pd.DataFrame(rows).drop_duplicates("setting", ignore_index=True)
    frame["front"] = front(frame[[column(*goal) for goal in goals]].to_numpy())
    return Search(tuple(goals), start, frame)
