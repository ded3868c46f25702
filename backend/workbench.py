"""What the pages and the command line may ask for.

- One `Workbench` a process and workspace. It opens at once: manifests are read on demand, tables and model load when first
  asked for, or beforehand in a background thread (`warm`), so that a page is there before the model is.
- Everything it returns is plain: frames, small dataclasses, a `Trace`. Nothing here draws.
- Texts of the catalogue are returned as they are; whoever draws them escapes them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from backend import explain, health, scores
from backend.data import schema as s
from backend.errors import RequestError, WorkspaceError
from backend.frames import records
from backend.settings import FusionSettings
from backend.workspace import DEMO, Workspace

if TYPE_CHECKING:  # these load torch; a page must not wait for them
    from backend.generation.generator import Generator
    from backend.generation.request import Request
    from backend.generation.trace import Trace

OnStep = Callable[[str, dict], None]
DatasetLoader = Callable[[Workspace], s.Dataset]
GeneratorLoader = Callable[[Workspace, s.Dataset], Any]


@dataclass(frozen=True)
class Basket:
    """One past basket: when, and the items in it (`item_id`, `title`, `category`, `price`, `quantity`)."""

    time: pd.Timestamp
    items: pd.DataFrame


@dataclass(frozen=True)
class Shopper:
    """A shopper: the sentence that the model reads, the attributes, the last baskets (newest first)."""

    user_id: str
    profile: str
    attributes: Mapping[str, str]
    n_baskets: int
    n_items: int
    baskets: Sequence[Basket] = ()


@dataclass(frozen=True)
class Recommendation:
    """A list and how it came about.

    `items` has the columns rank · item (row) · item_id · title · department · category · type · path · price · score · phi ·
    cos · p_item · prefix · sid · why · seen · rank_without_apf, and the source texts.
    """

    items: pd.DataFrame
    trace: Trace
    reading: Mapping[str, Any]  # what was understood of the instruction: task, filters, unknown
    timings_ms: Mapping[str, float]
    notes: Sequence[str] = field(default_factory=tuple)


@dataclass(frozen=True)
class Comparison:
    """Two lists for the same shopper; `moves` aligns them: item_id · title · department · left · right (ranks, NaN if absent)."""

    left: Recommendation
    right: Recommendation
    moves: pd.DataFrame

    @classmethod
    def of(cls, left: Recommendation, right: Recommendation) -> Comparison:
        """Align two lists item by item, in the order of the right one."""
        columns = ["item_id", "title", "department", "rank"]
        both = left.items[columns].merge(right.items[columns], on="item_id", how="outer", suffixes=("_l", "_r"))
        moves = pd.DataFrame(
            {
                "item_id": both["item_id"],
                "title": both["title_l"].fillna(both["title_r"]),
                "department": both["department_l"].fillna(both["department_r"]),
                "left": both["rank_l"].astype(float),
                "right": both["rank_r"].astype(float),
            }
        )
        return cls(left, right, moves.sort_values(["right", "left"], ignore_index=True))

    @property
    def overlap(self) -> float:
        """Share of the items of the shorter list that are in both."""
        shorter = min(len(self.left.items), len(self.right.items))
        return float(self.moves[["left", "right"]].notna().all(axis=1).sum() / shorter) if shorter else 0.0


class Workbench:
    """A workspace, opened for looking into.

    Args:
        workspace: the folder of stages.
        dataset_loader: makes the tables; None = the dataset stage.
        generator_loader: makes the generator; None = the model stage.
    """

    def __init__(self, workspace: Workspace, dataset_loader: DatasetLoader | None = None,
                 generator_loader: GeneratorLoader | None = None) -> None:  # fmt: skip
        self.workspace = workspace
        self._load_dataset, self._load_generator = dataset_loader or _open_dataset, generator_loader or _open_generator
        # loading is done once, by whoever comes first; two locks, because a page that needs tables must not wait for the model
        self._dataset_lock, self._generator_lock = threading.Lock(), threading.Lock()
        self._dataset: s.Dataset | None = None
        self._generator: Any = None
        self._names: dict[int, pd.DataFrame] = {}

    @classmethod
    def open(cls, path: Path | str | None = None) -> Workbench:
        """Open a workspace; None opens the shipped demo. Cheap: nothing heavy is loaded.

        Raises:
            WorkspaceError: no such folder, or no workspace in it.
        """
        return cls(Workspace.open(path))

    # health and loading ------------------------------------------------------------------------------------------------

    def info(self) -> health.Info:
        """Stages, their state, settings and headline figures; from manifests alone."""
        return health.inspect(self.workspace, demo=self.workspace.path.resolve() == DEMO.resolve())

    @property
    def ready(self) -> bool:
        """Whether the model is loaded."""
        return self._generator is not None

    def warm(self) -> None:
        """Start loading tables and model in the background. Errors are kept for whoever asks for the model later."""

        def load() -> None:
            try:
                self.generator()
            except Exception:  # shown where it matters: the page that asks for the model gets the same error again
                return

        if not self.ready:
            threading.Thread(target=load, name="warm", daemon=True).start()

    @property
    def dataset(self) -> s.Dataset:
        """The tables, loaded once.

        Raises:
            WorkspaceError: the dataset stage is missing, damaged or stale.
        """
        with self._dataset_lock:
            if self._dataset is None:
                self._dataset = self._load_dataset(self.workspace)
            return self._dataset

    def generator(self) -> Generator:
        """The generator, loaded once.

        Raises:
            WorkspaceError: a stage that it needs is missing, damaged, stale or does not fit the others.
        """
        with self._generator_lock:
            if self._generator is None:
                self._generator = self._load_generator(self.workspace, self.dataset)
            return self._generator

    def evaluation(self) -> dict[str, pd.DataFrame] | None:
        """The tables of the evaluation stage by name; None when nothing was evaluated."""
        if not self.workspace.has("evaluation"):
            return None
        stage = self.workspace.stage("evaluation")
        return {path.stem: stage.table(path.stem) for path in sorted(stage.path.glob("*.parquet"))}

    def quality(self, metric: str = "hr", k: int = 10) -> pd.DataFrame:
        """Ours and the best baseline by task (see `scores.headline`); empty when nothing was evaluated."""
        return scores.headline(self.evaluation() or {}, metric, k)

    def fusion(self) -> FusionSettings:
        """The fusion that the model was shipped with (tuned on validation), or the defaults."""
        if not self.workspace.has("model"):
            return FusionSettings()
        settings = self.workspace.stage("model").manifest.get("settings", {}).get("fusion") or {}
        try:
            return FusionSettings(**settings)
        except ValidationError:
            return FusionSettings()

    def suggestions(self) -> list[str]:
        """A few instructions to try, with names from this catalogue: general, constrained, priced, exploratory."""
        events, items = self.dataset.events, self.dataset.items
        bought = items[s.CATEGORY].iloc[events[s.EVENT_ITEM]].value_counts()
        names = [str(name) for name in bought.index[[0, min(7, len(bought) - 1)]]] if len(bought) else ["snacks", "snacks"]
        return [
            "What should I put in my cart next?",
            f"I'm looking for something in {names[0].lower()}",
            f"{names[1].lower()} under $3",
            "surprise me with something I haven't been buying",
        ]

    # shoppers ----------------------------------------------------------------------------------------------------------

    def shoppers(self, search: str = "", limit: int | None = None) -> pd.DataFrame:
        """Shoppers whose id or profile holds every word of `search`: user_id · profile · n_baskets · n_items."""
        table = self._shopper_table()
        for word in search.casefold().split():
            found = table["profile"].str.casefold().str.contains(word, regex=False)
            table = table[found | (table["user_id"].str.casefold() == word)]
        return table if limit is None else table.head(limit)

    def example_shopper(self) -> str:
        """The fixed example: of the shoppers with attributes, the one with the median number of baskets (first by id)."""
        table = self._shopper_table()
        if table.empty:
            raise WorkspaceError("the workspace holds no shoppers", str(self.workspace.path), "build it from a table with events")
        described = table[table["known"]] if table["known"].any() else table
        nearest = (described["n_baskets"] - described["n_baskets"].median()).abs()
        return str(described.loc[nearest[nearest == nearest.min()].index, "user_id"].min())

    def shopper(self, user_id: str, baskets: int = 3) -> Shopper:
        """One shopper with the last baskets.

        Raises:
            RequestError: nobody has this id.
        """
        row = self._user_row(user_id)
        users, events = self.dataset.users, self._events_of(row)
        record = users.iloc[row]
        # an absent attribute is shown as absent by leaving it out, not as "nan"
        attributes = {
            str(name): str(record[name])
            for name in users.columns
            if name not in (s.USER, s.PROFILE) and pd.notna(record[name]) and str(record[name]).strip()
        }
        steps = events[s.STEP].drop_duplicates()
        last = [self._basket(events[events[s.STEP] == step]) for step in steps.iloc[::-1][:baskets]]
        return Shopper(str(record[s.USER]), str(record[s.PROFILE]), attributes, len(steps), len(events), last)

    def history(self, request: Request) -> explain.History:
        """What the request's shopper bought, after its own history and its dropped items are taken into account."""
        rows: np.ndarray = np.empty(0, int)
        days: np.ndarray = np.empty(0)
        if request.history is not None:
            rows = np.array([self._item_row(item) for item in request.history], int)
        elif request.user is not None:
            events = self._events_of(self._user_row(request.user))
            rows, times = events[s.EVENT_ITEM].to_numpy(dtype=int), pd.to_datetime(events[s.TIME])
            if len(times):
                days = (times.max().normalize() - times.dt.normalize()).dt.days.to_numpy(float)
        keep = ~np.isin(rows, [self._item_row(item) for item in request.dropped]) if request.dropped else np.ones(len(rows), bool)
        return explain.History(rows[keep], days[keep] if len(days) else days)

    # items -------------------------------------------------------------------------------------------------------------

    def departments(self) -> list[str]:
        """Departments, the one with most items first (this order binds the colours)."""
        return [str(name) for name in self.dataset.items[s.DEPARTMENT].value_counts(sort=True).index]

    def categories(self) -> pd.DataFrame:
        """Categories by name: category · department · n_items."""
        counts = self.dataset.items.value_counts([s.CATEGORY, s.DEPARTMENT]).reset_index(name="n_items")
        return counts.drop_duplicates(s.CATEGORY).sort_values(s.CATEGORY, ignore_index=True)

    def items_search(self, text: str, limit: int = 12) -> pd.DataFrame:
        """Items whose title or category holds every word of `text`, those bought most first; empty text finds nothing."""
        items, words = self.dataset.items, text.casefold().split()
        if not words:
            return items.iloc[:0]
        haystack = (items[s.TITLE] + " " + items[s.CATEGORY] + " " + items[s.ITEM]).str.casefold()
        mask = np.logical_and.reduce([haystack.str.contains(word, regex=False).to_numpy() for word in words])
        order = self._purchases().reindex(np.flatnonzero(mask), fill_value=0).sort_values(ascending=False, kind="stable")
        return items.iloc[order.index[:limit]]

    def item(self, item_id: str) -> dict[str, Any]:
        """Facts of one item: its row of the table, `sid` (None until the model is loaded), `purchases`, `shoppers`, `weekly`
        (week · purchases) and `siblings` (items of the same type bought most).

        Raises:
            RequestError: no item has this id.
        """
        row, items, events = self._item_row(item_id), self.dataset.items, self.dataset.events
        own = events[events[s.EVENT_ITEM] == row]
        weeks = pd.to_datetime(own[s.TIME]).dt.to_period("W").dt.start_time.value_counts().sort_index()
        same = np.flatnonzero((items[s.TYPE] == items[s.TYPE].iat[row]).to_numpy() & (np.arange(len(items)) != row))
        order = self._purchases().reindex(same, fill_value=0).sort_values(ascending=False, kind="stable").index[:5]
        return {
            **records(items.iloc[[row]])[0],
            "sid": explain.prefix_name(self._generator.sids[row]) if self.ready else None,
            "purchases": len(own),
            "shoppers": int(own[s.EVENT_USER].nunique()),
            "weekly": weeks.rename_axis("week").reset_index(name="purchases"),
            "siblings": items.iloc[order],
        }

    def prefixes(self, levels: int = 1) -> pd.DataFrame:
        """What each prefix holds (see `explain.describe_prefixes`)."""
        if levels not in self._names:
            self._names[levels] = explain.describe_prefixes(self.dataset.items, np.asarray(self.generator().sids), levels)
        return self._names[levels]

    # recommending ------------------------------------------------------------------------------------------------------

    def read(self, instruction: str) -> Mapping[str, Any]:
        """What is understood of an instruction: `task`, `filters`, `unknown`. The generator may know better (its trace wins)."""
        reader = getattr(self.generator(), "read", None)
        return dict(reader(instruction)) if reader else {}

    def recommend(self, request: Request, on_step: OnStep | None = None) -> Recommendation:
        """The list for a request, with its trace.

        Args:
            request: what is asked.
            on_step: called as each step ends, see `Generator.recommend`.

        Raises:
            RequestError: the request cannot be served.
        """
        started = time.perf_counter()
        trace = self.generator().recommend(request, on_step)
        items = self._listed(trace, request)
        timings = {**trace.timings_ms, "answer": round(1000 * (time.perf_counter() - started), 2)}
        reading = trace.request.get("reading") or self.read(request.instruction)
        return Recommendation(items, trace, reading, timings, tuple(trace.notes))

    def recommend_compare(self, left: Request, right: Request) -> Comparison:
        """Two requests, with their lists aligned item by item."""
        return Comparison.of(self.recommend(left), self.recommend(right))

    def _listed(self, trace: Trace, request: Request) -> pd.DataFrame:
        fused = trace.fused.sort_values("rank").head(request.fusion.top).reset_index(drop=True)
        facts = self.dataset.items.iloc[fused["item"]].reset_index(drop=True)
        sids = np.asarray(self.generator().sids)
        table = pd.concat([fused, facts.drop(columns=[s.TEXT])], axis=1)
        table["path"] = facts[s.DEPARTMENT] + " › " + facts[s.CATEGORY]
        table["sid"] = [explain.prefix_name(sids[row]) for row in fused["item"]]
        levels = int(fused["prefix"].map(lambda name: len(explain.prefix_codes(name))).max()) if len(fused) else 1
        names = self.prefixes(levels)
        table["why"] = explain.why(
            fused["item"].tolist(),
            fused["prefix"].tolist(),
            fused["phi"].tolist(),
            self.dataset.items,
            self.history(request),
            names,
        )
        return table

    # tables ------------------------------------------------------------------------------------------------------------

    def _shopper_table(self) -> pd.DataFrame:
        users, events = self.dataset.users, self.dataset.events
        by_user = events.groupby(s.EVENT_USER)
        attributes = [name for name in users.columns if name not in (s.USER, s.PROFILE)]
        return pd.DataFrame(
            {
                "user_id": users[s.USER],
                "profile": users[s.PROFILE],
                "n_baskets": by_user[s.STEP].nunique().reindex(users.index, fill_value=0),
                "n_items": by_user.size().reindex(users.index, fill_value=0),
                "known": users[attributes].fillna("").astype(bool).any(axis=1) if attributes else False,
            }
        )

    def _basket(self, events: pd.DataFrame) -> Basket:
        items = self.dataset.items.iloc[events[s.EVENT_ITEM]][[s.ITEM, s.TITLE, s.DEPARTMENT, s.CATEGORY, s.PRICE]]
        items = items.assign(quantity=events[s.QUANTITY].to_numpy()).reset_index(drop=True)
        return Basket(pd.Timestamp(events[s.TIME].iloc[0]), items)

    def _purchases(self) -> pd.Series:
        return self.dataset.events[s.EVENT_ITEM].value_counts()

    def _events_of(self, user: int) -> pd.DataFrame:
        events = self.dataset.events  # sorted by user
        start, stop = np.searchsorted(events[s.EVENT_USER].to_numpy(), [user, user + 1])
        return events.iloc[start:stop]

    def _user_row(self, user_id: str) -> int:
        found = np.flatnonzero((self.dataset.users[s.USER] == str(user_id)).to_numpy())
        if not len(found):
            raise RequestError(f"unknown shopper {str(user_id)[:60]!r}", mend="search for one on the Recommend page")
        return int(found[0])

    def _item_row(self, item_id: str) -> int:
        found = np.flatnonzero((self.dataset.items[s.ITEM] == str(item_id)).to_numpy())
        if not len(found):
            raise RequestError(f"unknown item {str(item_id)[:60]!r}", mend="find items by searching their titles")
        return int(found[0])


def _open_dataset(workspace: Workspace) -> s.Dataset:
    from backend.data.store import open_dataset

    return open_dataset(workspace)


def _open_generator(workspace: Workspace, dataset: s.Dataset) -> Any:
    from backend.generation.generator import load_generator

    return load_generator(workspace, dataset)
