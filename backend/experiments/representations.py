"""The representation experiment (JD §2.1): one model for each way to write an item, trained under the same budget, measured on the same cases.

Each is an ordinary workspace (`variants/representations/NAME`) that shares dataset and grounding with the base; what is trained stays, what was
begun goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backend.data.store import dataset_settings
from backend.errors import RequestError
from backend.evaluation.questions import SplitName
from backend.evaluation.representations import measure_representations
from backend.experiments.making import folder_name, link
from backend.generation.jd import load_jd_generator
from backend.grounding.encoders import shared_text_encoder
from backend.jd_stage import train_jd
from backend.progress import CancelToken, Progress, Report, silent
from backend.settings import JdSettings, Settings, checked, merged
from backend.workspace import Workspace

# name → the settings `jd.…` in which it differs; the first one is the article's and the reference
WRITTEN: Mapping[str, Mapping[str, Any]] = {
    "semantic ID, RQ-VAE": {"representation": "semantic", "quantizer": "rq-vae"},
    "semantic ID, RQ-KMeans": {"representation": "semantic", "quantizer": "rq-kmeans"},
    "numeric ID, base 256": {"representation": "numeric", "numeric_base": 256},
    "numeric ID, digit by digit": {"representation": "numeric", "numeric_base": 10},
    "title": {"representation": "title"},
}
_MANY_CONTEXTS = 100_000  # where minutes bound the training, contexts must not


def settings_for(start: Settings, changes: Mapping[str, Any], minutes: float | None = None) -> Settings:
    """Settings of one representation under the common budget.

    Args:
        minutes: training time of each; None = `jd.contexts`, which is the same number of steps for all.

    Raises:
        RequestError: an impossible setting.
    """
    budget: dict[str, Any] = {"max_minutes": minutes}
    if minutes is not None:
        budget["contexts"] = max(_MANY_CONTEXTS, start.jd.contexts)
    return checked(merged(start.model_dump(mode="json"), {"jd": {**changes, **budget}}))


def chosen(only: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """The representations to compare: the reference and those that are named; none named = all.

    Raises:
        RequestError: there is none of that name.
    """
    for name in only:
        if name not in WRITTEN:
            raise RequestError(f"there is no representation {name[:40]!r}", "--only", f"choose from: {'; '.join(WRITTEN)}")
    reference = next(iter(WRITTEN))
    return {name: changes for name, changes in WRITTEN.items() if not only or name in only or name == reference}


def representations(
    base: Workspace,
    folder: Path,
    start: Settings,
    split_name: SplitName = "test",
    limit: int | None = None,
    minutes: float | None = None,
    only: Sequence[str] = (),
    report: Report = silent,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """Train and measure them.

    Args:
        base: holds dataset and grounding.
        folder: holds a workspace for each.
        start: settings of all, but for how items are written; see `settings_for`.
        limit: at most this many households; None = all.

    Returns:
        JSON-able: what `evaluation.representations` measured, and `trainings`.

    Raises:
        SigmascopeError: a stage is missing or stale, a folder cannot be written.
        Cancelled: asked to stop; finished steps stay.
    """
    start = start.model_copy(update={"data": dataset_settings(base)})
    plans = {name: settings_for(start, changes, minutes) for name, changes in chosen(only).items()}
    made: dict[str, Workspace] = {}
    for number, (name, settings) in enumerate(plans.items()):
        report(Progress("representations", number, len(plans), name))
        target = Workspace(folder / "representations" / folder_name(name))
        target.check_writable()
        for stage in ("dataset", "grounding"):
            link(base, target, stage)
        train_jd(target, settings, report, cancel, resume=True)
        made[name] = target
    report(Progress("representations", len(plans), len(plans)))
    models = {name: load_jd_generator(target) for name, target in made.items()}
    found = measure_representations(
        base, models, shared_text_encoder().encode, split_name, limit, start.seed, report, cancel
    )  # fmt: skip
    return {**found, "trainings": [_training(name, target) for name, target in made.items()]}


def _training(name: str, target: Workspace) -> dict[str, Any]:
    """What is to be said of a training."""
    stage = target.stage("jd")
    settings = JdSettings(**stage.manifest["settings"]["jd"])
    told = {key: stage.metrics[key] for key in ("steps", "minutes", "parameters", "vocabulary", "shared")}
    return {
        "representation": name,
        **told,
        "contexts": told["steps"] * settings.batch,
        "settings": settings.model_dump(mode="json"),
    }
