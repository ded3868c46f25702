"""The judge stage of a workspace: proxies, the student, its measures, PSJ-B's weights; and opening it again.

- Households are cut in two by seed: the student and the weights are fitted on the one part, everything reported is measured on the other,
  whose events are not even counted as evidence about the shop. All of it lies in the training period.
- The student's aspects that do not beat the baselines are stored with the report, but not loaded.
- Another judge (`judge.backend`) is made and measured beside it, and rewards rollouts in its place; the student is what is served.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from backend.data import calendar
from backend.data.schema import Dataset
from backend.data.split import split
from backend.data.store import dataset_settings, open_dataset
from backend.errors import WorkspaceError
from backend.judge import teachers
from backend.judge.aspects import ASPECTS
from backend.judge.evidence import Evidence
from backend.judge.measure import measure
from backend.judge.proxies import Labelled, Proxies
from backend.judge.student import Ordinal, StudentJudge, fit, models_of
from backend.judge.weights import (
    Pairs,
    Weights,
    fit_bradley_terry,
    fit_group_relative,
    measure_weights,
    proxy_pairs,
)
from backend.model.loading import load_store, text_grounder
from backend.progress import CancelToken, Progress, Report, silent
from backend.settings import JudgeSettings
from backend.workspace import Stage, Workspace

PROXY = "proxy labels: what households bought later in the training period, not opinions of people"
FITTED_BY = {"group-relative": fit_group_relative, "Bradley-Terry": fit_bradley_terry}


@dataclass(frozen=True)
class OpenJudge:
    """A judge, ready to be asked."""

    judge: StudentJudge
    weights: Weights
    evidence: Evidence


def fingerprint_settings(settings: JudgeSettings, seed: int, votes: int = 0) -> dict[str, Any]:
    """What a judge stage's fingerprint is made of.

    Raises:
        RequestError: an endpoint is to be asked and none is named.
    """
    asked = teachers.identity(settings)
    return {**settings.model_dump(mode="json"), "seed": seed, "votes": votes, **({"asked": asked} if asked else {})}


def make_judge(
    workspace: Workspace,
    settings: JudgeSettings,
    seed: int = 7,
    report: Report = silent,
    cancel: CancelToken | None = None,
    votes: Pairs | None = None,
    resume: bool = True,
) -> None:
    """Make the judge stage, unless it is there already.

    Args:
        votes: pairs of people to fit the weights on beside the proxies; then the stage is made anew.
        resume: go on from the checkpoint of a language model; otherwise start anew.

    Raises:
        RequestError: the endpoint is not named, cannot be reached, or refuses.
        WeightsError: the language model cannot be had.
        WorkspaceError: a stage is missing or stale, or the training period holds too few baskets.
        Cancelled: asked to stop; no stage is written, checkpoints and answers stay.
    """
    workspace.check_writable()
    own = fingerprint_settings(settings, seed, 0 if votes is None else len(votes))
    expected = workspace.expected_fingerprint("judge", own)
    if votes is None and workspace.has("judge") and workspace.stage("judge").fingerprint == expected:
        report(Progress("judge", 1, 1, "kept"))
        return
    began = time.perf_counter()
    dataset = open_dataset(workspace, report)
    may = split(dataset, dataset_settings(workspace)).train_events
    held = held_households(len(dataset.users), settings.held, seed)
    words = calendar.words()
    occasions = dict(zip(words, text_grounder(workspace)(words).numpy(), strict=True))
    evidence = _evidence(workspace, dataset, may, held, occasions)
    proxies = Proxies(dataset, may, evidence)
    report(Progress("judge", 0, 6, "proxy labels"))
    train = proxies.make(~held, settings.per_user, settings.per_situation, seed)
    measured = proxies.make(held, settings.per_user, settings.per_situation, seed)
    if not len(train.user) or not len(measured.user):
        raise WorkspaceError(
            "too few baskets to learn a judge from", str(workspace.path), "bring more events, or set judge.held otherwise"
        )
    folder = workspace.path / ".training" / f"judge-{expected}"
    if not resume:
        shutil.rmtree(folder, ignore_errors=True)
    answers = teachers.ask(settings, dataset, evidence, train, measured, folder, seed, report, cancel)
    models: dict[str, Ordinal] = {}
    for column, name in enumerate(ASPECTS):
        if cancel:
            cancel.check()
        report(Progress("judge", 1 + column, 6, f"fitting {name}"))
        models[name] = fit(train.facts, train.levels[:, column])
    reports = measure(models, train, measured, seed)
    used = {each.aspect: models[each.aspect] for each in reports if each.used}
    report(Progress("judge", 5, 6, "fitting the weights"))
    pairs, pairs_held = (_pairs(part, used, settings.pairs, seed) for part in (train, measured))
    if votes is not None:
        pairs = pairs.with_more(votes)
    weights = {name: fit_weights(pairs, settings.weights, seed) for name, fit_weights in FITTED_BY.items()}
    alone = {f"{name} alone": _only(name, train.about.shape[1]) for name in used}
    found = measure_weights(pairs_held, {**weights, **alone}, seed)
    with workspace.write("judge", own, seed) as stage:
        stage.seconds = time.perf_counter() - began
        stage.arrays(
            "student", {f"{name}.{part}": value for name, model in models.items() for part, value in model.arrays().items()}
        )
        stage.arrays(
            "weights", {f"{name}.{part}": value for name, one in weights.items() for part, value in one.arrays().items()}
        )
        stage.arrays("occasions", occasions)
        if answers and answers.arrays:
            stage.arrays("lm", answers.arrays)
        stage.metrics = {
            "labels": PROXY,
            "used": list(used),
            "households": {"train": len(np.unique(train.user)), "held out": len(np.unique(measured.user))},
            "judged": {"train": len(train.facts), "held out": len(measured.facts)},
            "pairs": {"train": len(pairs), "held out": len(pairs_held)},
            "aspects": [row for each in reports for row in each.rows()],
            "weights": [
                {"method": name, "accuracy": vars(each.accuracy), "minus uniform": vars(each.ahead)}
                for name, each in found.items()
            ],
            "mean_weights": dict(
                zip(ASPECTS, weights[settings.method].of(measured.about).mean(0).round(4).tolist(), strict=True)
            ),
            **({"teacher": answers.metrics(settings.backend, models, train, seed)} if answers else {}),
        }
    shutil.rmtree(folder, ignore_errors=True)
    report(Progress("judge", 6, 6, "written"))


def held_households(n: int, share: float, seed: int) -> np.ndarray:
    """Which households everything is measured on. Shape: (n,) bool."""
    return np.random.default_rng((seed, 11)).random(n) < share


def _evidence(
    workspace: Workspace, dataset: Dataset, may: np.ndarray, held: np.ndarray, occasions: Mapping[str, np.ndarray]
) -> Evidence:
    store = load_store(workspace, dataset)
    counted = may & ~held[dataset.events["user"].to_numpy()]
    return Evidence(dataset, counted, store.text, store.ids, occasions)


def _pairs(part: Labelled, used: Mapping[str, Ordinal], per_situation: int, seed: int) -> Pairs:
    expected = np.full((len(part.facts), len(ASPECTS)), np.nan)
    for name, model in used.items():
        expected[:, ASPECTS.index(name)] = model.expected(model.score(part.facts))
    return proxy_pairs(part, expected, per_situation, seed)


def _only(aspect: str, facts: int) -> Weights:
    """All weight on one aspect: what a weighting must be worth more than."""
    own = np.zeros((1, len(ASPECTS)))
    own[0, ASPECTS.index(aspect)] = 1.0
    return Weights(np.zeros((facts, 1)), np.zeros(1), own, np.zeros(facts), np.ones(facts))


def settings_in(stage: Stage) -> JudgeSettings:
    """The settings that a judge stage was made with.

    Raises:
        KeyError, TypeError, ValueError: it is damaged.
    """
    kept = stage.manifest["settings"]
    return JudgeSettings(**{name: value for name, value in kept.items() if name in JudgeSettings.model_fields})


def load_rewarding(workspace: Workspace, dataset: Dataset, judge: OpenJudge) -> teachers.Trusted | None:
    """The judge that rewards rollouts in the student's place; None where the student does.

    Raises:
        RequestError: no aspect of it is used; or the endpoint is not named, or is another one than was measured.
        WorkspaceError: the stage is missing, stale or damaged.
        WeightsError: the language model cannot be had.
    """
    stage = workspace.fresh_stage("judge")
    try:
        settings = settings_in(stage)
    except (KeyError, TypeError, ValueError) as error:
        raise WorkspaceError(f"the judge cannot be read ({error})", str(stage.path), "train it again") from error
    return teachers.load_teacher(stage, settings, dataset, judge.evidence)


def load_judge(workspace: Workspace, dataset: Dataset) -> OpenJudge:
    """The judge of a workspace, with the aspects that are used.

    Raises:
        WorkspaceError: the stage is missing, stale or damaged.
    """
    stage = workspace.fresh_stage("judge")
    try:
        settings = settings_in(stage)
        seed, used = int(stage.manifest["settings"]["seed"]), stage.metrics["used"]
        models = models_of(stage.arrays("student"), used)
        arrays: dict[str, Any] = {
            name.removeprefix(f"{settings.method}."): value
            for name, value in stage.arrays("weights").items()
            if name.startswith(f"{settings.method}.")
        }
        weights = Weights.from_arrays(arrays)
    except (KeyError, TypeError, ValueError) as error:
        raise WorkspaceError(f"the judge cannot be read ({error})", str(stage.path), "train it again") from error
    may = split(dataset, dataset_settings(workspace)).train_events
    held = held_households(len(dataset.users), settings.held, seed)
    evidence = _evidence(workspace, dataset, may, held, stage.arrays("occasions"))
    return OpenJudge(StudentJudge(evidence, models), weights, evidence)
