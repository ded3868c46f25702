"""The cold-start experiment: a model trained without some items, then asked about them; the workspace's own model asked about strangers.

Its workspace is an ordinary one (`variants/held-items`): a kill loses what any build or training would lose.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backend import pipeline
from backend.data.held_items import HeldItems, draw_held, hold_out_items
from backend.data.schema import TABLES, TEXT, Dataset
from backend.data.split import Split, split
from backend.data.store import dataset_settings, open_dataset, stage_settings
from backend.evaluation.answering import START
from backend.evaluation.cases import build_cases
from backend.evaluation.cold_items import OwnCategories, TextOnly, joined_generator, measure_cold_items
from backend.evaluation.cold_users import measure_cold_users
from backend.evaluation.components import compute
from backend.evaluation.fusion_tuning import tune_fusion
from backend.evaluation.intervals import RESAMPLES
from backend.evaluation.questions import TUNING_HOUSEHOLDS, SplitName, questions
from backend.generation.generator import load_generator
from backend.grounding.encoders import shared_text_encoder
from backend.instructions.tasks import registry
from backend.instructions.trained import trained_tasks
from backend.progress import CancelToken, Report, silent
from backend.settings import FusionSettings, Settings
from backend.workspace import Workspace, provenance

SHARE = 0.05  # of the items that are held out


def cold_start(
    base: Workspace,
    folder: Path,
    settings: Settings,
    split_name: SplitName = "test",
    limit: int | None = None,
    report: Report = silent,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """Both halves of the experiment.

    Args:
        base: the workspace; its model answers for cold users.
        folder: holds the workspace of the model that was trained without the items.
        settings: of that model.
        limit: at most this many households; None = all.

    Returns:
        JSON-able: results and differences of both, how many items were held out.
    """
    seed = settings.seed
    whole = open_dataset(base, report)
    parts = split(whole, dataset_settings(base))
    asked = parts.test if split_name == "test" else parts.validation
    held = draw_held(whole, parts, SHARE, seed)
    divided = hold_out_items(whole, parts, held, asked)
    settings = settings.model_copy(update={"data": dataset_settings(base)})
    target = _made(divided, folder / "held-items", settings, report, cancel)
    items = _items(target, divided, settings, split_name, limit, report, cancel)
    own = questions(base, split_name, limit, seed, report)
    users = measure_cold_users(load_generator(base, own.dataset), own, fusion_of(base), report, cancel)
    return {
        "results": items["results"] + users["results"],
        "differences": items["differences"] + users["differences"],
        "held_items": int(held.sum()),
        "items": whole.n_items,
        "split": split_name,
        "seed": seed,
        "resamples": RESAMPLES,
        "training": {key: target.stage("model").metrics[key] for key in ("steps", "minutes", "contexts")},
        **{key: value for key, value in provenance().items() if key != "libraries"},
    }


def fusion_of(workspace: Workspace) -> FusionSettings:
    """The fusion that the workspace's evaluation chose on validation, or where a search would begin."""
    if workspace.has("evaluation") and not workspace.stale("evaluation"):
        return FusionSettings(**workspace.stage("evaluation").json("fusion")["best"])
    return START


def _made(divided: HeldItems, folder: Path, settings: Settings, report: Report, cancel: CancelToken | None) -> Workspace:
    """The workspace of the model that never heard of the items."""
    target = Workspace(folder)
    target.check_writable()
    known = divided.known
    if not target.has("dataset") or target.stage("dataset").manifest.get("content") != known.fingerprint:
        with target.write("dataset", stage_settings(settings.data, known.fingerprint), seed=0) as stage:
            stage.extra = {"name": known.name, "content": known.fingerprint}
            for table in TABLES:
                stage.table(table, getattr(known, table))
    pipeline.build(target, settings, report, cancel)
    pipeline.train(target, settings, report, cancel, resume=True)
    return target


def _items(
    target: Workspace,
    divided: HeldItems,
    settings: Settings,
    split_name: SplitName,
    limit: int | None,
    report: Report,
    cancel: CancelToken | None,
) -> dict[str, Any]:
    joined, seed = divided.joined, settings.seed
    generator = joined_generator(target, divided.known, joined)
    parts = split(joined, settings.data)
    trained = trained_tasks(target)
    tasks = {name: task for name, task in registry(joined).items() if name in trained}  # those whose labels count nothing
    validation = build_cases(joined, parts.validation.head(min(limit or TUNING_HOUSEHOLDS, TUNING_HOUSEHOLDS)), tasks, seed)
    tuned = tune_fusion(
        generator, compute(generator, validation, report=report, cancel=cancel), validation, START, report, cancel
    )
    examples = _of(parts, split_name)
    cases = build_cases(joined, examples if limit is None else examples.head(limit), tasks, seed)
    return measure_cold_items(
        generator, cases, divided.held, _baselines(joined, generator.model.store.text, report), tuned.best, seed, RESAMPLES,
        report, cancel,
    )  # fmt: skip


def _of(parts: Split, split_name: SplitName) -> Any:
    return parts.test if split_name == "test" else parts.validation


def _baselines(joined: Dataset, grounded: Any, report: Report) -> list[Any]:
    plain = shared_text_encoder().encode(joined.items[TEXT].tolist(), report=report)
    return [
        TextOnly(joined, "text only", plain),
        TextOnly(joined, "text only, grounded", grounded),
        OwnCategories(joined, plain),
    ]
