"""The policy stage of a workspace: all arms from the same start, on the same contexts, measured on the same held-out baskets.

- A finished run (an arm under a seed) is kept in the workspace until the stage is written, so `resume` repeats at most one run.
- Arms are measured on validation baskets of wordings that training never sees, by their own likeliest ten items (no APF); figures are means
  over seeds for each basket, with bootstrap intervals over baskets, and paired differences to "sft", the start.
- The student measures, whoever rewards; where it rewards too, the judge that rewards is the judge that measures. All go by proxies: a higher
  judge score says that the policy learned what the judge asks for, not that people like it better.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from backend.alignment.a2po import ARMS
from backend.alignment.arm import measure_arm, train_arm
from backend.alignment.ground import Ground
from backend.alignment.runs import START_ARM, Run, arm_rows, keep, kept, slug
from backend.data.schema import Dataset
from backend.errors import RequestError, WorkspaceError
from backend.evaluation.questions import SplitName
from backend.judge.making import PROXY, make_judge
from backend.model.loading import load_model
from backend.model.sigma import SigmaModel
from backend.progress import CancelToken, Progress, Report, silent
from backend.settings import JudgeSettings, PolicySettings, policy_changes
from backend.workspace import Workspace, provenance


def align(
    workspace: Workspace,
    judge: JudgeSettings,
    settings: PolicySettings,
    seed: int = 7,
    report: Report = silent,
    cancel: CancelToken | None = None,
    resume: bool = False,
) -> None:
    """Make the judge and the policy stages, as far as they are not there already.

    Args:
        resume: go on from the runs that are finished; otherwise start anew.

    Raises:
        RequestError: an arm or task that is not known, or a model whose prefixes are too long.
        WorkspaceError: a stage is missing, stale or damaged.
        Cancelled: asked to stop; finished runs stay.
    """
    check_arms(settings)
    workspace.check_writable()
    workspace.fresh_stage("model")
    make_judge(workspace, judge, seed, report, cancel, resume=resume)
    own = {**settings.model_dump(mode="json"), "seed": seed}
    expected = workspace.expected_fingerprint("policy", own)
    if workspace.has("policy") and workspace.stage("policy").fingerprint == expected:
        report(Progress("policy", 1, 1, "kept"))
        return
    began = time.perf_counter()
    folder = workspace.path / ".training" / f"policy-{expected}"
    if not resume:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    runs = run_arms(Ground(workspace, settings.scope, seed, report, cancel), settings, folder)
    with workspace.write("policy", own, seed) as stage:
        stage.seconds = time.perf_counter() - began
        rows = arm_rows(runs)
        stage.metrics = {
            "labels": PROXY, "split": "validation", "seeds": list(settings.seeds), "rows": rows, "judge": judged_by(workspace, runs),
        }  # fmt: skip
        stage.table("curves", pd.concat([run.curve.assign(arm=run.arm, seed=run.seed) for run in runs], ignore_index=True))
        for arm in {*settings.arms, settings.chosen} - {START_ARM}:  # of the first seed
            weights = folder / f"{slug(arm)}-{settings.seeds[0]}.safetensors"
            shutil.copy(weights, stage.path / weights_file(arm, settings.chosen))
    shutil.rmtree(folder, ignore_errors=True)


def check_arms(settings: PolicySettings) -> None:
    """Raise `RequestError` for arms that are not known."""
    unknown = sorted({*settings.arms, settings.chosen} - set(ARMS))
    if unknown:
        raise RequestError(f"unknown arm {unknown[0]!r}", "policy.arms", f"choose among: {', '.join(ARMS)}")


def run_arms(
    ground: Ground,
    settings: PolicySettings,
    folder: Path,
    window: SplitName = "validation",
    what: str = "policy",
) -> list[Run]:
    """All runs of a comparison, from the folder where they are finished already.

    Args:
        folder: of these settings and this window alone.
        window: whose baskets the arms are measured on.
        what: the stage that progress is told of.

    Raises:
        RequestError: a task that is not known, an endpoint that refuses, a judge that is not used, or a model whose prefixes are too long.
        WorkspaceError: a stage is missing, stale or damaged, or the folder cannot be written.
        Cancelled: asked to stop; finished runs stay.
    """
    arms = list(dict.fromkeys([START_ARM, *settings.arms, settings.chosen]))
    found = {(arm, one): kept(folder, arm, one) for one in settings.seeds for arm in arms}
    total = len(found)
    for one in settings.seeds:
        for arm in arms:
            if found[arm, one] is not None:
                continue
            number = sum(run is not None for run in found.values())

            def told(done: int, steps: int, text: str = f"{arm}, seed {one}", number: int = number) -> None:
                ground.report(Progress(what, number, total, f"{text}: step {done} of {steps}"))

            held, start, scorer = ground.held(settings, window), ground.start, ground.scorer(settings)
            batches = ground.batches(settings, one)
            torch.manual_seed(one)
            run = train_arm(ground.policy, arm, start, batches, scorer, settings, one, told, ground.cancel)
            found[arm, one] = keep(folder, arm, one, run, measure_arm(ground.policy, held, scorer, ground.facts))
            ground.report(Progress(what, number + 1, total, f"{arm}, seed {one}"))
    return [run for run in found.values() if run is not None]


def judged_by(workspace: Workspace, runs: Sequence[Run]) -> dict[str, Any]:
    """Who rewarded the rollouts of all runs, and what that cost in sum."""
    teacher = workspace.stage("judge").metrics.get("teacher") or {"backend": "student", "name": "student"}
    named = dict.fromkeys(name for run in runs for name in run.cost if name != "seconds")
    total = {name: float(sum(run.cost.get(name, 0.0) for run in runs)) for name in named}
    return {"backend": teacher["backend"], "name": teacher["name"], "total": total}


def result(workspace: Workspace) -> dict[str, Any]:
    """What `assets/results` holds of a policy stage: rows with their provenance.

    Raises:
        WorkspaceError: the stage is missing or stale.
    """
    stage = workspace.fresh_stage("policy")
    about = {name: stage.manifest.get(name) for name in ("commit", "date", "machine")}
    judge = workspace.stage("judge").manifest["settings"]
    command = f"python -m backend train --recipe sgrec --workspace DIR{policy_changes(stage.manifest['settings'], judge)} --json"
    return {**provenance(), **about, "command": command, "seeds": stage.metrics["seeds"], "split": stage.metrics["split"],
            "labels": stage.metrics["labels"], "settings": stage.manifest["settings"], "judge": stage.metrics.get("judge"),
            "rows": stage.metrics["rows"]}  # fmt: skip


def weights_file(arm: str, chosen: str) -> str:
    """Name of the file in the stage that holds an arm's weights; the start has none."""
    return "policy.safetensors" if arm == chosen else f"arm-{slug(arm)}.safetensors"


def load_policy(workspace: Workspace, dataset: Dataset, arm: str | None = None) -> SigmaModel:
    """The model of a workspace with the weights of an arm.

    Args:
        arm: None = the chosen one; "sft" is the model as it was.

    Raises:
        RequestError: no such arm, or the stage does not hold its weights.
        WorkspaceError: a stage is missing, stale or damaged, or the weights are of another model.
    """
    stage = workspace.fresh_stage("policy")
    settings = stage.manifest["settings"]
    arm = arm or settings["chosen"]
    if arm not in ARMS:
        raise RequestError(f"unknown arm {arm[:40]!r}", "arm", f"choose among: {', '.join(ARMS)}")
    path = stage.path / weights_file(arm, settings["chosen"])
    if arm != START_ARM and arm not in (*settings["arms"], settings["chosen"]):
        mend = "train it again with this arm in policy.arms"
        raise RequestError(f"the stage policy holds no weights of the arm {arm!r}", str(stage.path), mend)
    model = load_model(workspace, dataset)
    if arm == START_ARM:
        return model
    try:
        weights: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise WorkspaceError("the policy's weights are missing or damaged", str(path), "train it again") from error
    own = dict(model.named_parameters())
    for name, value in weights.items():
        if name not in own or own[name].shape != value.shape:
            raise WorkspaceError(f"policy and model do not belong together: {name}", str(path), "train it again")
        own[name].data.copy_(value)
    return model.eval()
