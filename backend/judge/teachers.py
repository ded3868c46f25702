"""Judges that may reward rollouts in the student's place: an endpoint, or a local language model (`judge.backend`).

- Before one is heard it is measured on held-out households, beside cosine similarity, popularity and the student, on the same items. Only the
  aspects in which it beats the plain baselines are used (`Trusted`).
- The student is made in any case: it is what is served, and what arms are measured by, whoever rewarded them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from backend.data.schema import Dataset
from backend.errors import RequestError, WorkspaceError
from backend.judge.aspects import ASPECTS, Ints, Judge, Judgement, Situation
from backend.judge.endpoint import EndpointJudge, EndpointSettings
from backend.judge.evidence import Evidence
from backend.judge.measure import Said, by_student, measure_said
from backend.judge.proxies import Labelled
from backend.judge.student import Ordinal
from backend.judge_settings import JudgeSettings
from backend.progress import CancelToken, Progress, Report, silent
from backend.workspace import Stage

STUDENT, SFT = "student", "lm, SFT alone"


class Trusted:
    """A judge whose unproven aspects are left out, as the student leaves out its own."""

    def __init__(self, judge: Judge, used: tuple[str, ...]) -> None:
        self.judged_by, self.used, self.name = judge, used, judge.name
        self._off = [place for place, name in enumerate(ASPECTS) if name not in used]

    def judge(self, situation: Situation, items: Ints, reasons: bool = False) -> Judgement:
        """Levels of items, -1 and NaN where an aspect is not used. Shape: items (n,) rows."""
        said = self.judged_by.judge(situation, items, reasons)
        levels, expected = said.levels.copy(), said.expected.astype(float)
        levels[:, self._off], expected[:, self._off] = -1, np.nan
        kept = [{name: why for name, why in one.items() if name in self.used} for one in said.reasons]
        return Judgement(levels, expected, list(kept))

    def cost(self) -> dict[str, float]:
        """What it has cost so far; empty where it costs time alone."""
        return self.judged_by.cost.as_json() if isinstance(self.judged_by, EndpointJudge) else {}


@dataclass
class Answers:
    """What a judge said of the held-out items, and how it was made."""

    name: str
    held: Labelled
    said: dict[str, dict[str, Said]]  # by stage of its training, the last one first
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)

    def metrics(self, backend: str, models: Mapping[str, Ordinal], train: Labelled, seed: int) -> dict[str, Any]:
        """Its report as the stage keeps it."""
        first, *rest = self.said
        others = {name: self.said[name] for name in rest} | {STUDENT: by_student(models, self.held)}
        reports = measure_said(first, self.said[first], train, self.held, others, seed)
        return {
            "backend": backend,
            "name": self.name,
            "used": [each.aspect for each in reports if each.used],
            "measured": {"households": len(self.held.user), "items": len(self.held.items)},
            "rows": [row for each in reports for row in each.rows()],
            **self.about,
        }


def identity(settings: JudgeSettings) -> dict[str, str]:
    """What a stage's fingerprint depends on beside its settings: which endpoint, by model and hash of its address; never the key.

    Raises:
        RequestError: an endpoint is to be asked and none is named.
    """
    if settings.backend != "endpoint":
        return {}
    found = EndpointSettings.from_environment(limits=settings.endpoint)
    return {"model": found.model, "server": hashlib.sha256(found.url.encode()).hexdigest()[:16]}


def ask(
    settings: JudgeSettings, dataset: Dataset, evidence: Evidence, train: Labelled, measured: Labelled, folder: Path, seed: int,
    report: Report = silent, cancel: CancelToken | None = None,
) -> Answers | None:  # fmt: skip
    """Make the judge that the settings name and ask it about held-out items; None where that is the student.

    Args:
        folder: where a training keeps its checkpoints.

    Raises:
        RequestError: the endpoint cannot be reached, refuses, or does not answer what was asked.
        WeightsError: the language model cannot be had.
        Cancelled: asked to stop; checkpoints and answers stay.
    """
    if settings.backend == "student":
        return None
    held = measured.first(settings.measured)
    if settings.backend == "endpoint":
        judge = EndpointJudge(dataset, EndpointSettings.from_environment(limits=settings.endpoint))
        told = _said(judge, held, "endpoint", report, cancel)
        return Answers(judge.name, held, {"endpoint": told}, about={"cost": judge.cost.as_json()})
    from backend.judge.language import LanguageJudge, LanguageModel, arrays_of
    from backend.judge.language_training import optimise, teach

    model = LanguageModel(settings.lm)
    lm = LanguageJudge(model, dataset, evidence)
    mixed = train.first(len(train.user))
    taught = teach(lm, mixed, folder, seed, report, cancel)
    said = {"lm" if not settings.lm.optimised else SFT: _said(lm, held, "the language model after SFT", report, cancel)}
    about: dict[str, Any] = {"sft": vars(taught)}
    if settings.lm.optimised:
        about["optimised"] = vars(optimise(lm, mixed, folder, seed, report, cancel))
        said = {"lm": _said(lm, held, "the language model", report, cancel), **said}
    return Answers(lm.name, held, said, arrays_of(model), about)


def _said(judge: Judge, held: Labelled, what: str, report: Report, cancel: CancelToken | None) -> dict[str, Said]:
    """Score and level of every held-out item by aspect."""
    parts = []
    for number, (situation, rows) in enumerate(held.asked(), start=1):
        if cancel:
            cancel.check()
        parts.append(judge.judge(situation, held.items[rows]))
        report(Progress("measuring", number, len(held.user), what))
    expected, levels = np.concatenate([each.expected for each in parts]), np.concatenate([each.levels for each in parts])
    return {name: (expected[:, place], levels[:, place]) for place, name in enumerate(ASPECTS)}


def load_teacher(stage: Stage, settings: JudgeSettings, dataset: Dataset, evidence: Evidence) -> Trusted | None:
    """The judge that rewards, of a judge stage; None where that is the student.

    Raises:
        RequestError: no aspect of it is used; or the endpoint is not named, or another one than was measured.
        WorkspaceError: the stage is damaged.
        WeightsError: the language model cannot be had.
    """
    if settings.backend == "student":
        return None
    about = stage.metrics.get("teacher") or {}
    used = tuple(about.get("used") or ())
    if not used:
        raise RequestError(
            f"no aspect of the judge {str(about.get('name', settings.backend))!r} beats cosine similarity and popularity on "
            f"{about.get('measured', {}).get('households', 0)} held-out households, so it is not used",
            "judge.backend", "take another model, train it longer, or leave judge.backend at student",
        )  # fmt: skip
    if settings.backend == "endpoint":
        if identity(settings) != stage.manifest["settings"].get("asked"):
            raise RequestError("another endpoint was measured", "judge.backend", "train the judge again")
        return Trusted(EndpointJudge(dataset, EndpointSettings.from_environment(limits=settings.endpoint)), used)
    from backend.judge.language import LanguageJudge, LanguageModel, restore

    model = LanguageModel(settings.lm)
    try:
        restore(model, stage.arrays("lm"))
    except (KeyError, RuntimeError, ValueError) as error:
        raise WorkspaceError("the language model's weights are damaged", str(stage.path), "train the judge again") from error
    return Trusted(LanguageJudge(model, dataset, evidence), used)
