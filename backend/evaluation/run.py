"""One evaluation run of a workspace: baselines tuned on validation, fusion tuned on validation, everything measured on one split.

All recommenders answer the same cases in the same run. Other workspaces may join (ablations, other backbones): their models
answer too, with fusion tuned for them in the same way.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from backend.errors import RequestError
from backend.evaluation import OURS
from backend.evaluation.answering import answering
from backend.evaluation.baselines import BASELINES, fit
from backend.evaluation.protocol import Evaluation, evaluate
from backend.evaluation.questions import SplitName, questions
from backend.evaluation.tuning import tune
from backend.progress import CancelToken, Report, silent
from backend.settings import FusionSettings
from backend.workspace import Workspace

_DEFAULT_BASELINES = tuple(BASELINES)


@dataclass(frozen=True)
class Run:
    """Result of a run; `fusion` is the setting chosen on validation."""

    evaluation: Evaluation
    fusion: FusionSettings
    split: str

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """results, differences, timings."""
        return {
            "results": self.evaluation.results,
            "differences": self.evaluation.differences,
            "timings": self.evaluation.timings,
        }

    def summary(self) -> dict[str, Any]:
        """JSON-able headline: HR@10, NDCG@10, Recall@10 of every recommender by task and view."""
        chosen = self.evaluation.results
        chosen = chosen[
            (chosen["slice"] == "all") & (chosen["k"] == 10) & chosen["metric"].isin(["hr", "ndcg", "recall", "constraint"])
        ]
        return {
            "split": self.split,
            "results": chosen.to_dict("records"),
            "differences": self._differences(),
            "fusion": self.fusion.model_dump(),
            **{key: self.evaluation.about.get(key) for key in ("commit", "date", "machine", "seed", "resamples")},
        }

    def _differences(self) -> list[dict[str, Any]]:
        rows = self.evaluation.differences
        ours = (rows["recommender"] == OURS) | (rows["reference"] == OURS)
        return rows[(rows["k"] == 10) & rows["metric"].isin(["hr", "ndcg"]) & ours].to_dict("records")  # type: ignore[return-value]


def evaluate_workspace(
    workspace: Workspace,
    split_name: SplitName = "test",
    report: Report = silent,
    cancel: CancelToken | None = None,
    others: Sequence[tuple[str, Workspace]] = (),
    baselines: Sequence[str] = _DEFAULT_BASELINES,
    limit: int | None = None,
    tune_baselines: bool = False,
    seed: int = 7,
) -> Run:
    """Measure a workspace and, unless it is read-only, write the evaluation stage.

    Args:
        others: further (name, workspace) whose models answer the same cases; they must hold the same dataset.
        baselines: names of `BASELINES`.
        tune_baselines: search each baseline's grid on validation again, instead of taking the settings that such a search chose
            (they are the constructors' defaults); minutes instead of seconds.
        limit: at most this many households (for a first look); None = all.

    Raises:
        RequestError: unknown split, baseline, or another workspace with another dataset.
        WorkspaceError: a stage is missing, stale or damaged.
    """
    unknown = sorted(set(baselines) - set(BASELINES))
    if unknown:
        raise RequestError(f"unknown baseline {unknown[0]!r}")
    began = time.perf_counter()
    asked = questions(workspace, split_name, limit, seed, report)
    dataset, parts = asked.dataset, asked.parts
    about: dict[str, Any] = {"split": split_name, "tuned": {}, "fusion": {}}
    recommenders: list[Any] = []
    for name in baselines:
        if tune_baselines:
            chosen = tune(name, dataset, parts, asked.validation, report=report, cancel=cancel)
            about["tuned"][name] = {
                "settings": chosen.settings,
                "validation_ndcg@10": chosen.score,
                "trials": len(chosen.trials),
            }
            recommenders.append(chosen.recommender)
        else:
            recommenders.append(fit(name, dataset, parts, report=report, cancel=cancel))
    ours = answering(OURS, workspace, asked, report, cancel, variants=True)
    answers = {OURS: ours}
    for name, other in others:
        if other.stage("dataset").manifest.get("content") != workspace.stage("dataset").manifest.get("content"):
            raise RequestError(
                "the other workspace holds another dataset", f"{name}: {other.path}", "build it from the same source"
            )
        answers[name] = answering(name, other, asked, report, cancel)
    for name, each in answers.items():
        recommenders += each.recommenders
        fusions = {"best": each.tuned.best, "without APF": each.tuned.best_without_apf}
        about["fusion"][name] = {key: setting.model_dump() for key, setting in fusions.items()}
    tuned = ours.tuned
    measured = evaluate(
        recommenders,
        asked.asked,
        dataset,
        parts,
        vectors=ours.generator.model.store.text,
        references=_references(baselines),
        seed=seed,
        report=report,
        cancel=cancel,
        about=about,
    )
    run = Run(measured, tuned.best, split_name)
    if not workspace.read_only:
        with workspace.write(
            "evaluation", {"split": split_name, "seed": seed, "limit": limit, "others": [name for name, _ in others]}, seed
        ) as stage:
            stage.seconds = time.perf_counter() - began
            measured.write(stage.path)
            stage.json(
                "fusion", {"best": tuned.best.model_dump(), **{task: value.model_dump() for task, value in tuned.by_task.items()}}
            )
            stage.json("fusion_trials", tuned.trials)
            stage.metrics = {"summary": run.summary()["results"], "households": len({case.user for case in asked.asked})}
    return run


def _references(baselines: Sequence[str]) -> list[str]:
    return [*dict.fromkeys([OURS, *baselines])]
