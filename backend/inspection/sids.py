"""What the Semantic IDs page may ask for: the codebook tree, one item's path, an edited title, health, another tokenization.

- Needs the stages dataset, grounding and tokens; the model only for soft tokens, the evaluation only for hits and misses. What is missing is None,
  never an exception.
- Everything here is cheap once the arrays are read (milliseconds); the text encoder loads with the first typed title.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from backend.data import schema as s
from backend.errors import RequestError, WorkspaceError
from backend.evaluation import OURS
from backend.progress import CancelToken, Report
from backend.settings import ModelSettings, TokenSettings
from backend.tokenization import alarms, compare, tree
from backend.tokenization.choose import load_quantizer
from backend.tokenization.prefixes import parse_prefix, prefix_name
from backend.tokenization.quantizers import Quantizer
from backend.tokenization.residuals import ResidualPath, encode_beside, residual_path, shared_levels
from backend.tokenization.semantic_ids import health
from backend.tokenization.wording import TitleWords
from backend.workspace import Workspace, cache_dir, fingerprint

MAX_TITLE = 300

Ground = Callable[[Sequence[str]], np.ndarray]  # texts → grounded vectors, (n,) → (n, dim)


@dataclass(frozen=True)
class Placed:
    """A text and the semantic ID it gets.

    `before` and `after` are full SIDs ("" where there is no item to compare with); `changed` names the levels that differ; `cosine` is that of the
    grounded vectors before and after. `near` are the items nearest to the new vector: item_id · title · category · sid · cosine.
    """

    before: str
    after: str
    changed: tuple[int, ...]
    cosine: float
    displaced: bool  # the item stands in a first code that is not its nearest (the balance of the first level)
    path: ResidualPath
    near: pd.DataFrame


class Sids:
    """The semantic IDs of one workspace.

    Args:
        workspace: the folder of stages.
        items: the item table.
        events: the event table.
        row: id of an item → its row (`Shoppers.item_row`).
        ground: grounded vectors of texts; None = by the workspace's projection.

    Raises:
        WorkspaceError: tokens or grounding are missing, stale or damaged, or do not fit the item table.
    """

    def __init__(self, workspace: Workspace, items: pd.DataFrame, events: pd.DataFrame, row: Callable[[str], int],
                 ground: Ground | None = None) -> None:  # fmt: skip
        self.workspace, self.items, self.row = workspace, items, row
        tokens, grounding = workspace.fresh_stage("tokens"), workspace.fresh_stage("grounding")
        try:
            self.codes = tokens.arrays("store")["sids"].astype(np.int64)
            self.quantizer: Quantizer = load_quantizer(tokens.arrays("codebooks"))
            self.vectors = grounding.arrays("vectors")["text"].astype(np.float32)
        except KeyError as error:
            raise WorkspaceError(f"the semantic IDs lack {error}", str(workspace.path), "build the workspace again") from error
        if not len(items) == len(self.codes) == len(self.vectors):
            raise WorkspaceError(
                f"{len(self.codes)} semantic IDs and {len(self.vectors)} vectors for {len(items)} items", str(workspace.path),
                "build the workspace again",
            )  # fmt: skip
        stored = {key: value for key, value in tokens.manifest["settings"].items() if key in TokenSettings.model_fields}
        self.settings = TokenSettings(**stored)
        self.seed = int(tokens.manifest.get("seed", 7))
        self._ground, self._lock = ground, threading.Lock()
        self._counts: dict[tuple[str, str, str], pd.DataFrame | None] = {}
        self.purchases = np.bincount(events[s.EVENT_ITEM].to_numpy(), minlength=len(items))

    # the tree ----------------------------------------------------------------------------------------------------------

    @cached_property
    def tree(self) -> tree.CodeTree:
        """The codebook tree."""
        return tree.codebook_tree(self.codes, self.items, self.purchases)

    @cached_property
    def _sid_names(self) -> np.ndarray:
        return np.array([prefix_name(codes) for codes in self.codes.tolist()], object)

    @cached_property
    def words(self) -> TitleWords:
        """Word counts of all titles."""
        return TitleWords(self.items[s.TITLE].tolist())

    def node(self, name: str) -> str:
        """The node of a prefix as a link or a user writes it.

        Raises:
            RequestError: no such prefix, or no item has it.
        """
        try:
            found = prefix_name(parse_prefix(name))
        except ValueError:
            found = ""
        if found not in self.tree.nodes.index:
            raise RequestError(f"no item has the prefix {name[:40]!r}", mend="choose one from the tree")
        return found

    def members(self, node: str) -> pd.DataFrame:
        """Items of a node, those bought most first: item_id · title · department · category · price · purchases · sid."""
        rows = self.tree.rows(node)
        return self._table(rows[np.argsort(-self.purchases[rows], kind="stable")])

    def best_seller(self, node: str) -> str:
        """Id of the item of a node that was bought most."""
        rows = self.tree.rows(node)
        return str(self.items[s.ITEM].iat[rows[self.purchases[rows].argmax()]])

    def siblings(self, node: str, most: int = 6) -> pd.DataFrame:
        """Nearest codes beside a node (see `tree.siblings`)."""
        return tree.siblings(self.tree, node, self.quantizer.centroids, most)

    def typical_words(self, node: str, most: int = 8) -> pd.DataFrame:
        """Words that set a node's titles apart (see `TitleWords.typical`)."""
        return self.words.typical(self.tree.rows(node), most)

    def collisions(self) -> pd.DataFrame:
        """Full SIDs that several items share: sid · n_items · items."""
        return tree.collisions(self.codes, self.items[s.TITLE].tolist())

    # the evaluation -----------------------------------------------------------------------------------------------------

    @cached_property
    def counts(self) -> pd.DataFrame | None:
        """The evaluation's counts by item (recommender · task · view · item · targets · hits · shown); None where there are none."""
        if not self.workspace.has("evaluation") or self.workspace.stale("evaluation"):
            return None
        try:
            found = self.workspace.stage("evaluation").table("items")
        except WorkspaceError:
            return None
        return found if len(found) and int(found["item"].max()) < len(self.items) else None

    @cached_property
    def _by_item(self) -> dict[tuple[str, str, str], pd.DataFrame]:
        """The counts by (recommender, task, view), in the evaluation's order."""
        if self.counts is None:
            return {}
        parts = self.counts.groupby(["recommender", "task", "view"], sort=False)
        return {(str(name), str(task), str(view)): part[["item", *tree.COUNTS]] for (name, task, view), part in parts}

    @cached_property
    def _names(self) -> list[str]:
        return sorted(dict.fromkeys(name for name, _, _ in self._by_item), key=lambda name: name.casefold() != OURS.casefold())

    def measured(self) -> list[tuple[str, str]]:
        """(task, view) pairs with counts."""
        return list(dict.fromkeys((task, view) for _, task, view in self._by_item))

    def recommenders(self) -> list[str]:
        """Recommenders with counts, ours first."""
        return list(self._names)

    def hits(self, task: str, view: str, recommender: str | None = None) -> pd.DataFrame | None:
        """Recall inside every node (see `tree.with_counts`); None where nothing was counted."""
        name = recommender or next(iter(self.recommenders()), "")
        if (task, view, name) not in self._counts:
            own = self.item_hits(task, view, name)
            self._counts[task, view, name] = None if own is None else tree.with_counts(self.tree, own)
        return self._counts[task, view, name]

    def item_hits(self, task: str, view: str, recommender: str | None = None) -> pd.DataFrame | None:
        """Counts by item of one task and view: item · targets · hits · shown."""
        return self._by_item.get((recommender or next(iter(self._names), ""), task, view))

    # one item -----------------------------------------------------------------------------------------------------------

    def sid(self, row: int) -> str:
        """Full SID of an item row."""
        return str(self._sid_names[row])

    def path(self, row: int) -> ResidualPath:
        """How each level explains the item's vector."""
        return residual_path(self.quantizer.latent(self.vectors[row : row + 1])[0], self.codes[row], self.quantizer.centroids)

    def sharing(self, row: int, level: int) -> pd.DataFrame:
        """Other items that share exactly the first `level` codes, those bought most first (columns of `members`)."""
        same = shared_levels(self.codes, self.codes[row]) == level
        same[row] = False
        rows = np.flatnonzero(same)
        return self._table(rows[np.argsort(-self.purchases[rows], kind="stable")])

    def retitle(self, item_id: str | None, title: str) -> Placed:
        """The SID that an item would get under another title, or that a title alone would get (`item_id` None).

        The item's text is edited where it quotes the title; the rest (category, department) stays.

        Raises:
            RequestError: an empty or over-long title, or an unknown item.
        """
        title = " ".join(title.split())
        if not title or len(title) > MAX_TITLE:
            raise RequestError("the title is empty" if not title else f"the title is longer than {MAX_TITLE} characters")
        if item_id is None:
            vector = self._grounded(title)
            codes = self.quantizer.encode(vector[None])[0]
            return self._placed("", codes, vector, vector, False)
        row = self.row(item_id)
        old, text = str(self.items[s.TITLE].iat[row]), str(self.items[s.TEXT].iat[row])
        edited = text.replace(old, title) if old in text else title
        before = self.vectors[row]
        vector = before if edited == text else self._grounded(edited)
        latent = self.quantizer.latent(np.stack([vector, before]))
        codes = encode_beside(latent[0], latent[1], self.codes[row], self.quantizer.centroids)
        displaced = int(self.quantizer.encode(before[None])[0, 0]) != int(self.codes[row, 0])
        return self._placed(self.sid(row), codes, vector, before, displaced)

    def _placed(self, before: str, codes: np.ndarray, vector: np.ndarray, old: np.ndarray, displaced: bool) -> Placed:
        after = prefix_name(codes.tolist())
        pairs = zip(before.split("·"), after.split("·"), strict=True) if before else ()
        cos = self.vectors @ vector
        near = np.argsort(-cos, kind="stable")[:6]
        table = self._table(near).assign(cosine=cos[near])
        path = residual_path(self.quantizer.latent(vector[None])[0], codes, self.quantizer.centroids)
        changed = tuple(level + 1 for level, (one, two) in enumerate(pairs) if one != two)
        return Placed(before, after, changed, float(vector @ old), displaced, path, table)

    def _grounded(self, text: str) -> np.ndarray:
        """As the store holds it: rounded to half precision."""
        with self._lock:
            if self._ground is None:
                from backend.model.loading import text_grounder  # brings torch along

                ground = text_grounder(self.workspace)
                self._ground = lambda texts: ground(texts).numpy()
        return self._ground([text])[0].astype(np.float16).astype(np.float32)

    def _table(self, rows: np.ndarray) -> pd.DataFrame:
        columns = [s.ITEM, s.TITLE, s.DEPARTMENT, s.CATEGORY, s.PRICE]
        table = self.items.iloc[rows][columns].reset_index(drop=True)
        return table.assign(purchases=self.purchases[rows], sid=self._sid_names[rows])

    # health and comparison ------------------------------------------------------------------------------------------------

    @cached_property
    def health(self) -> dict[str, Any]:
        """The health report, counted now from the arrays."""
        return health(self.codes, self.quantizer, self.vectors, self.items[s.CATEGORY].tolist())

    def verdicts(self) -> list[alarms.Verdict]:
        """The health report judged (see `alarms`)."""
        levels, soft = None, None
        if self.workspace.has("model"):
            own = self.workspace.stage("model").manifest.get("settings", {}).get("model", {})
            known = {key: value for key, value in own.items() if key in ("prefix_levels", "soft_token")}
            model = ModelSettings(**known)
            levels, soft = model.prefix_levels, model.soft_token
        return alarms.verdicts(self.health, self.quantizer.centroids.shape[1], levels, soft)

    def this(self) -> compare.Tokenization:
        """The workspace's own tokenization."""
        return compare.Tokenization(compare.describe(self.settings), self.codes, self.health)

    def other_key(self, settings: TokenSettings, seed: int | None = None) -> str:
        """Key of another tokenization of the same vectors: everything it depends on."""
        own = {"grounding": self.workspace.stage("grounding").fingerprint, "seed": self.seed if seed is None else seed}
        return (
            f"tokens-{fingerprint({**own, 'settings': {name: getattr(settings, name) for name in TokenSettings.model_fields}})}"
        )

    def other_path(self, settings: TokenSettings, seed: int | None = None) -> Path:
        """Where another tokenization is kept."""
        return cache_dir() / "tokenizations" / f"{self.other_key(settings, seed)}.safetensors"

    def other(self, settings: TokenSettings, seed: int | None, report: Report, cancel: CancelToken) -> compare.Compared:
        """Make another tokenization (or read it) and hold this one against it. Long work: seconds to a minute.

        Raises:
            Cancelled: asked to stop.
        """
        made = compare.tokenize(
            self.vectors, self.items[s.CATEGORY].tolist(), settings, self.seed if seed is None else seed,
            self.other_path(settings, seed), report, cancel,
        )  # fmt: skip
        return compare.compare(self.this(), made)
