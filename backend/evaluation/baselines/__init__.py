"""Baselines by name; adding one is a file and an entry here.

The defaults in the constructors are what `tuning.tune` chose on the validation baskets of Complete Journey.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from backend.data.schema import Dataset
from backend.data.split import Split
from backend.errors import RequestError
from backend.evaluation.baselines.als import ALS
from backend.evaluation.baselines.base import Baseline, Recommender
from backend.evaluation.baselines.frequency import OwnFrequency, OwnFrequencyPopularity
from backend.evaluation.baselines.item_knn import ItemKNN
from backend.evaluation.baselines.popularity import Popularity, RecentPopularity
from backend.evaluation.baselines.sasrec import SASRec
from backend.progress import CancelToken, Progress, Report, silent

__all__ = ["BASELINES", "Baseline", "Recommender", "fit", "fit_all", "known"]

BASELINES: Mapping[str, type[Baseline]] = {
    baseline.name: baseline
    for baseline in (Popularity, RecentPopularity, OwnFrequency, OwnFrequencyPopularity, ItemKNN, ALS, SASRec)
}


def known(name: str) -> type[Baseline]:
    """The baseline of this name.

    Raises:
        RequestError: unknown name.
    """
    if name not in BASELINES:
        raise RequestError(f"unknown baseline {name!r}", mend=f"choose one of: {', '.join(BASELINES)}")
    return BASELINES[name]


def fit(
    name: str,
    dataset: Dataset,
    split: Split,
    settings: Mapping[str, Any] | None = None,
    report: Report = silent,
    cancel: CancelToken | None = None,
) -> Baseline:
    """One baseline, fitted on the training events.

    Args:
        name: a name in `BASELINES`.
        dataset: the tables.
        split: says which events are for training.
        settings: keyword arguments of its constructor; None = its defaults.
        report: told of progress where fitting takes long.
        cancel: checked where fitting takes long.

    Raises:
        RequestError: unknown name.
    """
    kind: Any = known(name)
    live = {"report": report, "cancel": cancel} if "report" in inspect.signature(kind).parameters else {}
    baseline: Baseline = kind(dataset, split, **(settings or {}), **live)
    return baseline


def fit_all(
    dataset: Dataset,
    split: Split,
    names: Sequence[str] | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    report: Report = silent,
    cancel: CancelToken | None = None,
) -> list[Baseline]:
    """Several baselines (default: all), each with its own settings where given."""
    chosen = list(names or BASELINES)
    fitted = []
    for done, name in enumerate(chosen):
        if cancel is not None:
            cancel.check()
        report(Progress("baselines", done, len(chosen), f"fitting {name}"))
        fitted.append(fit(name, dataset, split, (settings or {}).get(name), report, cancel))
    report(Progress("baselines", len(chosen), len(chosen), "baselines fitted"))
    return fitted
