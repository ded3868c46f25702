"""What the judge's score is worth in the fusion: the same lists under several weights of it, against none (`FusionSettings.judge_weight`).

- Re-scoring alone: the model and the judge's student are asked once a case. Everything else of the fusion stays as the workspace's evaluation
  chose it.
- The judge's own figure beside them is the mean of s_hol in the list as a share of the catalogue's best: what is paid is seen with what is got.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from backend.errors import WorkspaceError
from backend.evaluation.cases import Case
from backend.evaluation.components import Components, compute, key_of
from backend.evaluation.intervals import RESAMPLES, difference, interval
from backend.evaluation.protocol import evaluate
from backend.evaluation.questions import SplitName, questions
from backend.evaluation.sigma import SigmaRecommender
from backend.evaluation.views import view_cases
from backend.experiments.cold import fusion_of
from backend.generation.generator import load_generator
from backend.judge.availability import why_missing
from backend.judge.scores import JudgeScores
from backend.progress import CancelToken, Report, silent
from backend.workspace import Workspace, provenance

WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0)
_METRICS = ("hr", "ndcg", "recall", "value", "breadth", "novelty")
K = 10


def judge_weight(
    workspace: Workspace,
    split_name: SplitName = "validation",
    limit: int | None = None,
    weights: Sequence[float] = WEIGHTS,
    seed: int = 7,
    report: Report = silent,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """Measure the weights on the same cases.

    Args:
        limit: at most this many households; None = all.
        weights: the first is the reference.

    Returns:
        JSON-able: `results` and `differences` as an evaluation has them, with the metric "judge".

    Raises:
        WorkspaceError: a stage is missing, stale or damaged, or no aspect of the judge is used.
    """
    why = why_missing(workspace)
    if why:
        raise WorkspaceError(f"the judge's score cannot be weighed: {why}", str(workspace.path))
    asked = questions(workspace, split_name, limit, seed, report)
    fusion = fusion_of(workspace)
    generator = load_generator(workspace, asked.dataset, JudgeScores(workspace, asked.dataset))
    components = compute(generator, asked.asked, report=report, cancel=cancel)
    names = [f"judge × {weight:g}" for weight in weights]
    recommenders = [
        SigmaRecommender(name, generator, components, fusion.model_copy(update={"judge_weight": weight}))
        for name, weight in zip(names, weights, strict=True)
    ]
    measured = evaluate(
        recommenders, asked.asked, asked.dataset, asked.parts, vectors=generator.model.store.text, references=names[:1], seed=seed,
        report=report, cancel=cancel,
    )  # fmt: skip
    results, differences = (
        frame[frame["metric"].isin(_METRICS) & (frame["k"] == K)] for frame in (measured.results, measured.differences)
    )
    told, ahead = _judged(recommenders, components, asked.asked, seed)
    about = provenance()
    return {
        **{key: about[key] for key in ("commit", "date", "machine")},
        "results": [row for row in results.to_dict("records") if row["slice"] == "all"] + told,
        "differences": differences.to_dict("records") + ahead,
        "split": split_name,
        "households": len({case.user for case in asked.asked}),
        "fusion": fusion.model_dump(mode="json"),
        "seed": seed,
        "resamples": RESAMPLES,
    }


def _judged(
    recommenders: Sequence[SigmaRecommender], components: Components, cases: Sequence[Case], seed: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The judge's own figure of every list: results and differences to the first."""
    results: list[dict[str, Any]] = []
    differences: list[dict[str, Any]] = []
    assert components.judge is not None
    shares = np.exp(components.judge)  # (records, n_items)
    for task, view, chosen in view_cases(cases):
        record = components.record[[components.index[key_of(case)] for case in chosen]]
        first = None
        for one in recommenders:
            lists = one.recommend(chosen, K)
            own = np.where(lists >= 0, shares[record[:, None], np.maximum(lists, 0)], np.nan)
            values = np.nanmean(own, axis=1)
            level = interval(values, seed=seed)
            key = {"recommender": one.name, "task": task, "view": view}
            results.append({**key, "slice": "all", "metric": "judge", "k": K, **vars(level)})
            if first is None:
                first = values
                continue
            away = difference(values, first, seed=seed)
            differences.append(
                {**key, "reference": recommenders[0].name, "metric": "judge", "k": K, "diff": away.mean, "low": away.low,
                 "high": away.high, "n": away.n}
            )  # fmt: skip
    return results, differences
