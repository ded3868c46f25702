"""Opening what a workspace holds of the recipe `jd`: item codes, vocabulary, weights; each checked against the catalogue."""

from __future__ import annotations

from dataclasses import dataclass

from tokenizers import Tokenizer

from backend.data import schema as c
from backend.data.schema import Dataset
from backend.errors import WorkspaceError
from backend.model.full_sid import FullSidModel, build_model
from backend.model.loading import load_weights
from backend.settings import JdSettings
from backend.tokenization.representations import Representation
from backend.workspace import Workspace


@dataclass(frozen=True)
class TrainedJd:
    """What the stage holds."""

    model: FullSidModel
    settings: JdSettings


def load_jd(workspace: Workspace, dataset: Dataset) -> TrainedJd:
    """The trained model of the stage.

    Raises:
        WorkspaceError: missing, stale, damaged, or of another catalogue.
    """
    stage = workspace.fresh_stage("jd")
    settings = JdSettings(**stage.manifest["settings"]["jd"])
    arrays, told = stage.arrays("codes"), stage.json("tokenizer")
    representation = Representation(told["name"], arrays["codes"], tuple(arrays["sizes"].tolist()))
    if len(representation.codes) != dataset.n_items:
        raise WorkspaceError(
            f"stage jd holds {len(representation.codes)} items, the dataset {dataset.n_items}",
            str(workspace.path),
            "train it again",
        )
    names = dataset.items[c.TITLE].tolist()
    model = build_model(settings, representation, names, Tokenizer.from_str(told["tokenizer"]))
    load_weights(model, stage.path / "model.safetensors")
    return TrainedJd(model.eval(), settings)
