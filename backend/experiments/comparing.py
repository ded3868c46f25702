"""Running a table of variants: make, train and ask each, one after the other; then measure all of them in one run.

Killed at any moment, it goes on where it was: finished stages, the steps of a training and the lists of a model are kept in the variants'
folders, and what is kept is used only where it belongs to the same settings, inputs and questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from backend.errors import WorkspaceError
from backend.evaluation import OURS
from backend.evaluation.answering import answering
from backend.evaluation.baselines import fit
from backend.evaluation.cases import Case
from backend.evaluation.protocol import evaluate
from backend.evaluation.questions import Questions, SplitName, questions
from backend.evaluation.seeds import each_seed, over_seeds
from backend.evaluation.stored_lists import StoredLists, ask, keep, kept
from backend.experiments.making import folder_name, make, settings_of
from backend.experiments.tables import Variant
from backend.pipeline import model_settings
from backend.progress import CancelToken, Progress, Report, silent
from backend.settings import Settings
from backend.workspace import Workspace, fingerprint

_LISTS = "lists.safetensors"
_ANCHORS = ("popularity", "own frequency + popularity")  # baselines that tell how high a table stands; the rest is `evaluate`'s
_LISTS_VERSION = 2  # raised when recommenders are added, the lists' order changes, or what is generated


@dataclass(frozen=True)
class Plan:
    """One training of a table.

    Attributes:
        recommender: its name in the run, distinct for every seed.
    """

    variant: Variant
    seed: int
    settings: Settings
    folder: Path
    recommender: str


def plans(
    base: Workspace,
    variants: Sequence[Variant],
    folder: Path,
    minutes: float | None = None,
    seeds: Sequence[int] = (),
    common: Settings | None = None,
) -> list[Plan]:
    """The trainings of a table, whole system first.

    Args:
        folder: holds a workspace for each of them.
        minutes: training time at budget 1; None = as many contexts as the workspace's own model.
        seeds: the first trains all variants, the others the headline ones too; none = the workspace's own seed.
        common: settings that all variants start from, instead of the workspace's own.

    Raises:
        RequestError: an impossible setting.
    """
    start = common or settings_of(base)
    chosen = list(dict.fromkeys(seeds)) or [start.seed]
    out = []
    for variant in variants:
        for seed in chosen if variant.headline else chosen[:1]:
            settings = variant.settings(start, minutes).model_copy(update={"seed": seed})
            first = seed == chosen[0]
            name = variant.name if first else f"{variant.name}, seed {seed}"
            out.append(Plan(variant, seed, settings, folder / folder_name(variant.name, None if first else seed), name))
    return out


def compare(
    base: Workspace,
    planned: Sequence[Plan],
    split_name: SplitName = "test",
    limit: int | None = None,
    step3: bool = False,
    finished: bool = False,
    report: Report = silent,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """Make, train, ask and measure a table.

    Args:
        limit: at most this many households; None = all.
        step3: with the variants and sweeps of step 3 on the whole system, which need no training.
        finished: measure what is finished and train nothing.

    Returns:
        JSON-able: results, differences, trainings; what `evidence` and `evaluation.report` read.

    Raises:
        SigmascopeError: a stage is missing, weights cannot be had, the folder cannot be written.
        Cancelled: asked to stop; everything that was finished stays.
    """
    asked: Questions | None = None
    answers: dict[str, list[StoredLists]] = {}
    trainings: list[dict[str, Any]] = []
    done: list[Plan] = []
    for number, plan in enumerate(planned, start=1):
        if cancel:
            cancel.check()
        report(Progress("variants", number - 1, len(planned), plan.recommender))
        if finished and not _is_finished(plan):
            continue
        workspace = Workspace(plan.folder) if finished else make(base, plan.folder, plan.settings, report, cancel)
        if asked is None:  # the whole system's questions are everybody's
            asked = questions(workspace, split_name, limit, report=report)
        lists, about = _answers(plan, workspace, asked, step3 and plan.recommender == OURS, report, cancel)
        answers[plan.recommender] = lists
        trainings.append({"variant": plan.variant.name, "seed": plan.seed, **about})
        done.append(plan)
        report(Progress("variants", number, len(planned), plan.recommender))
    if asked is None or OURS not in answers:
        raise WorkspaceError("nothing is finished yet", str(planned[0].folder.parent), "run the command without --finished")
    return _measure(asked, done, answers, trainings, report, cancel)


def _is_finished(plan: Plan) -> bool:
    workspace = Workspace(plan.folder)
    if not (workspace.has("model") and (plan.folder / _LISTS).is_file()) or workspace.stale("model"):
        return False
    return bool(workspace.stage("model").manifest["settings"] == model_settings(plan.settings))


def _answers(
    plan: Plan,
    workspace: Workspace,
    asked: Questions,
    step3: bool,
    report: Report,
    cancel: CancelToken | None,
) -> tuple[list[StoredLists], dict[str, Any]]:
    """A model's lists and what is to be said of its training, kept or asked now."""
    model = workspace.fresh_stage("model")
    belongs_to = fingerprint(
        {
            "model": model.fingerprint,
            "name": plan.recommender,
            "step3": step3,
            "version": _LISTS_VERSION,
            "validation": _told(asked.validation),
            "asked": _told(asked.asked),
        }
    )
    path = plan.folder / _LISTS
    found = kept(path, asked.asked, belongs_to)
    if found is not None:
        report(Progress("answers", 1, 1, "kept"))
        return found
    ours = answering(plan.recommender, workspace, asked, report, cancel, variants=step3, sweeps=step3)
    about = {
        "minutes": model.metrics["minutes"],
        "steps": model.metrics["steps"],
        "contexts seen": model.metrics["steps"] * plan.settings.train.batch,
        "trained parameters": model.metrics["trained_parameters"],
        "parameters": model.metrics["parameters"],
        "fusion": ours.tuned.best.model_dump(mode="json"),
    }
    lists = ask(ours.recommenders, asked.asked, report, cancel)
    keep(path, lists, belongs_to, about)
    return lists, about


def _told(cases: Sequence[Case]) -> list[tuple[int, int, str, str]]:
    """What was asked of whom: other wordings or other households are other questions."""
    return [(case.user, case.start, case.task, case.instruction) for case in cases]


def _measure(
    asked: Questions,
    done: Sequence[Plan],
    answers: dict[str, list[StoredLists]],
    trainings: list[dict[str, Any]],
    report: Report,
    cancel: CancelToken | None,
) -> dict[str, Any]:
    anchors = ask([fit(name, asked.dataset, asked.parts) for name in _ANCHORS], asked.asked, report, cancel)
    everyone = [*(each for lists in answers.values() for each in lists), *anchors]
    measured = evaluate(
        everyone,
        asked.asked,
        asked.dataset,
        asked.parts,
        references=[],
        report=report,
        cancel=cancel,
        about={"split": asked.split},
    )
    systems: dict[str, list[str]] = {}
    for plan in done:
        systems.setdefault(plan.variant.name, []).append(plan.recommender)
    whole = answers[OURS][0].name
    systems |= {each.name: [each.name] for each in answers[OURS] if each.name != whole}  # step 3 changes the first training alone
    results, differences = over_seeds(measured, systems | {name: [name] for name in _ANCHORS}, OURS)
    if len(systems[OURS]) > 1:  # … so it is compared with that one
        changed = {name: own for name, own in systems.items() if name.startswith(f"{OURS},")}
        alone = over_seeds(measured, {OURS: [whole], **changed}, OURS)[1]
        differences = pd.concat([differences[~differences["recommender"].isin(list(changed))], alone], ignore_index=True)
    for plan, training in zip(done, trainings, strict=True):
        training["HR@10"] = each_seed(measured, plan.recommender)
    return {
        "results": results.to_dict("records"),
        "differences": differences.to_dict("records"),
        "others": [name for name in systems if name != OURS and not name.startswith(f"{OURS},")],
        "trainings": trainings,
        "split": asked.split,
        "seeds": sorted({plan.seed for plan in done}),
        **{key: measured.about[key] for key in ("seed", "resamples", "commit", "date", "machine")},
    }
