"""The protocol: all recommenders on the same cases in one run, every figure with its n and interval.

- Each (task, view) is asked once of each recommender; lists are checked (shape, repeats, range) before they are measured.
- Intervals and paired differences come from the same bootstrap resamples, so a table and its differences agree.
- The per-example values are kept: any further pair of recommenders can be compared later without asking the model again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from backend.data.schema import Dataset
from backend.data.split import Split
from backend.evaluation import metrics
from backend.evaluation.baselines.base import Recommender
from backend.evaluation.cases import SLICES, Case, activity_slices
from backend.evaluation.intervals import RESAMPLES, Interval, difference, intervals
from backend.evaluation.views import VIEWS, view_cases
from backend.progress import CancelToken, Progress, Report, silent
from backend.workspace import provenance

RESULT_COLUMNS = ["recommender", "task", "view", "slice", "metric", "k", "mean", "low", "high", "n"]
DIFFERENCE_COLUMNS = ["recommender", "reference", "task", "view", "metric", "k", "diff", "low", "high", "n"]
ITEM_COLUMNS = ["recommender", "task", "view", "item", "targets", "hits", "shown"]
ITEMS_AT = 10  # length of the lists that the counts by item look at
TIMING_COLUMNS = ["recommender", "task", "view", "n", "seconds"]
REFERENCES = ("popularity", "own frequency", "own frequency + popularity", "ALS")  # the last two: hardest on all, on new
_KEYS = ["recommender", "task", "view"]


@dataclass(frozen=True)
class Evaluation:
    """Everything measured in one run.

    Frames:
        results      recommender · task · view · slice · metric · k · mean · low · high · n   (coverage has no interval)
        differences  recommender · reference · task · view · metric · k · diff · low · high · n   (paired, slice "all")
        examples     recommender · task · view · user · slice · one column a metric ("hr@10"); the order is the cases'
        timings      recommender · task · view · n · seconds
        items        recommender · task · view · item (row) · targets · hits · shown: how many cases wanted the item, how many of them got
                     it in their first 10, how many lists showed it; of the references alone, items without any count left out
    """

    results: pd.DataFrame
    differences: pd.DataFrame
    examples: pd.DataFrame
    timings: pd.DataFrame
    items: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=ITEM_COLUMNS))
    about: dict[str, Any] = field(default_factory=dict)  # provenance, seed, resamples, tuned settings …

    def compare(self, ours: str, theirs: str, task: str, metric: str, k: int, view: str = "all") -> Interval:
        """Paired difference of any two recommenders of this run."""
        chosen = self.examples[(self.examples["task"] == task) & (self.examples["view"] == view)]
        column = f"{metric}@{k}"
        first, second = (chosen.loc[chosen["recommender"] == name, column].to_numpy(float) for name in (ours, theirs))
        return difference(first, second, resamples=self.about.get("resamples", RESAMPLES), seed=self.about.get("seed", 7))

    def write(self, folder: Path) -> None:
        """Write five parquet tables and `evaluation.json` (the provenance) into an existing folder."""
        for name in ("results", "differences", "examples", "timings", "items"):
            getattr(self, name).to_parquet(folder / f"{name}.parquet", index=False)
        (folder / "evaluation.json").write_text(json.dumps(self.about, indent=1, default=str), "utf-8")


def evaluate(
    recommenders: Sequence[Recommender],
    cases: Sequence[Case],
    dataset: Dataset,
    split: Split,
    ks: Sequence[int] = metrics.KS,
    vectors: npt.NDArray[np.floating] | None = None,
    references: Sequence[str] = REFERENCES,
    views: Mapping[str, Sequence[str]] = VIEWS,
    resamples: int = RESAMPLES,
    seed: int = 7,
    report: Report = silent,
    cancel: CancelToken | None = None,
    about: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Ask every recommender every case and measure the answers.

    Args:
        recommenders: with distinct names.
        cases: from `build_cases`, of one split.
        dataset: the tables.
        split: says which events the item facts (novelty, tail) may be counted on.
        ks: list lengths.
        vectors: Shape: (n_items, dim), item vectors for intra-list diversity; None = diversity is left out.
        references: names of recommenders to take paired differences from; names that are absent are skipped.
        views: the views of each task.
        resamples: bootstrap resamples.
        seed: seed of the bootstrap.
        report: one event a (recommender, task, view).
        cancel: checked before each of them.
        about: anything to keep beside the provenance (split name, tuned settings …).

    Raises:
        ValueError: a recommender breaks the interface, or two bear one name.
    """
    names = [recommender.name for recommender in recommenders]
    if len(set(names)) != len(names):
        raise ValueError(f"two recommenders bear one name: {names}")
    facts = metrics.catalogue(dataset, np.asarray(split.train_events), vectors)
    slices = _slices(cases)
    rounds = list(view_cases(cases, views))
    results: list[list[Any]] = []
    differences: list[list[Any]] = []
    examples: list[pd.DataFrame] = []
    timings: list[list[Any]] = []
    by_item: list[pd.DataFrame] = []
    total = len(rounds) * len(recommenders)
    for task, view, chosen in rounds:
        own_slice = np.array([slices[case.user, case.start] for case in chosen])
        values: dict[str, dict[tuple[str, int], npt.NDArray[np.floating]]] = {}
        for recommender in recommenders:
            if cancel is not None:
                cancel.check()
            began = time.perf_counter()
            lists = check_lists(recommender.recommend(chosen, max(ks)), len(chosen), max(ks), dataset.n_items, recommender.name)
            timings.append([recommender.name, task, view, len(chosen), time.perf_counter() - began])
            measured = measure(lists, chosen, facts, ks)
            values[recommender.name] = measured
            if recommender.name in references:
                counts = metrics.by_item(lists[:, :ITEMS_AT], [case.targets for case in chosen], dataset.n_items)
                by_item.append(counts.assign(recommender=recommender.name, task=task, view=view)[ITEM_COLUMNS])
            table = pd.DataFrame({f"{metric}@{k}": column for (metric, k), column in measured.items()}, dtype=np.float32)
            table.insert(0, "slice", own_slice)
            table.insert(0, "user", [case.user for case in chosen])
            for position, key in enumerate((recommender.name, task, view)):
                table.insert(position, _KEYS[position], key)
            examples.append(table)
            results += [
                [
                    recommender.name,
                    task,
                    view,
                    "all",
                    "coverage",
                    k,
                    metrics.coverage(lists, dataset.n_items, k),
                    np.nan,
                    np.nan,
                    len(lists),
                ]
                for k in ks
            ]
            done = len(timings)
            report(Progress("evaluate", done, total, f"{recommender.name} · {task} · {view}", _headline(measured)))
        for name in ("all", *SLICES):
            rows = np.ones(len(chosen), bool) if name == "all" else own_slice == name
            results += result_rows(values, rows, [task, view, name], resamples, seed)
        for reference in references:
            differences += difference_rows(values, reference, [task, view], resamples, seed)
    kept = {**provenance(), "seed": seed, "resamples": resamples, "ks": list(ks), "references": list(references), **(about or {})}
    return Evaluation(
        pd.DataFrame(results, columns=RESULT_COLUMNS),
        pd.DataFrame(differences, columns=DIFFERENCE_COLUMNS),
        pd.concat(examples, ignore_index=True) if examples else pd.DataFrame(columns=[*_KEYS, "user", "slice"]),
        pd.DataFrame(timings, columns=TIMING_COLUMNS),
        pd.concat(by_item, ignore_index=True) if by_item else pd.DataFrame(columns=ITEM_COLUMNS),
        kept,
    )


def measure(
    lists: metrics.Ints, cases: Sequence[Case], facts: metrics.Catalogue, ks: Sequence[int] = metrics.KS
) -> dict[tuple[str, int], npt.NDArray[np.floating]]:
    """All per-example metrics of the lists that answer `cases`: {(metric, K): Shape: (n,)}."""
    return {
        **metrics.accuracy(lists, [case.targets for case in cases], facts.price, ks),
        **metrics.listwise(lists, facts, [case.allowed for case in cases], ks),
    }


def check_lists(lists: metrics.Ints, n: int, k: int, n_items: int, name: str) -> metrics.Ints:
    """The lists as they are, if they keep the interface.

    Raises:
        ValueError: wrong shape, an item row out of range, or an item twice in a list.
    """
    lists = np.asarray(lists)
    if lists.shape != (n, k):
        raise ValueError(f"{name}: {lists.shape} lists instead of {(n, k)}")
    if lists.size and (lists.min() < -1 or lists.max() >= n_items):
        raise ValueError(f"{name}: an item row outside -1 … {n_items - 1}")
    ordered = np.sort(lists, axis=1)
    if ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any():
        raise ValueError(f"{name}: an item stands twice in a list")
    return lists


def _slices(cases: Sequence[Case]) -> dict[tuple[int, int], str]:
    """Activity slice of each example; thirds over the distinct examples, so all tasks share one cut."""
    baskets = {(case.user, case.start): case.baskets for case in cases}
    return dict(zip(baskets, activity_slices(list(baskets.values())).tolist(), strict=True))


def _headline(measured: Mapping[tuple[str, int], npt.NDArray[np.floating]]) -> dict[str, float]:
    return {
        f"{metric}@{k}": float(np.nanmean(measured[metric, k]))
        for metric, k in (("hr", 10), ("ndcg", 10))
        if (metric, k) in measured
    }


def result_rows(
    values: Mapping[str, Mapping[tuple[str, int], npt.NDArray[np.floating]]],
    rows: npt.NDArray[np.bool_],
    where: list[str],
    resamples: int,
    seed: int,
) -> list[list[Any]]:
    """Result rows of one slice: all recommenders and metrics from the same resamples."""
    keys = [(name, *key) for name, measured in values.items() for key in measured]
    if not keys or not rows.any():
        return []
    stacked = np.stack([values[name][metric, k][rows] for name, metric, k in keys], axis=1)  # (n, recommenders · metrics)
    found = intervals(stacked, resamples, seed=seed)
    return [
        [name, *where, metric, k, each.mean, each.low, each.high, each.n]
        for (name, metric, k), each in zip(keys, found, strict=True)
        if each.n
    ]


def difference_rows(
    values: Mapping[str, Mapping[tuple[str, int], npt.NDArray[np.floating]]],
    reference: str,
    where: list[str],
    resamples: int,
    seed: int,
) -> list[list[Any]]:
    """Paired differences of all other recommenders from one reference."""
    if reference not in values:
        return []
    keys = [(name, *key) for name, measured in values.items() if name != reference for key in measured]
    if not keys:
        return []
    stacked = np.stack([values[name][metric, k] - values[reference][metric, k] for name, metric, k in keys], axis=1)
    found = intervals(stacked, resamples, seed=seed)
    return [
        [name, reference, *where, metric, k, each.mean, each.low, each.high, each.n]
        for (name, metric, k), each in zip(keys, found, strict=True)
        if each.n
    ]
