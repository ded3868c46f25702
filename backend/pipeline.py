"""The stages in order: dataset → grounding → tokens → model (→ evaluation). Each can be left and run again.

A stage whose settings and inputs have not changed is kept; anything else is made anew. `build` makes what needs no training of the
decoder, `train` the model, `evaluate` the figures.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file
from torch import nn

from backend.data.schema import CATEGORY, ITEM, Dataset
from backend.data.seasons import hold_out
from backend.data.split import MIN_TRAINED, split, with_past
from backend.data.store import open_dataset, write_dataset
from backend.data.trend import trend
from backend.errors import WorkspaceError
from backend.grounding import encoders, pairs
from backend.grounding.grounder import train_grounder
from backend.grounding.images import image_vectors
from backend.instructions import demand
from backend.instructions.catalogue import prepare
from backend.instructions.facts import Facts
from backend.instructions.pools import gather
from backend.instructions.task import CountedTask
from backend.instructions.trained import tasks_of
from backend.memory import peak_memory_mb
from backend.model.backbones import load_backbone
from backend.model.examples import Sampler
from backend.model.loading import listener, load_store, shared_encode
from backend.model.sigma import SigmaModel
from backend.model.training import TrainingResult, train_model, trainable_state
from backend.progress import CancelToken, Progress, Report, silent
from backend.settings import Settings, TokenSettings, TrainSettings
from backend.tokenization.choose import quantize
from backend.tokenization.item_store import item_names, item_statistics
from backend.tokenization.semantic_ids import health
from backend.workspace import StageWriter, Workspace

TRAINING_FOLDER = ".training"


def build(workspace: Workspace, settings: Settings, report: Report = silent, cancel: CancelToken | None = None) -> None:
    """Make dataset, grounding and tokens, as far as they are not there already.

    Raises:
        SigmascopeError: a bad table, missing weights, a folder that cannot be written.
        Cancelled: asked to stop; finished stages stay.
    """
    workspace.check_writable()
    dataset = _dataset(workspace, settings, report)
    _ground(workspace, dataset, settings, report, cancel)
    _tokenize(workspace, dataset, settings, report, cancel)


def _dataset(workspace: Workspace, settings: Settings, report: Report) -> Dataset:
    if workspace.has("dataset") and not workspace.stale("dataset"):
        stored = workspace.stage("dataset").manifest["settings"]
        wanted = settings.data.model_dump(mode="json")
        if {key: stored.get(key) for key in wanted} == wanted:
            report(Progress("dataset", 1, 1, "kept"))
            return open_dataset(workspace, report)
    return write_dataset(workspace, settings.data, report)


def kept(workspace: Workspace, name: str, settings: dict[str, Any], report: Report) -> bool:
    """Whether the stage as it stands is what would be made now."""
    if workspace.has(name) and workspace.stage(name).fingerprint == workspace.expected_fingerprint(name, settings):
        report(Progress(name, 1, 1, "kept"))
        return True
    return False


def _ground(workspace: Workspace, dataset: Dataset, settings: Settings, report: Report, cancel: CancelToken | None) -> None:
    own = {**settings.grounding.model_dump(mode="json"), "seed": settings.seed}
    if kept(workspace, "grounding", own, report):
        return
    with workspace.write("grounding", own, settings.seed) as stage:
        train_events = split(dataset, settings.data).train_events
        entities = pairs.build_entities(dataset)
        text = encoders.shared_text_encoder().encode(entities.texts, report=report, cancel=cancel)
        report(Progress("grounding", 0, 1, "counting what is bought together"))
        together = encoders.count_together(dataset.events[train_events], dataset.n_items)
        collaborative = pairs.collaborative(together, settings.seed)
        views = [
            collaborative,
            pairs.semantic(dataset, settings.seed),
            pairs.knowledge(dataset, train_events, entities, text, settings.seed),
        ]
        chosen, images = settings.grounding, None
        if chosen.images is not None:
            images = image_vectors(chosen.images, dataset.items[ITEM].tolist(), chosen.image_encoder, report, cancel)
            views.append(pairs.visual(images, settings.seed))
            chosen = chosen.model_copy(update={"views": tuple(dict.fromkeys([*chosen.views, "visual"]))})
        ids = encoders.id_embeddings(together, collaborative.held, settings.grounding.id_dim, settings.seed)
        padded = np.zeros((len(text), ids.shape[1]), np.float32)
        padded[: dataset.n_items] = ids
        grounded = train_grounder(text, padded, views, chosen, settings.seed, report, cancel)
        after = grounded.project(text)
        known = pairs.positives(views, len(text))
        stage.metrics = {
            "views": [
                {
                    "view": view.name,
                    "train_pairs": len(view.train),
                    "held_pairs": len(view.held),
                    "anchors": anchors,
                    "recall_before": before,
                    "recall_after": pairs.held_recall(after, view, dataset.n_items, known)[0],
                }
                for view in views
                for before, anchors in [pairs.held_recall(text, view, dataset.n_items, known)]
            ],
            "image": "absent: this catalogue has no images" if images is None else f"{int(images.any(1).sum())} items have one",
            "curve": [[step, round(cl, 4), round(kd, 4)] for step, cl, kd in grounded.curve],
            "peak_memory_mb": peak_memory_mb(),
        }
        vectors = {"ids": ids.astype(np.float16), "text": after[: dataset.n_items].astype(np.float16)}
        stage.arrays("vectors", vectors if images is None else {**vectors, "image": images.astype(np.float16)})
        # what the reading of instructions compares with: seconds to encode, so it is stored
        stage.arrays(
            "names", {"vectors": prepare(dataset, encoders.shared_text_encoder().encode).name_vectors().astype(np.float16)}
        )
        stage.arrays("projection", {name: value.numpy() for name, value in grounded.projection.state_dict().items()})


def _tokenize(workspace: Workspace, dataset: Dataset, settings: Settings, report: Report, cancel: CancelToken | None) -> None:
    own = {**settings.tokens.model_dump(mode="json"), "seed": settings.seed}
    if kept(workspace, "tokens", own, report):
        return
    with workspace.write("tokens", own, settings.seed) as stage:
        vectors = workspace.stage("grounding").arrays("vectors")["text"].astype(np.float32)
        books, codes = quantize(vectors, settings.tokens, settings.seed, report, cancel)
        train_events = dataset.events[split(dataset, settings.data).train_events]
        stage.metrics = health(codes, books, vectors, dataset.items[CATEGORY].tolist())
        stage.arrays("codebooks", books.arrays())
        names, name_of = item_names(dataset.items)
        said = encoders.shared_text_encoder().encode(names, report=report, cancel=cancel)
        lately = trend(train_events, dataset.n_items)
        stage.arrays(
            "store",
            {
                "sids": codes.astype(np.int16),
                "statistics": item_statistics(dataset.items, train_events).astype(np.float16),
                "names": said.astype(np.float16),
                "name_of": name_of.astype(np.int16),
                "trend": lately.table.astype(np.float16),
                "trend_end": np.array([lately.end]),
            },
        )


def model_settings(settings: Settings) -> dict[str, Any]:
    """What the model stage's fingerprint depends on."""
    return {
        "recipe": "sigma",
        "model": settings.model.model_dump(mode="json"),
        "train": settings.train.model_dump(mode="json"),
        "tokens": settings.tokens.model_dump(mode="json"),
        "reading": demand.VERSION,
        "seed": settings.seed,
    }


def train(
    workspace: Workspace,
    settings: Settings,
    report: Report = silent,
    cancel: CancelToken | None = None,
    resume: bool = False,
) -> TrainingResult | None:
    """Train the model stage; a kill at any moment loses at most `checkpoint_steps` steps.

    Args:
        resume: go on from the checkpoint of the same settings and inputs, if there is one; otherwise start anew.

    Returns:
        None when the model as it stands already is what these settings give.
    """
    workspace.check_writable()
    tokens = workspace.fresh_stage("tokens")
    stored = {key: value for key, value in tokens.manifest["settings"].items() if key != "seed"}
    settings = settings.model_copy(update={"tokens": TokenSettings(**stored)})  # the model must fit the codebooks that are there
    own = model_settings(settings)
    if kept(workspace, "model", own, report):
        return None
    dataset = open_dataset(workspace, report)
    parts = split(dataset, settings.data)
    baskets, counted = parts.train, parts.train_events
    if settings.train.held_households:
        fair = hold_out(dataset, parts, settings.train.held_households, settings.data.min_targets)
        baskets, counted = fair.train, fair.counted
    tasks = tasks_of(workspace, dataset, counted, settings.train.tasks)
    store = load_store(workspace, dataset)
    fitted = demand.fit_demand(
        settings.train.tasks,
        prepare(dataset, shared_encode, tasks=settings.train.tasks),
        encoders.shared_text_encoder().known_vectors,
        settings.seed,
        settings.train.wordings,
    )
    facts = next((task.facts for task in tasks.values() if isinstance(task, CountedTask)), Facts(dataset, counted))
    pools = gather(facts, settings.train.tasks)
    torch.manual_seed(settings.seed)
    model = SigmaModel(
        load_backbone(settings.model),
        store,
        settings.model,
        settings.tokens,
        listener(workspace, dataset, fitted, pools, settings.train.tasks),
        settings.train.dropout,
    )
    contexts = training_contexts(baskets, settings.train, settings.seed)
    sampler = Sampler(dataset, contexts, list(tasks.values()), model, settings.model, settings.train, settings.seed)
    checkpoint = checkpoint_of(workspace, "model", own, resume)
    result = train_model(model, sampler, settings.train, settings.seed, checkpoint, report, cancel)
    with workspace.write("model", own, settings.seed) as stage:
        write_trained(stage, model, result, len(contexts))
        stage.arrays("demand", fitted)
        stage.arrays("pools", pools)
    drop_checkpoints(workspace, "model")
    return result


def checkpoint_of(workspace: Workspace, name: str, settings: dict[str, Any], resume: bool) -> Path:
    """Where a training of this stage keeps its checkpoint; what stands there is removed unless it shall be resumed."""
    path = workspace.path / TRAINING_FOLDER / f"{name}-{workspace.expected_fingerprint(name, settings)}.safetensors"
    if not resume:
        path.unlink(missing_ok=True)
    return path


def drop_checkpoints(workspace: Workspace, name: str) -> None:
    """Remove all checkpoints of a stage, now that it is trained; those of the other recipes stay."""
    folder = workspace.path / TRAINING_FOLDER
    for path in folder.glob(f"{name}-*"):
        path.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()  # only where nothing is left


def write_trained(stage: StageWriter, model: nn.Module, result: TrainingResult, contexts: int) -> None:
    """What every trained stage holds: the training's figures, and its weights in bfloat16 (half the size; evaluated is what was stored)."""
    state = trainable_state(model)
    stage.seconds = result.seconds
    stage.metrics = {
        "steps": result.steps,
        "minutes": round(result.seconds / 60, 2),  # of training alone
        "trained_parameters": sum(value.numel() for value in state.values()),
        "parameters": sum(value.numel() for value in model.parameters()),
        "contexts": contexts,
        "bf16": result.bf16,
        "curve": [[step, *(round(loss, 4) for loss in losses)] for step, *losses, _ in result.curve][
            :: max(1, len(result.curve) // 200)
        ],
        "peak_memory_mb": peak_memory_mb(),
    }
    save_file({name: value.to(torch.bfloat16).contiguous() for name, value in state.items()}, stage.path / "model.safetensors")


def training_contexts(baskets: pd.DataFrame, settings: TrainSettings, seed: int) -> pd.DataFrame:
    """Training baskets with something before them, `contexts` of them drawn without replacement.

    A basket's chance falls with the square root of its household's baskets: those who shop daily shall not drown the others, since
    the evaluation asks each household once.
    """
    usable = with_past(baskets, MIN_TRAINED)
    if not len(usable):
        raise WorkspaceError("no basket to train on: none has two items and an earlier basket", mend="bring more events")
    chance = 1.0 / np.sqrt(usable.groupby("user")["start"].transform("size").to_numpy())
    rows = np.random.default_rng(seed).choice(
        len(usable), min(settings.contexts, len(usable)), replace=False, p=chance / chance.sum()
    )
    return usable.iloc[rows].reset_index(drop=True)
