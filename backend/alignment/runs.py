"""Finished runs of arms: kept on disk until their stage or result is written, and the figures that are made of them.

- A run is whole or absent: its weights are written first, then, renamed into place, the file that says that it is finished.
- Figures are means over seeds for each basket, with bootstrap intervals over baskets, paired with the start.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from backend.alignment.arm import METRICS, ArmRun, K
from backend.disk import disk_error, replacing
from backend.evaluation.intervals import intervals

START_ARM = "sft"
_TRAINING_STATISTICS = ("kl", "business", "semantic", "dead", "judged", "agreement", "coefficient")


@dataclass(frozen=True)
class Run:
    """A finished run: figures of every held-out basket, the curve, what it cost."""

    arm: str
    seed: int
    examples: pd.DataFrame
    curve: pd.DataFrame
    cost: Mapping[str, float]


def slug(arm: str) -> str:
    """An arm's name as part of a file's."""
    return arm.replace(" ", "-")


def keep(folder: Path, arm: str, seed: int, run: ArmRun, examples: pd.DataFrame) -> Run:
    """Write a finished run: the weights first, then, renamed into place, what says that it is finished."""
    path = folder / f"{slug(arm)}-{seed}"
    cost = {"seconds": run.seconds, "judge_calls": run.judge_calls, "judge_seconds": run.judge_seconds, **run.paid}
    done = Run(arm, seed, examples, pd.DataFrame(run.curve), cost)
    text = {"cost": cost, "examples": examples.to_dict("list"), "curve": done.curve.to_dict("list")}
    try:
        save_file({name: value.contiguous() for name, value in run.weights.items()}, path.with_suffix(".safetensors"))
        with replacing(path.with_suffix(".json")) as aside:
            aside.write_text(json.dumps(text), "utf-8")
    except (OSError, SafetensorError) as error:
        raise disk_error(error, folder) from error
    return done


def kept(folder: Path, arm: str, seed: int) -> Run | None:
    """A run that is finished; one that cannot be read is run again."""
    path = folder / f"{slug(arm)}-{seed}"
    try:
        text = json.loads(path.with_suffix(".json").read_text("utf-8"))
        load_file(path.with_suffix(".safetensors"))
        return Run(arm, seed, pd.DataFrame(text["examples"]), pd.DataFrame(text["curve"]), text["cost"])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None


def arm_rows(runs: Sequence[Run]) -> list[dict[str, Any]]:
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
