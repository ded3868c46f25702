"""The stage `jd` of a workspace: the second recipe's item codes, vocabulary and weights, made from the dataset and the grounded vectors.

A workspace is whole without it. The loop, its checkpoints and its limits are those of the first recipe; `model.jd_loading` opens what
is written here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from backend.data import schema as c
from backend.data.schema import Dataset
from backend.data.split import split
from backend.data.store import dataset_settings, open_dataset
from backend.instructions.jd_prompts import all_texts
from backend.model.full_sid import build_model
from backend.model.item_words import catalogue_tokenizer, safe
from backend.model.jd_examples import JdSampler
from backend.model.training import TrainingResult, train_model
from backend.pipeline import checkpoint_of, drop_checkpoints, kept, training_contexts, write_trained
from backend.progress import CancelToken, Report, silent
from backend.settings import Settings, TokenSettings
from backend.tokenization.representations import Representation, full_semantic, numeric
from backend.workspace import Workspace


def jd_settings(settings: Settings) -> dict[str, Any]:
    """What the stage's fingerprint depends on."""
    return {"recipe": "jd", "jd": settings.jd.model_dump(mode="json"), "seed": settings.seed}


def train_jd(
    workspace: Workspace, settings: Settings, report: Report = silent, cancel: CancelToken | None = None, resume: bool = False
) -> TrainingResult | None:
    """Train the stage; a kill at any moment loses at most `checkpoint_steps` steps.

    Args:
        resume: go on from the checkpoint of the same settings and inputs, if there is one.

    Returns:
        None when the stage as it stands is what these settings give.

    Raises:
        SigmascopeError: a stage is missing or stale, weights cannot be loaded, a folder cannot be written.
        Cancelled: asked to stop; the checkpoint holds all finished steps.
    """
    workspace.check_writable()
    grounding = workspace.fresh_stage("grounding")
    own = jd_settings(settings)
    if kept(workspace, "jd", own, report):
        return None
    dataset = open_dataset(workspace, report)
    vectors = grounding.arrays("vectors")["text"].astype(np.float32)
    representation = representation_of(settings, vectors, report, cancel)
    tokenizer = catalogue_tokenizer(_texts(dataset))
    torch.manual_seed(settings.seed)
    names = dataset.items[c.TITLE].tolist()
    model = build_model(settings.jd, representation, names, tokenizer)
    contexts = training_contexts(split(dataset, dataset_settings(workspace)).train, settings.jd.train(), settings.seed)
    sampler = JdSampler(dataset, contexts, model.words, settings.jd, settings.seed)
    checkpoint = checkpoint_of(workspace, "jd", own, resume)
    result = train_model(
        model, sampler, settings.jd.train(), settings.seed, checkpoint, report, cancel, names=("L_next", "L_align")
    )
    with workspace.write("jd", own, settings.seed) as stage:
        write_trained(stage, model, result, len(contexts))
        stage.metrics |= {"vocabulary": model.words.size, "shared": model.words.representation.shared}
        stage.arrays("codes", {"codes": representation.codes, "sizes": np.array(representation.sizes, np.int32)})
        stage.json("tokenizer", {"name": representation.name, "tokenizer": tokenizer.to_str()})
    drop_checkpoints(workspace, "jd")
    return result


def representation_of(
    settings: Settings, vectors: np.ndarray, report: Report = silent, cancel: CancelToken | None = None
) -> Representation:
    """How the items are written. For titles the codes are made of the titles' tokens; numbers stand in until then.

    Shape:
        vectors: (n_items, dim) grounded vectors.
    """
    if settings.jd.representation != "semantic":
        return numeric(len(vectors), settings.jd.numeric_base)
    tokens = TokenSettings(quantizer=settings.jd.quantizer)
    return full_semantic(vectors, tokens, settings.seed, report, cancel)[0]


def _texts(dataset: Dataset) -> list[str]:
    """Everything that a prompt or an answer may say."""
    profiles = list(dict.fromkeys(dataset.users[c.PROFILE]))
    return [safe(text) for text in (*dataset.items[c.TITLE], *profiles)] + all_texts()
