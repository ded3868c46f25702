"""One evaluation run of a workspace: baselines tuned on validation, fusion tuned on validation, everything measured on one split.

All recommenders answer the same cases in the same run. Other workspaces may join (ablations, other backbones): their models
answer too, with fusion tuned for them in the same way.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pandas as pd

from backend.data.schema import Dataset
from backend.data.split import split
from backend.data.store import dataset_settings, open_dataset
from backend.errors import RequestError, WorkspaceError
from backend.evaluation import OURS
from backend.evaluation.baselines import BASELINES, fit
from backend.evaluation.cases import Case, build_cases
from backend.evaluation.components import compute
from backend.evaluation.fusion_tuning import DOMAINS, Tuned, tune_fusion
from backend.evaluation.protocol import Evaluation, evaluate
from backend.evaluation.seasons import SEASONAL, season_cases, trained_without
from backend.evaluation.sigma import SigmaRecommender
from backend.evaluation.tuning import tune
from backend.generation.generator import Generator, load_generator
from backend.instructions.trained import tasks_of
from backend.progress import CancelToken, Report, silent
from backend.settings import FusionSettings
from backend.workspace import Workspace

_DEFAULT_BASELINES = tuple(BASELINES)
_TUNING_HOUSEHOLDS = 600  # validation households that the fusion weights are chosen on


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
    split_name: Literal["validation", "test"] = "test",
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
    unknown = set(baselines) - set(BASELINES)
    if split_name not in ("validation", "test") or unknown:
        raise RequestError(f"unknown {'baseline' if unknown else 'split'} {(sorted(unknown) or [split_name])[0]!r}")
    began = time.perf_counter()
    dataset = open_dataset(workspace, report)
    parts = split(dataset, dataset_settings(workspace))
    fair = trained_without(workspace, dataset, parts)
    tasks = tasks_of(workspace, dataset, fair.counted if fair else parts.train_events)
    usual = {name: task for name, task in tasks.items() if fair is None or name not in SEASONAL}
    validation = build_cases(dataset, _head(parts.validation, min(limit or _TUNING_HOUSEHOLDS, _TUNING_HOUSEHOLDS)), usual, seed)
    asked = build_cases(dataset, _head(parts.test if split_name == "test" else parts.validation, limit), usual, seed)
    if fair:  # the baselines may not know what the model may not
        asked += season_cases(dataset, fair, tasks, seed)
        parts = replace(parts, train=fair.train, train_events=fair.counted)
    if not asked or not validation:
        raise WorkspaceError(
            "no basket to evaluate on", str(workspace.path), "its windows hold no basket large enough: see DataSettings"
        )
    about: dict[str, Any] = {"split": split_name, "tuned": {}, "fusion": {}}
    recommenders: list[Any] = []
    for name in baselines:
        if tune_baselines:
            chosen = tune(name, dataset, parts, validation, report=report, cancel=cancel)
            about["tuned"][name] = {
                "settings": chosen.settings,
                "validation_ndcg@10": chosen.score,
                "trials": len(chosen.trials),
            }
            recommenders.append(chosen.recommender)
        else:
            recommenders.append(fit(name, dataset, parts, report=report, cancel=cancel))
    ours, tuned, vectors = _ours(OURS, workspace, dataset, validation, asked, about, report, cancel, variants=True)
    recommenders += ours
    for name, other in others:
        if other.stage("dataset").manifest.get("content") != workspace.stage("dataset").manifest.get("content"):
            raise RequestError(
                "the other workspace holds another dataset", f"{name}: {other.path}", "build it from the same source"
            )
        recommenders += _ours(name, other, dataset, validation, asked, about, report, cancel, variants=False)[0]
    measured = evaluate(
        recommenders,
        asked,
        dataset,
        parts,
        vectors=vectors,
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
            stage.metrics = {"summary": run.summary()["results"], "households": len({case.user for case in asked})}
    return run


def _ours(
    name: str,
    workspace: Workspace,
    dataset: Dataset,
    validation: Sequence[Case],
    asked: Sequence[Case],
    about: dict[str, Any],
    report: Report,
    cancel: CancelToken | None,
    variants: bool,
) -> tuple[list[SigmaRecommender], Tuned, Any]:
    """The model of a workspace under its tuned fusion, and its step-3 variants."""
    generator: Generator = load_generator(workspace, dataset)
    on_validation = compute(generator, validation, report=report, cancel=cancel)
    tuned = tune_fusion(generator, on_validation, validation, FusionSettings(beams=64, per_prefix=200), report, cancel)
    components = compute(generator, asked, report=report, cancel=cancel)
    best = tuned.best
    about["fusion"][name] = {"best": best.model_dump(), "without APF": tuned.best_without_apf.model_dump()}
    out = [SigmaRecommender(name, generator, components, best)]
    if variants:

        def variant(text: str, **update: Any) -> SigmaRecommender:
            return SigmaRecommender(f"{name}, {text}", generator, components, best.model_copy(update=update))

        out += [
            SigmaRecommender(f"{name}, constraint as filter", generator, components, best, filtered=True),
            SigmaRecommender(f"{name}, fusion per task", generator, components, tuned.by_task),
            SigmaRecommender(f"{name}, without APF", generator, components, tuned.best_without_apf),
            variant("without repeat prior", repeat_weight=0.0),
            variant("top-1 prefix", top1_prefix=True),
            variant("K=20 M=50", beams=20, per_prefix=50),
        ]
        out += [
            variant(f"σ over {domain}", apf=True, sigma_domain=domain)
            for domain in DOMAINS
            if (True, domain) != (best.apf, best.sigma_domain)
        ]
    return out, tuned, generator.model.store.text


def _references(baselines: Sequence[str]) -> list[str]:
    return [*dict.fromkeys([OURS, *baselines])]


def _head(frame: pd.DataFrame, limit: int | None) -> pd.DataFrame:
    """The first `limit` examples; users are in random order of id, so this is no selection by activity."""
    return frame if limit is None else frame.head(limit)
