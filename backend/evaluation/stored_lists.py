"""A recommender's answers as stored lists: asked once, kept in a file, measured again at any time without the model.

- A long comparison keeps each model's lists as soon as they are there, so that a kill loses one model's answers at most; all are then
  measured in one run on the same resamples.
- The file says what its lists belong to (model, questions); anything else is asked again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from backend.disk import disk_error
from backend.evaluation import metrics
from backend.evaluation.baselines.base import Recommender
from backend.evaluation.cases import Case
from backend.evaluation.views import view_cases
from backend.progress import CancelToken, Progress, Report, silent

LENGTH = max(metrics.KS)


@dataclass
class StoredLists:
    """Lists of one recommender, found by household, basket, task and view.

    Shape:
        lists: (questions, LENGTH) item rows, -1 = empty place; index: place of each question's list.
    """

    name: str
    lists: np.ndarray
    index: Mapping[tuple[int, int, str, str], int]

    def recommend(self, cases: Sequence[Case], k: int) -> np.ndarray:
        """Item rows, best first. Shape: (len(cases), k).

        Raises:
            ValueError: longer lists are wanted than were stored.
        """
        if k > self.lists.shape[1]:
            raise ValueError(f"{self.name}: lists of {k} are wanted, {self.lists.shape[1]} are stored")
        return self.lists[[self.index[_key(case)] for case in cases], :k].astype(np.int64)


def ask(
    recommenders: Sequence[Recommender], cases: Sequence[Case], report: Report = silent, cancel: CancelToken | None = None
) -> list[StoredLists]:
    """Every recommender's lists for every view of the cases."""
    rounds = list(view_cases(cases))
    index = _index(cases)
    out = []
    for done, recommender in enumerate(recommenders, start=1):
        if cancel:
            cancel.check()
        lists = np.concatenate([recommender.recommend(chosen, LENGTH) for _, _, chosen in rounds])
        out.append(StoredLists(recommender.name, lists.astype(np.int32), index))
        report(Progress("answers", done, len(recommenders), recommender.name))
    return out


def keep(path: Path, answers: Sequence[StoredLists], belongs_to: str, about: Mapping[str, Any]) -> None:
    """Write lists, whole or not at all.

    Raises:
        WorkspaceError: the folder cannot be written.
    """
    temporary = path.with_suffix(".writing")
    header = {"belongs_to": belongs_to, "names": json.dumps([each.name for each in answers]), "about": json.dumps(about)}
    try:
        save_file({str(row): each.lists for row, each in enumerate(answers)}, temporary, metadata=header)
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        temporary.unlink(missing_ok=True)
        raise disk_error(error, path.parent) from error


def kept(path: Path, cases: Sequence[Case], belongs_to: str) -> tuple[list[StoredLists], dict[str, Any]] | None:
    """Lists that were kept, with what was told about them; None where there are none, or they are another model's or of other questions."""
    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            if header.get("belongs_to") != belongs_to:
                return None
            names, index = json.loads(header["names"]), _index(cases)
            lists = [file.get_tensor(str(row)) for row in range(len(names))]
            about = json.loads(header["about"])
    except (OSError, SafetensorError, KeyError, ValueError):
        return None  # missing or damaged: asked again
    if any(len(each) != len(index) for each in lists):
        return None
    return [StoredLists(name, each, index) for name, each in zip(names, lists, strict=True)], about


def _index(cases: Sequence[Case]) -> dict[tuple[int, int, str, str], int]:
    keys = [_key(case) for _, _, chosen in view_cases(cases) for case in chosen]
    return {key: row for row, key in enumerate(keys)}


def _key(case: Case) -> tuple[int, int, str, str]:
    return case.user, case.start, case.task, case.seen
