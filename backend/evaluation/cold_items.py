"""Items that training never saw, added by their vectors alone: are they found?

- A trained model gets them through `ItemStore.add`: the grounded vector of their text, the semantic ID that the codebooks give it,
  the names they go by; no behaviour, no statistics.
- Each household whose asked basket holds such items is asked; only they are right answers.
- *Among cold*: only the held items may be shown: does the model tell them apart? *Among all*: they compete with every item that has a
  past: does a new item get a chance?
- Baselines know texts and categories, since nothing else is known of a new item.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from backend.data import schema
from backend.data.schema import Dataset
from backend.evaluation import OURS, metrics
from backend.evaluation.baselines.base import Baseline, Floats, Recommender, history_matrix
from backend.evaluation.cases import Case
from backend.evaluation.components import compute
from backend.evaluation.protocol import DIFFERENCE_COLUMNS, RESULT_COLUMNS, difference_rows, result_rows
from backend.evaluation.sigma import SigmaRecommender
from backend.generation.generator import Generator
from backend.model.loading import listener, load_model, text_grounder
from backend.progress import CancelToken, Progress, Report, silent
from backend.settings import FusionSettings
from backend.tokenization.choose import load_quantizer
from backend.tokenization.item_store import NAMED, ItemStore
from backend.workspace import Workspace

AMONG_COLD, AMONG_ALL = "cold among cold", "cold among all"
_KS = (10, 20)


class TextOnly(Baseline):
    """The mean of the history's text vectors, against each item's.

    Args:
        vectors: Shape: (n_items, d), unit norm.
    """

    def __init__(self, dataset: Dataset, name: str, vectors: Floats) -> None:
        super().__init__(dataset)
        self.name, self.vectors = name, vectors.astype(np.float32)

    def scores(self, cases: Sequence[Case]) -> Floats:
        """Cosine to the mean, up to the mean's length, which ranks nothing."""
        return np.asarray(history_matrix(cases, self.n_items) @ self.vectors) @ self.vectors.T


class OwnCategories(Baseline):
    """How often the household bought from the item's category; text decides among items of one category."""

    name = "own categories"

    def __init__(self, dataset: Dataset, vectors: Floats) -> None:
        super().__init__(dataset)
        self.text = TextOnly(dataset, "", vectors)
        self.category = np.unique(dataset.items[schema.CATEGORY].fillna("").to_numpy(str), return_inverse=True)[1]

    def scores(self, cases: Sequence[Case]) -> Floats:
        """Purchases in the category, and less than one for the text."""
        bought = history_matrix(cases, self.n_items).toarray()
        counts = np.zeros((len(cases), self.category.max(initial=0) + 1), np.float32)
        np.add.at(counts.T, self.category, bought.T)
        text = self.text.scores(cases)
        length = np.abs(text).max(axis=1, keepdims=True, initial=1e-9)
        return counts[:, self.category] + 0.49 * (1 + text / length)


def joined_generator(workspace: Workspace, known: Dataset, joined: Dataset) -> Generator:
    """A workspace's model over a catalogue to which items have been added behind the known ones.

    Raises:
        WorkspaceError: a stage is missing, stale or damaged.
    """
    model = load_model(workspace, known)
    store: ItemStore = model.store
    new = joined.items.iloc[known.n_items :]
    text = text_grounder(workspace)(new[schema.TEXT].tolist()).numpy()
    codes = load_quantizer(workspace.stage("tokens").arrays("codebooks")).encode(text)
    model.set_store(store.add(text, codes, name_of=_names_of(known.items, new, store)))
    stage = workspace.stage("model")  # what is said of the new items is heard with their names in mind
    model.listen = listener(
        workspace, joined, stage.arrays("demand"), stage.arrays("pools"), stage.manifest["settings"]["train"]["tasks"]
    )
    return Generator(model.eval(), joined)


def _names_of(known: pd.DataFrame, new: pd.DataFrame, store: ItemStore) -> np.ndarray:
    """Rows of the store's names that new items go by; -1 where no known item goes by it. Shape: (m, len(NAMED))."""
    out = np.full((len(new), len(NAMED)), -1, np.int64)
    for place, column in enumerate(NAMED):
        row_of = dict(zip(known[column].fillna(""), store.name_of[:, place].tolist(), strict=True))
        out[:, place] = [row_of.get(name, -1) for name in new[column].fillna("")]
    return out


def cold_cases(cases: Sequence[Case], held: np.ndarray, among_cold: bool) -> list[Case]:
    """The cases whose baskets hold held items, with these as their right answers.

    Shape:
        held: (n_items,) bool.
    """
    out = []
    for case in cases:
        own = case.wanting(held)
        if own is None:
            continue
        allowed = (held if case.allowed is None else held & case.allowed) if among_cold else case.allowed
        out.append(replace(own, allowed=allowed))
    return out


def measure_cold_items(
    generator: Generator,
    cases: Sequence[Case],
    held: np.ndarray,
    baselines: Sequence[Recommender],
    fusion: FusionSettings,
    seed: int,
    resamples: int,
    report: Report = silent,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """HR@10, HR@20, recall@20 and the mean rank of held items (0 = first, 0.5 = as by chance), among cold and among all.

    Args:
        cases: of all tasks, over the generator's dataset.
        held: Shape: (n_items,) bool.

    Returns:
        results and differences (ours minus each baseline), JSON-able.
    """
    n_items = len(held)
    asked = cold_cases(cases, held, among_cold=False)
    components = compute(generator, asked, report=report, cancel=cancel)
    every = fusion.model_copy(update={"beams": 4096, "per_prefix": n_items, "top1_prefix": False})  # the whole ranking is wanted
    results: list[list[Any]] = []
    differences: list[list[Any]] = []
    for view, among_cold in ((AMONG_COLD, True), (AMONG_ALL, False)):
        # among all, the model reads the constraint and the baselines are told it, as everywhere
        models = [SigmaRecommender(OURS, generator, components, every, filtered=among_cold), *baselines]
        views = cold_cases(cases, held, among_cold)
        for task in dict.fromkeys(case.task for case in views):
            chosen = [case for case in views if case.task == task]
            values: dict[str, Mapping[tuple[str, int], np.ndarray]] = {}
            for model in models:
                if cancel:
                    cancel.check()
                values[model.name] = _measured(model, chosen, n_items)
                report(Progress("cold items", len(values), len(models), f"{model.name} · {task} · {view}"))
            everyone = np.ones(len(chosen), bool)
            results += result_rows(values, everyone, [task, view, "all"], resamples, seed)
            for reference in values:
                if reference != OURS:
                    pair = {name: values[name] for name in (OURS, reference)}
                    differences += difference_rows(pair, reference, [task, view], resamples, seed)
    return {
        "results": pd.DataFrame(results, columns=RESULT_COLUMNS).to_dict("records"),
        "differences": pd.DataFrame(differences, columns=DIFFERENCE_COLUMNS).to_dict("records"),
    }


def _measured(model: Recommender, cases: Sequence[Case], n_items: int, batch: int = 128) -> dict[tuple[str, int], np.ndarray]:
    """Figures of each case, in parts: the lists are as long as the catalogue."""
    parts: list[dict[tuple[str, int], np.ndarray]] = []
    for start in range(0, len(cases), batch):
        chosen = cases[start : start + batch]
        lists = model.recommend(chosen, n_items)
        figures = metrics.accuracy(lists, [case.targets for case in chosen], np.zeros(n_items), _KS)
        parts.append({key: figures[key] for key in figures if key[0] in ("hr", "recall", "ndcg")})
        parts[-1]["rank", n_items] = mean_rank(lists, chosen)
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def mean_rank(lists: np.ndarray, cases: Sequence[Case]) -> np.ndarray:
    """Where the targets stand among the legal items, on average: 0 = first, 1 = last; what is not listed shares the places behind.

    Shape:
        lists: (n, n_items), -1 = empty place; returns: (n,), NaN where one item alone is legal.
    """
    out = np.full(len(cases), np.nan)
    for row, (items, case) in enumerate(zip(lists, cases, strict=True)):
        legal = case.legal(lists.shape[1])
        pool = int(legal.sum())
        if pool < 2:
            continue
        shown = items[items >= 0]
        shown = shown[legal[shown]]
        place = np.full(lists.shape[1], (len(shown) + pool - 1) / 2)  # the mean of the places that are left
        place[shown] = np.arange(len(shown))
        out[row] = place[case.targets].mean() / (pool - 1)
    return out
