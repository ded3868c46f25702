"""Opening what a workspace holds of a model: item store, grounding projection, weights; each checked against the others.

A mismatch is an error that names both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from backend.data.schema import Dataset
from backend.data.trend import Trend
from backend.errors import WorkspaceError
from backend.grounding import encoders
from backend.grounding.grounder import Projection
from backend.instructions.catalogue import prepare
from backend.instructions.demand import DemandReader
from backend.instructions.pools import Pools
from backend.model.backbones import load_backbone
from backend.model.instruction import Said
from backend.model.sigma import SigmaModel
from backend.model.training import trainable_state
from backend.settings import GroundingSettings, ModelSettings, TokenSettings
from backend.tokenization.item_store import ItemStore
from backend.workspace import Workspace

LIKELY = 0.05  # probability from which a demand counts as a reading of an instruction


def load_store(workspace: Workspace, dataset: Dataset) -> ItemStore:
    """The item store of a workspace, checked against its catalogue.

    Raises:
        WorkspaceError: a stage is missing, stale or damaged, or catalogue and store differ in size; names both sides.
    """
    vectors = workspace.fresh_stage("grounding").arrays("vectors")
    arrays = workspace.fresh_stage("tokens").arrays("store")
    try:
        store = ItemStore(
            vectors["ids"].astype(np.float32),
            vectors["text"].astype(np.float32),
            vectors["image"].astype(np.float32) if "image" in vectors else None,
            arrays["statistics"].astype(np.float32),
            arrays["sids"].astype(np.int64),
            arrays["names"].astype(np.float32),
            arrays["name_of"].astype(np.int64),
            Trend(float(arrays["trend_end"][0]), arrays["trend"].astype(np.float32)),
        )
    except KeyError as error:
        raise WorkspaceError(f"the item store lacks {error}", str(workspace.path), "build the workspace again") from error
    if len(store) != dataset.n_items:
        raise WorkspaceError(
            f"the item store holds {len(store)} items, the dataset {dataset.n_items}",
            str(workspace.path),
            "build the workspace again",
        )
    return store


def load_projection(workspace: Workspace) -> Projection:
    """The trained grounding projection of a workspace."""
    stage = workspace.fresh_stage("grounding")
    settings = GroundingSettings(**{k: v for k, v in stage.manifest["settings"].items() if k != "seed"})
    projection = Projection(encoders.TEXT_DIM, settings.hidden, settings.dim)
    projection.load_state_dict({name: torch.from_numpy(value) for name, value in stage.arrays("projection").items()})
    return projection.eval()


def text_grounder(workspace: Workspace) -> Callable[[Sequence[str]], Tensor]:
    """Grounded vectors of any texts, by the workspace's projection. Shape: (n,) → (n, dim)."""
    projection = load_projection(workspace)

    @torch.inference_mode()
    def project(vectors: Tensor) -> Tensor:
        return projection(vectors)

    def ground(texts: Sequence[str]) -> Tensor:
        return project(torch.from_numpy(encoders.shared_text_encoder().known_vectors(texts))).clone()

    return ground


class Listener:
    """Hears instructions: their grounded and sentence vectors, and the demand that is read in them.

    Args:
        ground: grounded vectors of texts.
        reader: reads demands that are not given.
        pools: reads what belongs to what is asked.
    """

    sentence_dim = encoders.TEXT_DIM

    def __init__(self, ground: Callable[[Sequence[str]], Tensor], reader: DemandReader, pools: Pools) -> None:
        self.ground, self.reader, self.pools = ground, reader, pools
        self.tasks, self.catalogue = reader.tasks, reader.catalogue

    def __call__(self, texts: Sequence[str], demand: Tensor | None = None) -> Said:
        """Vectors of instructions; `demand` where it is known, else it is read."""
        sentence = torch.from_numpy(encoders.shared_text_encoder().known_vectors(texts))
        if demand is None:
            demand = torch.from_numpy(self.reader.read(texts, sentence.numpy()))
        return Said(
            self.ground(texts), sentence, demand, [self._pools(text, row) for text, row in zip(texts, demand, strict=True)]
        )

    def _pools(self, text: str, demand: Tensor) -> dict[str, np.ndarray]:
        """The pools of the demands that a text may well be."""
        return self.pools.of(text, [task for task, p in zip(self.tasks, demand.tolist(), strict=True) if p >= LIKELY])


def listener(
    workspace: Workspace,
    dataset: Dataset,
    demand: Mapping[str, np.ndarray],
    pools: Mapping[str, np.ndarray],
    tasks: Sequence[str],
) -> Listener:
    """The listener of a workspace, with a reader of these tasks, fitted as `fit_demand` does it, and pools counted as `gather` does it."""
    names = workspace.fresh_stage("grounding").arrays("names")["vectors"].astype(np.float32)
    catalogue = prepare(dataset, lambda texts: encoders.shared_text_encoder().known_vectors(texts), names, tasks)
    reader = DemandReader(demand, tasks, catalogue)
    catalogue.asks = reader.of  # reading and model hear the same
    return Listener(text_grounder(workspace), reader, Pools(pools, catalogue, dataset))


def shared_encode(texts: list[str]) -> np.ndarray:
    """Sentence vectors by the process's one text encoder. Shape: (n,) → (n, 384)."""
    return encoders.shared_text_encoder().encode(texts)


def load_model(workspace: Workspace, dataset: Dataset) -> SigmaModel:
    """The trained model of a workspace, checked against its store.

    Raises:
        WorkspaceError: missing, stale, damaged, or of another shape than the store; names both sides.
    """
    stage = workspace.fresh_stage("model")
    own = stage.manifest["settings"]
    settings, tokens = ModelSettings(**own["model"]), TokenSettings(**own["tokens"])
    listen = listener(workspace, dataset, stage.arrays("demand"), stage.arrays("pools"), own["train"]["tasks"])
    model = SigmaModel(load_backbone(settings), load_store(workspace, dataset), settings, tokens, listen)
    path = stage.path / "model.safetensors"
    load_weights(model, path)
    return model.eval()


def load_weights(model: nn.Module, path: Path) -> None:
    """Copy stored weights into a model.

    Raises:
        WorkspaceError: missing or damaged file, or names and shapes that do not fit; names both sides.
    """
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise WorkspaceError(
            f"the model's weights are missing or damaged ({type(error).__name__})", str(path), "train again"
        ) from error
    own = trainable_state(model)
    if state.keys() != own.keys():
        odd = sorted(state.keys() ^ own.keys())[0]
        raise WorkspaceError(f"model and settings do not belong together: {odd} is only on one side", str(path), "train again")
    for name, value in state.items():
        if value.shape != own[name].shape:
            raise WorkspaceError(
                f"model and settings do not fit: {name} is {tuple(value.shape)} in the file, {tuple(own[name].shape)} here",
                str(path),
                "train again",
            )
        own[name].copy_(value)
