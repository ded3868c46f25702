"""What the words of an instruction do: wordings that training saw against those that it did not, wording by wording; which task is
heard in them; how much the lists of two tasks share.

- Every example is asked twice, in a seen and in an unseen wording, everything else (household, basket, category, query) being the same,
  so the difference is paired.
- *Heard* is what the model itself takes an instruction for (its most probable demand), not what the page reads into it.
- Two tasks are compared on the households that were asked both; the same task in its two wordings is what two lists share at best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from backend.evaluation import OURS
from backend.evaluation.cases import Case
from backend.evaluation.components import compute
from backend.evaluation.intervals import interval
from backend.evaluation.protocol import Evaluation, evaluate
from backend.evaluation.questions import Questions
from backend.evaluation.sigma import SigmaRecommender
from backend.evaluation.stored_lists import StoredLists, ask
from backend.generation.generator import Generator
from backend.progress import CancelToken, Report, silent
from backend.settings import FusionSettings

SEEN = f"{OURS}, seen wordings"
FILTER = "constraint as filter"
_FEW = 20  # examples that a wording needs to be ranked among the worst
_WORST = 10
_AT = 10


def measure_wordings(
    generator: Generator, asked: Questions, fusion: FusionSettings, report: Report = silent, cancel: CancelToken | None = None
) -> dict[str, Any]:
    """All that is said above, JSON-able: results, differences (seen minus unseen), wordings, confusion, overlap."""
    sides = {"unseen": asked.worded(held_out=True), "seen": asked.worded(held_out=False)}
    lists: list[StoredLists] = []
    heard: dict[str, np.ndarray] = {}
    for side, cases in sides.items():
        components = compute(generator, cases, report=report, cancel=cancel)
        name = OURS if side == "unseen" else SEEN
        models = [
            SigmaRecommender(name, generator, components, fusion),
            SigmaRecommender(f"{name}, {FILTER}", generator, components, fusion, filtered=True),
        ]
        lists += ask(models, cases, report, cancel)
        heard[side] = heard_as(generator, cases)
    measured = evaluate(lists, sides["unseen"], asked.dataset, asked.parts, references=[OURS], report=report, cancel=cancel)
    results = measured.results
    results = results[(results["slice"] == "all") & results["metric"].isin(["hr", "ndcg", "constraint"])]
    pairs = measured.differences
    tasks = list(dict.fromkeys(case.task for case in sides["unseen"]))
    return {
        "results": results[results["k"].isin([_AT, 20])].to_dict("records"),
        "differences": pairs[pairs["metric"].isin(["hr", "ndcg", "constraint"]) & (pairs["k"] == _AT)].to_dict("records"),
        "wordings": by_wording(measured, sides, heard, asked.seed),
        "confusion": confusion(sides, heard, tasks),
        "overlap": overlap(lists[0], lists[2], sides["unseen"], tasks, asked.seed),
        **{key: measured.about[key] for key in ("seed", "resamples", "commit", "date", "machine")},
    }


def heard_as(generator: Generator, cases: Sequence[Case]) -> np.ndarray:
    """The task that the model takes each instruction for. Shape: (len(cases),) of names."""
    names = np.array(generator.model.listen.tasks)
    told = [
        generator.model.listen([case.instruction for case in cases[at : at + 256]]).demand for at in range(0, len(cases), 256)
    ]
    return names[np.concatenate([each.argmax(1).numpy() for each in told])]


def by_wording(
    measured: Evaluation, sides: Mapping[str, Sequence[Case]], heard: Mapping[str, np.ndarray], seed: int
) -> list[dict[str, Any]]:
    """Every wording's HR@10, constraint kept and share that is heard as its task, lowest first as against its task's mean over all wordings.

    Wordings with fewer than 20 examples are left out; `worst` marks the ten lowest.
    """
    part = measured.examples[measured.examples["view"] == "all"]
    rows: list[dict[str, Any]] = []
    for side, cases in sides.items():
        found = part[part["recommender"] == (OURS if side == "unseen" else SEEN)]
        own = pd.DataFrame({"task": [case.task for case in cases], "wording": [case.wording for case in cases]})
        own["heard"] = heard[side] == own["task"].to_numpy()
        for task, asked in own.groupby("task", sort=False):
            values = found[found["task"] == task].reset_index(drop=True)  # in the cases' order
            asked = asked.reset_index(drop=True)
            for wording, at in asked.groupby("wording", sort=True).groups.items():
                if len(at) < _FEW:
                    continue
                hit = interval(values.loc[at, f"hr@{_AT}"].to_numpy(float), seed=seed)
                rows.append(
                    {"task": task, "wording": wording, "seen": side == "seen", "n": hit.n, f"hr@{_AT}": hit.mean, "low": hit.low, "high": hit.high,
                     f"constraint@{_AT}": float(values.loc[at, f"constraint@{_AT}"].mean()), "heard": float(asked.loc[at, "heard"].mean())}
                )  # fmt: skip
    if not rows:
        return []
    frame = pd.DataFrame(rows)
    frame["against_task"] = frame[f"hr@{_AT}"] - frame.groupby("task")[f"hr@{_AT}"].transform("mean")
    frame = frame.sort_values("against_task", kind="stable", ignore_index=True)
    frame["worst"] = np.arange(len(frame)) < _WORST
    return frame.to_dict("records")  # type: ignore[return-value]


def confusion(sides: Mapping[str, Sequence[Case]], heard: Mapping[str, np.ndarray], tasks: Sequence[str]) -> list[dict[str, Any]]:
    """How often the instructions of each task are heard as each task: task · seen · n · right · one column a task, as shares."""
    rows = []
    for side, cases in sides.items():
        of_task = np.array([case.task for case in cases])
        for task in tasks:
            own = heard[side][of_task == task]
            if not len(own):
                continue
            right = interval((own == task).astype(float))
            shares = {other: float((own == other).mean()) for other in tasks}
            rows.append(
                {
                    "task": task,
                    "seen": side == "seen",
                    "n": len(own),
                    "right": right.mean,
                    "low": right.low,
                    "high": right.high,
                    **shares,
                }
            )
    return rows


def overlap(
    unseen: StoredLists, seen: StoredLists, cases: Sequence[Case], tasks: Sequence[str], seed: int
) -> list[dict[str, Any]]:
    """Share of items that two lists of ten have in common, by pair of tasks; a task with itself: its two wordings."""
    own = {task: {(case.user, case.start): case for case in cases if case.task == task} for task in tasks}
    rows = []
    for first, second in [*((task, task) for task in tasks), *combinations(tasks, 2)]:
        both = [key for key in own[first] if key in own[second]]
        if not both:
            continue
        left = unseen.recommend([own[first][key] for key in both], _AT)
        right = (seen if first == second else unseen).recommend([own[second][key] for key in both], _AT)
        found = interval(shared(left, right), seed=seed)
        rows.append({"task": first, "other": second, "shared": found.mean, "low": found.low, "high": found.high, "n": found.n})
    return rows


def shared(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Share of the left lists' items that the right ones hold too. Shape: (n, k), (n, k), -1 = empty → (n,)."""
    there = left >= 0
    same = ((left[:, :, None] == right[:, None, :]) & there[:, :, None]).any(-1)
    return same.sum(1) / np.maximum(there.sum(1), 1)
