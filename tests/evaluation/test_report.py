"""The README's quality tables show every task that was measured, and none that was not."""

from __future__ import annotations

from typing import Any

from backend.evaluation.markdown import FURTHER, TASKS
from backend.evaluation.report import evaluation, variants
from backend.instructions.tasks import task_classes


def row(task: str, metric: str, mean: float, view: str = "all") -> dict[str, Any]:
    return {"recommender": "SIGMA", "task": task, "view": view, "metric": metric, "mean": mean, "low": mean, "high": mean, "n": 9}


def test_every_task_has_a_column() -> None:
    assert {task for task, _ in (*TASKS, *FURTHER)} == {task.name for task in task_classes()}
    results = [row("JustForYou", "hr", 0.5), row("Replenish", "hr", 0.25), row("Replenish", "constraint", 0.125)]
    text = evaluation({"split": "test", "seed": 7, "resamples": 10, "results": results})
    heads = [line for line in text.splitlines() if "@10 |" in line]
    assert heads == [
        "| HR@10 | JustForYou (n=9) |",
        "| HR@10 | Replenish (n=9) |",
        "| Constraint satisfaction@10 | Replenish (n=9) |",
    ]
    change = {**row("Replenish", "hr", 0.1), "recommender": "SIGMA, without APF", "reference": "SIGMA", "k": 10, "diff": 0.1}
    assert "| without APF | +0.100" in variants({"differences": [change]})
