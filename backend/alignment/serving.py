"""Serving a policy: the three-step generator with an arm's weights. The judge that it was trained with is not asked any more.

The judge's *student* may still be weighed into the fusion, as with the first recipe (`FusionSettings.judge_weight`).
"""

from __future__ import annotations

from backend.alignment.training import load_policy
from backend.data.schema import Dataset
from backend.generation.generator import Generator, load_generator
from backend.judge.scores import JudgeScores
from backend.workspace import Workspace


def load_policy_generator(workspace: Workspace, dataset: Dataset, arm: str | None = None) -> Generator:
    """The generator of a workspace with the weights of an arm.

    Args:
        arm: None = the chosen one.

    Raises:
        RequestError: no such arm, or the stage does not hold its weights.
        WorkspaceError: a stage is missing, stale, damaged, or does not fit the others.
    """
    return load_generator(workspace, dataset, JudgeScores(workspace, dataset), load_policy(workspace, dataset, arm))
