"""The policy stage of a workspace: all arms from the same start, on the same contexts, measured on the same held-out baskets.

- A seed draws contexts; every arm sees them in the same order. What the decoder says at a context is computed once for all arms, where only
  the weights behind it train.
- A finished run (an arm under a seed) is kept in the workspace until the stage is written, so `resume` repeats at most one run.
- Arms are measured on validation baskets of wordings that training never sees, by their own likeliest ten items (no APF); figures are means
  over seeds for each basket, with bootstrap intervals over baskets, and paired differences to "sft", the start.
- The judge that rewards is the judge that measures, and both go by proxies: a higher judge score says that the policy learned what the
  judge asks for, not that people like it better.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from backend.alignment.a2po import ARMS
from backend.alignment.arm import METRICS, ArmRun, K, Scorer, measure_arm, train_arm, weights_of
from backend.alignment.policy import Policy, Prepared
from backend.alignment.rewards import BusinessReward
from backend.data import schema as c
from backend.data.schema import Dataset
from backend.data.split import MIN_TRAINED, Split, split, with_past
from backend.data.store import dataset_settings, open_dataset
from backend.disk import disk_error, replacing
from backend.errors import RequestError, WorkspaceError
from backend.evaluation import metrics
from backend.evaluation.cases import Case, build_cases
from backend.evaluation.intervals import intervals
from backend.generation.generator import load_generator
from backend.instructions.trained import tasks_of
from backend.judge.making import PROXY, load_judge, make_judge
from backend.model.loading import load_model
from backend.model.sigma import SigmaModel
from backend.progress import CancelToken, Progress, Report, silent
from backend.settings import JudgeSettings, PolicySettings, policy_changes
from backend.workspace import Workspace, provenance

START_ARM = "sft"
_TRAINING_STATISTICS = ("kl", "business", "semantic", "dead", "judged", "agreement", "coefficient")


@dataclass(frozen=True)
class _Run:
    """A finished run: figures of every held-out basket, the curve, what it cost."""

    arm: str
    seed: int
    examples: pd.DataFrame
    curve: pd.DataFrame
    cost: Mapping[str, float]


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
    unknown = sorted({*settings.arms, settings.chosen} - set(ARMS))
    if unknown:
        raise RequestError(f"unknown arm {unknown[0]!r}", "policy.arms", f"choose among: {', '.join(ARMS)}")
    workspace.check_writable()
    workspace.fresh_stage("model")
    make_judge(workspace, judge, seed, report, cancel)
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
    runs = _runs(workspace, settings, seed, folder, report, cancel)
    with workspace.write("policy", own, seed) as stage:
        stage.seconds = time.perf_counter() - began
        rows = arm_rows(runs)
        stage.metrics = {"labels": PROXY, "split": "validation", "seeds": list(settings.seeds), "rows": rows}
        stage.table("curves", pd.concat([run.curve.assign(arm=run.arm, seed=run.seed) for run in runs], ignore_index=True))
        for arm in {*settings.arms, settings.chosen} - {START_ARM}:  # of the first seed
            weights = folder / f"{_slug(arm)}-{settings.seeds[0]}.safetensors"
            shutil.copy(weights, stage.path / weights_file(arm, settings.chosen))
    shutil.rmtree(folder, ignore_errors=True)


def _runs(
    workspace: Workspace, settings: PolicySettings, seed: int, folder: Path, report: Report, cancel: CancelToken | None
) -> list[_Run]:
    """All runs, from the folder where they are finished already."""
    arms = list(dict.fromkeys([START_ARM, *settings.arms, settings.chosen]))
    found = {(arm, one): _kept(folder, arm, one) for one in settings.seeds for arm in arms}
    if all(run is not None for run in found.values()):
        return [run for run in found.values() if run is not None]
    dataset = open_dataset(workspace, report)
    parts = split(dataset, dataset_settings(workspace))
    generator = load_generator(workspace, dataset)
    policy = Policy(generator, settings.scope)
    tasks = tasks_of(workspace, dataset, parts.train_events)
    if settings.task not in tasks:
        raise RequestError(f"the model knows no task {settings.task!r}", "policy.task", f"choose among: {', '.join(tasks)}")
    task = {settings.task: tasks[settings.task]}
    reward = BusinessReward(dataset, parts.train_events, settings.reward)
    scorer = Scorer(dataset, reward, load_judge(workspace, dataset))
    facts = metrics.catalogue(dataset, parts.train_events)
    asked = build_cases(dataset, parts.validation.head(settings.held), task, seed)
    held = _prepared(policy, asked, settings.batch, "held-out baskets", report, cancel)
    start = weights_of(policy)
    total = len(arms) * len(settings.seeds)
    for one in settings.seeds:
        if all(found[arm, one] is not None for arm in arms):
            continue
        cases = build_cases(dataset, contexts(dataset, parts, settings.contexts, one), task, one, held_out=False)
        batches = _prepared(policy, cases, settings.batch, f"contexts of seed {one}", report, cancel)
        for arm in arms:
            if found[arm, one] is not None:
                continue
            number = sum(run is not None for run in found.values())

            def told(done: int, steps: int, text: str = f"{arm}, seed {one}", number: int = number) -> None:
                report(Progress("policy", number, total, f"{text}: step {done} of {steps}"))

            torch.manual_seed(one)
            run = train_arm(policy, arm, start, batches, scorer, settings, one, told, cancel)
            found[arm, one] = _keep(folder, arm, one, run, measure_arm(policy, held, scorer, facts))
            report(Progress("policy", number + 1, total, f"{arm}, seed {one}"))
    return [run for run in found.values() if run is not None]


def contexts(dataset: Dataset, parts: Split, n: int, seed: int) -> pd.DataFrame:
    """Training baskets to roll out at: of at least two items and with something before them, at most one a household per round of all.

    Raises:
        WorkspaceError: there is none.
    """
    usable = with_past(parts.train, MIN_TRAINED).sample(frac=1.0, random_state=seed)
    if not len(usable):
        raise WorkspaceError("no basket to roll out at", mend="bring more events")
    turn = usable.groupby(c.EVENT_USER).cumcount().to_numpy()
    return usable.iloc[np.argsort(turn, kind="stable")[:n]].reset_index(drop=True)


def _prepared(
    policy: Policy, cases: Sequence[Case], size: int, what: str, report: Report, cancel: CancelToken | None
) -> list[Prepared]:
    if not cases:
        raise WorkspaceError(f"no basket of this task among the {what}", mend="choose another policy.task")
    out = []
    for begin in range(0, len(cases), size):
        if cancel:
            cancel.check()
        out.append(policy.prepare(cases[begin : begin + size]))
        report(Progress("contexts", min(begin + size, len(cases)), len(cases), what))
    return out


# finished runs ---------------------------------------------------------------------------------------------------------------


def _slug(arm: str) -> str:
    return arm.replace(" ", "-")


def _keep(folder: Path, arm: str, seed: int, run: ArmRun, examples: pd.DataFrame) -> _Run:
    """Write a finished run: the weights first, then, renamed into place, what says that it is finished."""
    path = folder / f"{_slug(arm)}-{seed}"
    cost = {"seconds": run.seconds, "judge_calls": run.judge_calls, "judge_seconds": run.judge_seconds}
    done = _Run(arm, seed, examples, pd.DataFrame(run.curve), cost)
    text = {"cost": cost, "examples": examples.to_dict("list"), "curve": done.curve.to_dict("list")}
    try:
        save_file({name: value.contiguous() for name, value in run.weights.items()}, path.with_suffix(".safetensors"))
        with replacing(path.with_suffix(".json")) as aside:
            aside.write_text(json.dumps(text), "utf-8")
    except (OSError, SafetensorError) as error:
        raise disk_error(error, folder) from error
    return done


def _kept(folder: Path, arm: str, seed: int) -> _Run | None:
    """A run that is finished; one that cannot be read is run again."""
    path = folder / f"{_slug(arm)}-{seed}"
    try:
        text = json.loads(path.with_suffix(".json").read_text("utf-8"))
        load_file(path.with_suffix(".safetensors"))
        return _Run(arm, seed, pd.DataFrame(text["examples"]), pd.DataFrame(text["curve"]), text["cost"])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None


# figures ---------------------------------------------------------------------------------------------------------------------


def arm_rows(runs: Sequence[_Run]) -> list[dict[str, Any]]:
    """The arms' table: one row an arm and metric, paired with the start; and one row an arm of what its groups looked like and cost."""
    by_arm = {arm: [run for run in runs if run.arm == arm] for arm in dict.fromkeys(run.arm for run in runs)}
    each = {arm: np.stack([run.examples[list(METRICS)].to_numpy(float) for run in own]) for arm, own in by_arm.items()}
    start = each[START_ARM].mean(0)  # (baskets, metrics), each basket's mean over the seeds
    rows: list[dict[str, Any]] = []
    for arm, own in by_arm.items():
        seeds = sorted(run.seed for run in own)
        values, by_seed = each[arm].mean(0), np.nanmean(each[arm], axis=1)
        told = zip(METRICS, intervals(values), intervals(values - start), by_seed.T.tolist(), strict=True)
        for metric, level, ahead, per_seed in told:
            rows.append(
                {"arm": arm, "metric": metric, "k": K, "mean": level.mean, "low": level.low, "high": level.high, "n": level.n,
                 "diff": ahead.mean, "diff_low": ahead.low, "diff_high": ahead.high, "seeds": seeds, "by_seed": per_seed}
            )  # fmt: skip
        if arm == START_ARM:
            continue
        curve = pd.concat([run.curve for run in own])
        looks = {name: _finite(curve[name].mean()) for name in _TRAINING_STATISTICS}
        cost = {name: float(np.mean([run.cost[name] for run in own])) for name in own[0].cost}
        rows.append({"arm": arm, "metric": "training", "steps": len(curve) // len(own), **looks, **cost})
    return rows


def _finite(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def result(workspace: Workspace) -> dict[str, Any]:
    """What `assets/results` holds of a policy stage: rows with their provenance.

    Raises:
        WorkspaceError: the stage is missing or stale.
    """
    stage = workspace.fresh_stage("policy")
    about = {name: stage.manifest.get(name) for name in ("commit", "date", "machine")}
    command = f"python -m backend train --recipe sgrec --workspace DIR{policy_changes(stage.manifest['settings'])} --json"
    return {**provenance(), **about, "command": command, "seeds": stage.metrics["seeds"], "split": stage.metrics["split"],
            "labels": stage.metrics["labels"], "settings": stage.manifest["settings"], "rows": stage.metrics["rows"]}  # fmt: skip


def weights_file(arm: str, chosen: str) -> str:
    """Name of the file in the stage that holds an arm's weights; the start has none."""
    return "policy.safetensors" if arm == chosen else f"arm-{_slug(arm)}.safetensors"


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
