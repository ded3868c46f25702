"""What the pages and the command line may ask for.

- One `Workbench` a process and workspace. It opens at once: manifests are read on demand, tables and model load when first
  asked for, or beforehand in a background thread (`warm`), so that a page is there before the model is.
- Everything it returns is plain: frames, small dataclasses, a `Trace`. Nothing here draws.
- Texts of the catalogue are returned as they are; whoever draws them escapes them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from backend.data import schema as s
from backend.errors import SigmascopeError, WorkspaceError
from backend.inspection import evidence, explain, health, opening, scores
from backend.inspection.answers import Comparison, Recommendation
from backend.inspection.jd import JdBench
from backend.inspection.judge import JudgeBench
from backend.inspection.lookup import Basket, Lookup, Shopper
from backend.inspection.sgrec import SgrecBench
from backend.judge.availability import why_missing
from backend.settings import FusionSettings
from backend.tokenization.prefixes import parse_prefix, prefix_name
from backend.workspace import DEMO, Workspace

if TYPE_CHECKING:  # these load torch; a page must not wait for them
    from backend.evaluation.fusion_lab import FusionLab
    from backend.generation.generator import Generator
    from backend.generation.request import Request
    from backend.generation.trace import Trace
    from backend.inspection.sids import Sids
    from backend.inspection.soft_parts import SoftParts
    from backend.inspection.space import LatentSpace
    from backend.progress import CancelToken, Report

__all__ = ["Basket", "Comparison", "Recommendation", "Shopper", "Workbench"]
OnStep = Callable[[str, dict], None]
DatasetLoader = Callable[[Workspace], s.Dataset]
GeneratorLoader = Callable[[Workspace, s.Dataset], Any]


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
        self._load_dataset, self._load_generator = (
            dataset_loader or opening.open_dataset,
            generator_loader or opening.open_generator,
        )
        # loading is done once, by whoever comes first; two locks, because a page that needs tables must not wait for the model
        self._dataset_lock, self._generator_lock = threading.Lock(), threading.Lock()
        self._dataset: s.Dataset | None = None
        self._lookup: Lookup | None = None
        self._generator: Any = None
        self._names: dict[int, pd.DataFrame] = {}
        self._space: LatentSpace | None = None
        self._labs: dict[str, FusionLab] = {}
        self._lab_lock = threading.Lock()
        self._sids: Sids | None = None
        self._tables: tuple[int, dict[str, pd.DataFrame]] = (0, {})
        self._fusion: tuple[int, FusionSettings] = (0, FusionSettings())

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

    def warm(self, delay: float = 0.0) -> None:
        """Start loading tables and model in the background, after `delay` seconds.

        A user's error is not lost: whoever asks for the model later gets it again.
        """

        def load() -> None:
            with suppress(SigmascopeError):
                self.generator()
                opening.set_aside()

        if not self.ready:
            thread = threading.Timer(delay, load)
            thread.daemon = True
            thread.start()

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
        written = (stage.path / "manifest.json").stat().st_mtime_ns
        if self._tables[0] != written:  # read once, until it is evaluated again
            names = [name for name in ("results", "differences", "timings") if (stage.path / f"{name}.parquet").is_file()]
            self._tables = (written, {name: stage.table(name) for name in names})
        return dict(self._tables[1])

    def quality(self, metric: str = "hr", k: int = 10) -> pd.DataFrame:
        """Ours and the best baseline by task (see `scores.headline`); empty when nothing was evaluated."""
        tables = self.evaluation()
        if tables is None:
            return scores.headline({})
        others = self.workspace.stage("evaluation").manifest.get("settings", {}).get("others") or ()
        return scores.headline(tables, metric, k, others=others)

    def evidence(self) -> evidence.Evidence:
        """Everything that was measured, of this workspace and in the result files."""
        return evidence.discover(self.workspace)

    def fusion(self) -> FusionSettings:
        """The fusion that the evaluation chose on validation, or the defaults where nothing was evaluated."""
        if not self.workspace.has("evaluation"):
            return FusionSettings()
        written = (self.workspace.path / "evaluation" / "manifest.json").stat().st_mtime_ns
        if self._fusion[0] != written:  # a page asks at every move of a knob: read once, until it is evaluated again
            self._fusion = (written, self._chosen())
        return self._fusion[1]

    def _chosen(self) -> FusionSettings:
        try:
            return FusionSettings(**{**self.workspace.stage("evaluation").json("fusion")["best"], "top": FusionSettings().top})
        except (ValidationError, KeyError, TypeError, WorkspaceError):
            return FusionSettings()

    # the fusion lab (see `lab`) -----------------------------------------------------------------------------------------

    def fusion_labs(self) -> dict[str, FusionLab]:
        """The fusion lab of each split; empty where no examples are stored.

        Raises:
            WorkspaceError: a stage is missing or damaged.
        """
        from backend.inspection import lab

        with self._lab_lock:
            if not self._labs:
                self._labs = lab.open_labs(self.workspace, self.dataset) or {}
            return self._labs

    def fusion_lab(self, split: str) -> FusionLab | None:
        """The fusion lab of one split."""
        return self.fusion_labs().get(split)

    def prepare_fusion_lab(self, households: int, report: Report, cancel: CancelToken) -> None:
        """Store the examples of so many households of each split (minutes).

        Raises:
            WorkspaceError: the model cannot be loaded, or the disk is full.
        """
        from backend.inspection import lab

        lab.prepare(self.workspace, self.generator(), self.fusion(), households, report, cancel)
        with self._lab_lock:
            self._labs = {}

    # looking up (see `Lookup`) ----------------------------------------------------------------------------------------

    @property
    def lookup(self) -> Lookup:
        """Lookups over the tables."""
        if self._lookup is None:
            self._lookup = Lookup(self.dataset)
        return self._lookup

    def shoppers(self, search: str = "", limit: int | None = None) -> pd.DataFrame:
        """Shoppers whose id or profile holds every word of `search`: user_id · profile · n_baskets · n_items."""
        return self.lookup.shoppers(search, limit)

    def example_shopper(self) -> str:
        """The fixed example shopper."""
        return self.lookup.example_shopper()

    def shopper(self, user_id: str, baskets: int = 3) -> Shopper:
        """One shopper with the last baskets."""
        return self.lookup.shopper(user_id, baskets)

    def departments(self) -> list[str]:
        """Departments, the one with most items first (this order binds the colours)."""
        return self.lookup.departments()

    def categories(self) -> pd.DataFrame:
        """Categories by name: category · department · n_items."""
        return self.lookup.categories()

    def items_search(self, text: str, limit: int = 12) -> pd.DataFrame:
        """Items whose title or category holds every word of `text`, those bought most first."""
        return self.lookup.items_search(text, limit)

    def item(self, item_id: str) -> dict[str, Any]:
        """Facts of one item (see `Lookup.item`), with its `sid` (None until the model is loaded)."""
        facts = self.lookup.item(item_id)
        return {**facts, "sid": prefix_name(self._generator.sids[facts["row"]]) if self.ready else None}

    def suggestions(self) -> list[str]:
        """A few instructions to try: of the tasks that the model was trained on."""
        from backend.instructions.trained import further_examples

        return [*self.lookup.suggestions, *further_examples(self.workspace)]

    def prefixes(self, levels: int = 1) -> pd.DataFrame:
        """What each prefix holds (see `explain.describe_prefixes`)."""
        if levels not in self._names:
            self._names[levels] = explain.describe_prefixes(self.dataset.items, np.asarray(self.generator().sids), levels)
        return self._names[levels]

    @property
    def space(self) -> LatentSpace:
        """The latent spaces (see `backend.inspection.space`)."""
        if self._space is None:
            from backend.inspection.space import LatentSpace
            from backend.inspection.vectors import Vectors

            vectors = Vectors(self.workspace, lambda: self.dataset, self.generator, lambda: self.ready)
            self._space = LatentSpace(vectors, lambda: self.dataset, lambda user: self.lookup.people.user_row(user))
        return self._space

    @cached_property
    def jd(self) -> JdBench:
        """The second recipe (see `JdBench`)."""
        return JdBench(self.workspace, lambda: self.dataset)

    @cached_property
    def judging(self) -> JudgeBench:
        """The judge and the policies (see `JudgeBench`)."""
        return JudgeBench(self.workspace, lambda: self.dataset, lambda: self.lookup.people, self.generator, self._listed)

    @cached_property
    def sgrec(self) -> SgrecBench:
        """The third recipe (see `SgrecBench`)."""
        return SgrecBench(self.workspace, lambda: self.dataset, Workbench)

    def judge_missing(self, lab: FusionLab | None = None) -> str:
        """Why the judge's score cannot be weighed into the fusion (of a lab's stored examples); "" where it can."""
        return why_missing(self.workspace, None if lab is None else lab.cases.judged)

    @property
    def sids(self) -> Sids:
        """Looking into the semantic IDs (see `Sids`); needs no model.

        Raises:
            WorkspaceError: grounding or tokens are missing, damaged or stale.
        """
        if self._sids is None:
            opening.import_heavy()
            from backend.inspection.sids import Sids

            self._sids = Sids(self.workspace, self.dataset.items, self.dataset.events, self.lookup.people.item_row)
        return self._sids

    def soft_parts(self, item_id: str) -> SoftParts:
        """What an item's soft token is made of (see `soft_parts`)."""
        from backend.inspection.soft_parts import soft_parts

        generator = self.generator()
        return soft_parts(generator.model, self.sids.row(item_id), generator.runner.soft)

    # recommending ------------------------------------------------------------------------------------------------------

    def read(self, instruction: str) -> Mapping[str, Any]:
        """What is understood of an instruction: `task`, `filters`, `unknown`."""
        return self.generator().read(instruction).as_json()

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
        table["sid"] = [prefix_name(sids[row]) for row in fused["item"]]
        levels = int(fused["prefix"].map(lambda name: len(parse_prefix(name))).max()) if len(fused) else 1
        names = self.prefixes(levels)
        past = self.lookup.people.resolve(request).history
        table["why"] = explain.why(fused["item"].tolist(), fused["prefix"].tolist(), fused["phi"].tolist(), self.dataset.items, past, names,
                                   dated=request.history is None)  # fmt: skip
        return table
