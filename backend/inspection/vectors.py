"""The four spaces of a workspace, as vectors: where each comes from, and how a text or a query gets into it.

text      all-MiniLM-L6-v2 of the item's text            made from the dataset stage, kept on the shelf (minutes to make)
id        behaviour, PPMI-SVD of shared baskets          stored in the grounding stage
grounded  the text after multi-view grounding            stored in the grounding stage
fused     the soft item token, what h_k is compared with made by the model from its store
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from backend.data import schema as s
from backend.errors import RequestError, WorkspaceError
from backend.evaluation import OURS
from backend.grounding.neighbours import normalised
from backend.grounding.shelf import Shelf
from backend.progress import CancelToken, Report, silent
from backend.workspace import Workspace

if TYPE_CHECKING:
    from backend.inspection.answers import Recommendation

MAX_TEXT = 300  # characters of a typed text
_STAGE = {"text": "dataset", "id": "grounding", "grounded": "grounding", "fused": "model"}


@dataclass(frozen=True)
class Space:
    """What a space is, in words."""

    name: str
    title: str
    near: str  # what it means to lie near in it


SPACES = {
    space.name: space
    for space in (
        Space("text", "Text", "read alike: similar words in the item's text, before any training"),
        Space("id", "Behaviour", "are bought with the same things; the text plays no part"),
        Space("grounded", "Grounded", "read alike and are bought alike: the text vector after grounding, from which semantic IDs are made"),
        Space("fused", "Fused", "are alike to the model: soft item tokens, among which it looks with h_k"),
    )
}  # fmt: skip


class Vectors:
    """The vectors of one workspace.

    Args:
        workspace: where the stages lie.
        dataset, generator: opened when they are first needed.
        loaded: whether the generator is there already.
    """

    def __init__(self, workspace: Workspace, dataset: Callable[[], s.Dataset], generator: Callable[[], Any],
                 loaded: Callable[[], bool]) -> None:  # fmt: skip
        self.workspace, self.shelf = workspace, Shelf(workspace.path)
        self._dataset, self._generator, self._loaded = dataset, generator, loaded

    def source(self, space: str) -> str:
        """Fingerprint of the stage that a space is made from.

        Raises:
            WorkspaceError: that stage is missing, damaged or stale.
        """
        return self.workspace.fresh_stage(_STAGE[space]).fingerprint

    def quick(self, space: str) -> bool:
        """Whether the vectors are there without minutes of computing."""
        if space == "text":
            return self.shelf.find(f"{self._text_name()}.safetensors") is not None
        return space != "fused" or self._loaded()

    def load(self, space: str, report: Report = silent, cancel: CancelToken | None = None) -> np.ndarray:
        """Vectors of all items. Shape: (n_items, dim) float32, unit norm or zero.

        Raises:
            WorkspaceError: the stage is missing, damaged or stale.
            Cancelled: asked to stop.
        """
        source = self.source(space)
        if space == "text":
            vectors = self._text(report, cancel)
        elif space == "fused":
            vectors = np.asarray(self._generator().runner.soft)
        else:
            vectors = self.workspace.stage(_STAGE[space]).arrays("vectors")["ids" if space == "id" else "text"]
        n = self._dataset().n_items
        if len(vectors) != n:
            where = f"{_STAGE[space]} {source}"
            raise WorkspaceError(f"the {space} space holds {len(vectors)} items, the dataset {n}", where, "build it again")
        return normalised(vectors)

    def of_text(self, space: str, text: str) -> np.ndarray | None:
        """Where a typed text lies in a space; None in the behaviour space, since a text was never bought. Shape: (1, dim).

        Raises:
            RequestError: an empty or very long text.
        """
        if not text.strip() or len(text) > MAX_TEXT:
            raise RequestError("this text cannot be placed", f"{len(text)} characters", f"write 1 to {MAX_TEXT} characters")
        if space == "id":
            return None
        import torch

        from backend.grounding.encoders import shared_text_encoder
        from backend.model.loading import text_grounder

        if space == "text":
            return normalised(shared_text_encoder().known_vectors([text]))
        grounded = text_grounder(self.workspace)([text])
        if space == "grounded":
            return normalised(grounded.numpy())
        with torch.inference_mode():
            return normalised(self._generator().model.fuse.of_text(grounded).float().numpy())

    def queries(self, answer: Recommendation) -> np.ndarray:
        """h_k of the prefixes that a recommendation kept, in the fused space; rows as `kept_prefixes`. Shape: (K, item_dim)."""
        from backend.generation.request import Request

        generator, trace = self._generator(), answer.trace
        asked = Request(**{name: value for name, value in trace.request.items() if name in Request.model_fields})
        shopper = generator.shoppers.resolve(asked)
        _, state = generator.prompt(shopper, trace.request["reading"]["instruction"])
        codes = np.array(kept_prefixes(answer)["codes"].tolist(), np.int64).reshape(-1, generator.model.levels)
        return normalised(generator.runner.queries(state, codes)[0])

    def sids(self) -> np.ndarray | None:
        """Semantic IDs of all items; None where there are none. Shape: (n_items, levels)."""
        if not self.workspace.has("tokens"):
            return None
        return self.workspace.stage("tokens").arrays("store")["sids"].astype(np.int64)

    def outcomes(self) -> dict[str, np.ndarray]:
        """Rows of the items that examples of a task wanted, that our lists of ten hit, missed, or showed in vain: "task: outcome" → rows."""
        counts = self._counts()
        out: dict[str, np.ndarray] = {}
        for task, own in counts.groupby("task", sort=False) if counts is not None else ():
            wanted, hit, shown = own["targets"] > 0, own["hits"] > 0, own["shown"] > 0
            for name, which in (("wanted", wanted), ("hit", hit), ("missed", wanted & ~hit), ("shown in vain", shown & ~hit)):
                out[f"{task}: {name}"] = np.sort(own.loc[which, "item"].to_numpy(np.int64))
        return out

    def measured(self) -> pd.DataFrame | None:
        """Our recall of each item by task, from the evaluation's counts: item, then a column a task; None where there are none.

        An item that no example of a task wanted has no figure there.
        """
        counts = self._counts()
        if counts is None:
            return None
        own = counts[counts["targets"] > 0]
        recall = own.assign(recall=own["hits"] / own["targets"]).pivot(index="item", columns="task", values="recall")
        return recall.rename(columns=lambda task: f"recall@10, {task}").rename_axis(columns=None).reset_index()

    def _counts(self) -> pd.DataFrame | None:
        """Our counts of each item by task, in the view of all items; None where there are none."""
        if not self.workspace.has("evaluation"):
            return None
        stage = self.workspace.stage("evaluation")
        if not (stage.path / "items.parquet").is_file():
            return None
        counts = stage.table("items")
        return counts[(counts["recommender"] == OURS) & (counts["view"] == "all")]

    def _text_name(self) -> str:
        return f"text-{self.source('text')}"

    def _text(self, report: Report, cancel: CancelToken | None) -> np.ndarray:
        name = self._text_name()
        stored = self.shelf.arrays(name)
        if stored is not None and "vectors" in stored:
            return stored["vectors"]
        from backend.grounding.encoders import shared_text_encoder

        vectors = shared_text_encoder().encode(self._dataset().items[s.TEXT].tolist(), report=report, cancel=cancel)
        self.shelf.put_arrays(name, {"vectors": vectors.astype(np.float16)})
        return vectors


def kept_prefixes(answer: Recommendation) -> pd.DataFrame:
    """The prefixes of a recommendation that items were looked for in, best first (columns as in `Trace.prefixes`)."""
    prefixes = answer.trace.prefixes
    kept = prefixes[prefixes["kept"].astype(bool)]
    return kept[kept["level"] == kept["level"].max()].sort_values("probability", ascending=False, ignore_index=True)
