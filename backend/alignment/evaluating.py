"""`evaluate --recipe sgrec`: a policy arm beside its start under the protocol, as both are served.

- All tasks and views, the three steps with the workspace's fusion (chosen on validation for the start, not searched again for the arm);
  what the policy stage itself reports is another thing: one task, and the policy's own likeliest items.
- Differences are paired: the same cases, the same resamples.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import ValidationError

from backend.alignment.serving import load_policy_generator
from backend.alignment.training import START_ARM
from backend.errors import RequestError, WorkspaceError
from backend.evaluation.components import compute
from backend.evaluation.protocol import evaluate
from backend.evaluation.questions import SplitName, questions
from backend.evaluation.sigma import SigmaRecommender
from backend.frames import plain
from backend.progress import CancelToken, Report, silent
from backend.settings import FusionSettings
from backend.workspace import Workspace, provenance

_METRICS = ("hr", "ndcg", "recall", "value", "diversity", "novelty", "breadth", "coverage")
UNTUNED = FusionSettings(beams=64, per_prefix=200)  # where nothing was evaluated


def evaluate_arm(
    workspace: Workspace,
    arm: str | None = None,
    split_name: SplitName = "test",
    report: Report = silent,
    cancel: CancelToken | None = None,
    limit: int | None = None,
    seed: int = 7,
) -> dict[str, Any]:
    """Measure an arm and the start on the same cases.

    Args:
        arm: None = the chosen one.
        limit: at most this many households; None = all.

    Returns:
        JSON-able: `results` and `differences` as an evaluation has them, the fusion, and where and when it was measured.

    Raises:
        RequestError: no such arm, or the start itself.
        WorkspaceError: a stage is missing, stale or damaged, or there is no basket to evaluate on.
    """
    arm = arm or str(workspace.fresh_stage("policy").manifest["settings"]["chosen"])
    if arm == START_ARM:
        raise RequestError("the start cannot be compared with itself", f"--arm {arm}", "name another arm")
    asked = questions(workspace, split_name, limit, seed, report)
    fusion, chosen = fusion_of(workspace)
    ours = f"S-GRec, {arm}"
    recommenders = []
    vectors = np.zeros((0, 0), np.float32)
    for name, weights in ((ours, arm), (START_ARM, START_ARM)):
        generator = load_policy_generator(workspace, asked.dataset, weights)
        components = compute(generator, asked.asked, report=report, cancel=cancel)
        recommenders.append(SigmaRecommender(name, generator, components, fusion))
        vectors = generator.model.store.text
    measured = evaluate(
        recommenders, asked.asked, asked.dataset, asked.parts, vectors=vectors, references=[START_ARM], seed=seed, report=report,
        cancel=cancel,
    )  # fmt: skip
    results, differences = (
        frame[frame["metric"].isin(_METRICS) & frame["k"].isin([1, 5, 10, 20])]
        for frame in (measured.results, measured.differences)
    )
    about = provenance()
    return {
        "command": f"python -m backend evaluate --recipe sgrec --arm '{arm}' --split {split_name}"
        f"{'' if limit is None else f' --limit {limit}'} --json",
        **{key: about[key] for key in ("commit", "date", "machine")},
        "split": split_name,
        "seed": seed,
        "resamples": measured.about["resamples"],
        "households": len({case.user for case in asked.asked}),
        "arm": arm,
        "policy_seed": workspace.stage("policy").metrics["seeds"][0],
        "fusion": {**fusion.model_dump(mode="json"), "chosen_by": chosen},
        "results": plain(results),
        "differences": plain(differences),
    }


def fusion_of(workspace: Workspace) -> tuple[FusionSettings, str]:
    """The fusion that an evaluation of the workspace chose for the start, and who chose it."""
    try:
        if workspace.has("evaluation") and not workspace.stale("evaluation"):
            return FusionSettings(**workspace.stage("evaluation").json("fusion")["best"]), "validation, for the start"
    except (ValidationError, WorkspaceError, KeyError, TypeError):
        pass  # an unreadable choice is none
    return UNTUNED, "nobody: nothing was evaluated yet"
