"""The latent spaces, for looking into: maps, neighbours, what grounding moved, a typed text, a shopper's path, a generation.

- Everything that is measured is measured in the original spaces; a map only says where to draw.
- Nothing here waits for minutes: what has to be made first (`missing`) is made by `prepare`, as a background job, and kept on the
  shelf (`grounding.shelf`), keyed by the fingerprint of the stage and the settings. The demo ships its maps.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from backend.data import schema as s
from backend.errors import SigmascopeError
from backend.grounding.agreement import measure, same_type
from backend.grounding.atlas import AtlasSettings, place, project
from backend.grounding.neighbours import Index, K, neighbour_lists, overlap
from backend.inspection.vectors import SPACES, Vectors, kept_prefixes
from backend.progress import CancelToken, Progress, Report, silent
from backend.workspace import fingerprint

if TYPE_CHECKING:
    from backend.inspection.answers import Recommendation

_AT_ONCE = 20_000  # items whose neighbour lists are made while a page waits (about a second)
_PATH = 80  # purchases of a shopper's path, the last ones


class LatentSpace:
    """The spaces of one workspace.

    Args:
        vectors: where the vectors come from.
        dataset: opened when first needed.
        user_row: id of a household → its row (`Shoppers.user_row`).
    """

    def __init__(self, vectors: Vectors, dataset: Callable[[], s.Dataset], user_row: Callable[[str], int]) -> None:
        self.vectors, self.shelf, self._dataset, self._user_row = vectors, vectors.shelf, dataset, user_row
        self._kept: dict[str, Any] = {}  # what was made in this process, by the name it has on the shelf
        self._locks = {name: threading.Lock() for name in SPACES}  # one each: a job that encodes texts holds up nobody else
        self._of_text = lru_cache(maxsize=256)(vectors.of_text)

    # what is there -----------------------------------------------------------------------------------------------------

    def available(self) -> dict[str, str]:
        """Every space, with why it cannot be shown (empty: it can)."""
        out = {}
        for name in SPACES:
            try:
                self.vectors.source(name)
                out[name] = ""
            except SigmascopeError as error:
                out[name] = str(error)
        return out

    def missing(self, settings: AtlasSettings, spaces: Sequence[str]) -> list[str]:
        """Those spaces whose map has to be laid out first."""
        return [space for space in spaces if self.map(space, settings) is None]

    def key(self, settings: AtlasSettings, spaces: Sequence[str]) -> str:
        """What a job that prepares these is known by."""
        return "atlas-" + fingerprint([settings.name(space, self.vectors.source(space)) for space in spaces])

    def prepare(self, settings: AtlasSettings, spaces: Sequence[str], report: Report = silent,
                cancel: CancelToken | None = None) -> None:  # fmt: skip
        """Lay out the maps that are missing, and make what the pages need beside them.

        Raises:
            SigmascopeError: a stage is missing, or UMAP failed.
            Cancelled: asked to stop; what is finished stays.
        """
        wanted = self.missing(settings, spaces)
        vectors = {space: self.index(space, report, cancel).vectors for space in wanted}
        if vectors:
            laid = project(vectors, self._items[s.DEPARTMENT], settings, report, cancel)
            for space, xy in laid.items():
                table = pd.DataFrame({"x": xy[:, 0], "y": xy[:, 1]})
                self.shelf.put_table(settings.name(space, self.vectors.source(space)), table)
        for number, space in enumerate(spaces):
            report(Progress("neighbours", number, len(spaces), f"{space}: neighbours"))
            self.lists(space, report, cancel)
            self.regions(space, settings)  # seconds where there are many items

    def map(self, space: str, settings: AtlasSettings) -> np.ndarray | None:
        """The map of a space; None until it was laid out. Shape: (n_items, 2) float32, NaN where an item has no place."""
        name = settings.name(space, self.vectors.source(space))
        if name not in self._kept:
            table = self.shelf.table(name)
            if table is None or len(table) != len(self._items) or not {"x", "y"} <= set(table.columns):
                return None
            self._kept[name] = table[["x", "y"]].to_numpy(np.float32)
        return self._kept[name]

    def index(self, space: str, report: Report = silent, cancel: CancelToken | None = None) -> Index:
        """Exact search in a space; its vectors are made if they have to be."""
        with self._locks[space]:
            name = f"index-{space}-{self.vectors.source(space)}"
            if name not in self._kept:
                self._kept[name] = Index(self.vectors.load(space, report, cancel))
            return self._kept[name]

    def quick(self, space: str) -> bool:
        """Whether something can be looked up in a space at once."""
        return f"index-{space}-{self.vectors.source(space)}" in self._kept or self.vectors.quick(space)

    def regions(self, space: str, settings: AtlasSettings) -> pd.DataFrame:
        """Names for the dense regions of a map (see `grounding.regions`); empty until it was laid out."""
        xy, name = self.map(space, settings), "regions-" + settings.name(space, self.vectors.source(space))
        if xy is None:
            return pd.DataFrame(columns=["label", "x", "y", "n", "share"])
        if name not in self._kept:
            stored = self.shelf.table(name)
            if stored is None:
                from backend.grounding.regions import regions  # scikit-learn takes its time

                stored = regions(xy, self._items[s.CATEGORY], self._items[s.DEPARTMENT], settings.seed)
                self.shelf.put_table(name, stored)
            self._kept[name] = stored
        return self._kept[name]

    def purchases(self) -> np.ndarray:
        """How often every item was bought. Shape: (n_items,)."""
        if "purchases" not in self._kept:
            self._kept["purchases"] = np.bincount(self._dataset().events[s.EVENT_ITEM], minlength=len(self._items))
        return self._kept["purchases"]

    def measured(self) -> pd.DataFrame | None:
        """Figures of the evaluation for each item (see `Vectors.measured`)."""
        workspace = self.vectors.workspace
        name = "measured-" + (workspace.stage("evaluation").fingerprint if workspace.has("evaluation") else "")
        if name not in self._kept:
            self._kept[name] = self.vectors.measured()
        return self._kept[name]

    def outcomes(self) -> dict[str, np.ndarray]:
        """Items by what the evaluation found for each task, in words → rows; empty where nothing was evaluated (see `Vectors.outcomes`)."""
        workspace = self.vectors.workspace
        name = "outcomes-" + (workspace.stage("evaluation").fingerprint if workspace.has("evaluation") else "")
        if name not in self._kept:
            self._kept[name] = self.vectors.outcomes()
        return self._kept[name]

    def outcome_split(self) -> str:
        """Which examples the evaluation asked about; "" where nothing was evaluated."""
        workspace = self.vectors.workspace
        return str(workspace.stage("evaluation").manifest["settings"].get("split", "")) if workspace.has("evaluation") else ""

    # neighbours --------------------------------------------------------------------------------------------------------

    def lists(self, space: str, report: Report = silent, cancel: CancelToken | None = None) -> np.ndarray:
        """The ten nearest of every item in the original space. Shape: (n_items, 10) int32, -1 padded."""
        name = f"nearest-{space}-{self.vectors.source(space)}"
        if name not in self._kept:
            stored = self.shelf.arrays(name)
            if stored is None or stored.get("rows", np.zeros(0)).shape != (len(self._items), K):
                rows, _ = neighbour_lists(self.index(space, report, cancel), K, report, cancel, f"neighbours of {space}")
                small = np.int16 if len(rows) < 2**15 else np.int32
                self.shelf.put_arrays(name, {"rows": rows.astype(small)})
                stored = {"rows": rows}
            self._kept[name] = stored["rows"].astype(np.int32)
        return self._kept[name]

    def listed(self, space: str) -> bool:
        """Whether the lists of a space are there, or can be while a page waits."""
        name = f"nearest-{space}-{self.vectors.source(space)}"
        there = name in self._kept or self.shelf.find(f"{name}.safetensors") is not None
        return there or (self.quick(space) and len(self._items) <= _AT_ONCE)

    def neighbours(self, space: str, row: int, k: int = K, others: Sequence[str] = ()) -> pd.DataFrame:
        """The k nearest of an item in the original space, with their similarity in other spaces too.

        Returns:
            row · item_id · title · category · department · price · the cosine in each space, by its name · for each of the others
            `<space>_rank`, the place that the neighbour has there (1 = nearest).
        """
        rows, _ = self.index(space).around(np.array([row]), k)
        near = rows[0][rows[0] >= 0]
        table = self._items.iloc[near][[s.ITEM, s.TITLE, s.CATEGORY, s.DEPARTMENT, s.PRICE]].reset_index(drop=True)
        table.insert(0, "row", near)
        for name in dict.fromkeys([space, *others]):
            vectors = self.index(name).vectors
            cos = vectors @ vectors[row]
            table[name] = cos[near]
            if name != space:
                cos[row] = -np.inf
                table[f"{name}_rank"] = [int((cos > cos[item]).sum()) + 1 for item in near]
        return table

    def agreement(self, left: str, right: str) -> np.ndarray:
        """Share of its ten nearest that an item keeps from one space to the other. Shape: (n_items,), NaN where absent."""
        return overlap(self.lists(left), self.lists(right))

    def moved(self, left: str, right: str, limit: int = 50) -> pd.DataFrame:
        """The items whose neighbours change most: row · item_id · title · category · department · kept · purchases.

        Of equals, those bought most come first.
        """
        items, kept = self._items, self.agreement(left, right)
        bought = self.purchases()
        order = np.lexsort([-bought, np.where(np.isfinite(kept), kept, 2.0)])[:limit]
        table = items.iloc[order][[s.ITEM, s.TITLE, s.CATEGORY, s.DEPARTMENT]].reset_index(drop=True)
        table.insert(0, "row", order)
        return table.assign(kept=kept[order], purchases=bought[order])

    # things that are no items ------------------------------------------------------------------------------------------

    def probe(self, space: str, text: str, settings: AtlasSettings, k: int = K) -> pd.DataFrame | None:
        """A typed text among the items of a space: its k nearest (row · cos), and in `attrs["xy"]` where it lies on the map.

        None in the behaviour space, since nobody ever bought a text.

        Raises:
            RequestError: an empty or very long text.
        """
        vector = self._of_text(space, text)
        if vector is None:
            return None
        rows, cos = self.index(space).nearest(vector, k)
        table = pd.DataFrame({"row": rows[0], "cos": cos[0]}).query("row >= 0")
        table = table.join(self._items[[s.ITEM, s.TITLE, s.CATEGORY]], on="row")
        xy = self.map(space, settings)
        table.attrs["xy"] = None if xy is None else place(vector, self.index(space), xy)[0].tolist()
        return table

    def path(self, user: str) -> pd.DataFrame:
        """What a shopper bought, oldest first: row · title · time · basket (1 = the first of those shown); the last 80 lines.

        Raises:
            RequestError: nobody has this id.
        """
        row = self._user_row(user)
        events = self._dataset().events  # sorted by user and time
        start, stop = np.searchsorted(events[s.EVENT_USER].to_numpy(), [row, row + 1])
        own = events.iloc[max(start, stop - _PATH) : stop]
        rows = own[s.EVENT_ITEM].to_numpy()
        return pd.DataFrame(
            {"row": rows, "title": self._items[s.TITLE].to_numpy()[rows], "time": pd.to_datetime(own[s.TIME]).to_numpy(),
             "basket": pd.factorize(own[s.STEP])[0] + 1}
        )  # fmt: skip

    def generation(self, answer: Recommendation, settings: AtlasSettings) -> pd.DataFrame:
        """The query vectors h_k of a recommendation, on the fused map, best prefix first.

        Each is placed among the items of its own prefix, since it is compared with no others (step 2); across prefixes the h_k of
        one prompt lie close together and would all be drawn on one spot.

        Returns:
            prefix · phi · x · y · nearest (row, inside the prefix) · cos.
        """
        vectors, queries, sids = self.index("fused").vectors, self.vectors.queries(answer), self.vectors.sids()
        kept, xy = kept_prefixes(answer), self.map("fused", settings)
        rows = []
        for prefix, codes, phi, query in zip(kept["prefix"], kept["codes"], kept["probability"], queries, strict=True):
            inside = np.arange(len(vectors)) if sids is None else np.flatnonzero((sids[:, : len(codes)] == codes).all(axis=1))
            own = Index(vectors[inside])
            near, cos = own.nearest(query[None], 1)
            x, y = (np.nan, np.nan) if xy is None else place(query[None], own, xy[inside])[0]
            rows.append((prefix, phi, x, y, int(inside[near[0, 0]]), float(cos[0, 0])))
        return pd.DataFrame(rows, columns=["prefix", "phi", "x", "y", "nearest", "cos"])

    # the report --------------------------------------------------------------------------------------------------------

    def report(self) -> dict[str, Any] | None:
        """The alignment report (see `grounding.agreement`) with the grounding stage's own figures as `views`; None until made."""
        stored = self.shelf.json(self.report_name())
        if not isinstance(stored, dict) or "overlap" not in stored:
            return None
        return {**stored, "views": self.vectors.workspace.stage("grounding").metrics.get("views") or []}

    def make_report(self, report: Report = silent, cancel: CancelToken | None = None) -> None:
        """Measure the alignment report over all spaces that are there, and keep it."""
        spaces = [name for name, reason in self.available().items() if not reason]
        lists = {space: self.lists(space, report, cancel) for space in spaces}
        vectors = {space: self.index(space, report, cancel).vectors for space in spaces}
        report(Progress("report", 0, 1, "counting what is bought together"))
        held, recall = self._together(vectors)
        pairs = {"same type": same_type(self._items[s.TYPE]), "bought together (held out)": held}
        self.shelf.put_json(self.report_name(), measure(vectors, lists, pairs, recall))

    def _together(self, vectors: dict[str, np.ndarray]) -> tuple[np.ndarray, dict[str, dict[str, Any]]]:
        """Held-out pairs of items bought together, and the recall@10 of them in each space."""
        from backend.data.split import split
        from backend.data.store import dataset_settings
        from backend.grounding import encoders, pairs

        dataset, workspace = self._dataset(), self.vectors.workspace
        train = split(dataset, dataset_settings(workspace)).train_events
        view = pairs.collaborative(encoders.count_together(dataset.events[train], dataset.n_items),
                                   int(workspace.stage("grounding").manifest.get("seed", 7)))  # fmt: skip
        known = pairs.positives([view], dataset.n_items)
        found = {name: pairs.held_recall(rows, view, dataset.n_items, known, K) for name, rows in vectors.items()}
        return view.held, {name: {"value": value, "n": n} for name, (value, n) in found.items()}

    def report_name(self) -> str:
        """The report's name on the shelf, by the stages that are there."""
        sources = [self.vectors.source(name) for name, reason in self.available().items() if not reason]
        return "report-" + fingerprint(sources)

    @property
    def _items(self) -> pd.DataFrame:
        return self._dataset().items
