"""Households of whom only the profile is known: the same questions with the history taken away.

Ours is compared with popularity, with itself knowing not even the profile, and with itself knowing all: what a profile is worth, and what a history.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from backend.data import schema
from backend.data.households import UNKNOWN
from backend.evaluation import OURS
from backend.evaluation.baselines import fit
from backend.evaluation.cases import Case
from backend.evaluation.components import compute
from backend.evaluation.protocol import evaluate
from backend.evaluation.questions import Questions
from backend.evaluation.sigma import SigmaRecommender
from backend.evaluation.stored_lists import StoredLists, ask
from backend.frames import records
from backend.generation.generator import Generator
from backend.progress import CancelToken, Report, silent
from backend.settings import FusionSettings

PROFILE_ONLY, KNOWN_PROFILE = "profile only", "profile only, demographics known"
_BASELINES = ("popularity", "recent popularity")


def without_history(case: Case) -> Case:
    """The case as of a household that has bought nothing yet."""
    none = np.zeros(0, np.int64)
    return replace(case, history=none, ages=np.zeros(0), baskets=0, new_targets=none)


def without_profiles(generator: Generator) -> Generator:
    """The generator as it is, but no household has a profile."""
    nobody = copy.copy(generator)
    nobody.shoppers = copy.copy(generator.shoppers)  # who answers for the prompt's profile
    nobody.shoppers.profiles = pd.Series("", index=generator.shoppers.profiles.index)
    return nobody


def measure_cold_users(
    generator: Generator, asked: Questions, fusion: FusionSettings, report: Report = silent, cancel: CancelToken | None = None
) -> dict[str, Any]:
    """Results and differences (ours minus each), JSON-able; once over all households, once over those whose demographics are known."""
    cold = [without_history(case) for case in asked.asked]
    ways: list[tuple[str, Generator, Sequence[Case]]] = [
        (OURS, generator, cold),
        (f"{OURS}, not even the profile", without_profiles(generator), cold),
        (f"{OURS}, with the history", generator, asked.asked),
    ]
    lists: list[StoredLists] = []
    for name, model, cases in ways:
        components = compute(model, cases, report=report, cancel=cancel)
        told = ask([SigmaRecommender(name, model, components, fusion)], cases, report, cancel)[0]
        lists.append(told)
    lists += ask(
        [fit(name, asked.dataset, asked.parts, report=report, cancel=cancel) for name in _BASELINES], cold, report, cancel
    )
    known = ~asked.dataset.users[schema.PROFILE].isin(["", UNKNOWN]).to_numpy()
    results: list[dict[str, Any]] = []
    differences: list[dict[str, Any]] = []
    for view, chosen in ((PROFILE_ONLY, cold), (KNOWN_PROFILE, [case for case in cold if known[case.user]])):
        if not chosen:
            continue
        names = [each.name for each in lists]
        run = evaluate(lists, chosen, asked.dataset, asked.parts, references=names[1:], report=report, cancel=cancel)
        table, pairs = run.results, run.differences
        table = table[(table["slice"] == "all") & table["metric"].isin(["hr", "ndcg", "constraint"]) & table["k"].isin([10, 20])]
        pairs = pairs[(pairs["recommender"] == OURS) & pairs["metric"].isin(["hr", "ndcg"]) & (pairs["k"] == 10)]
        results += records(table.assign(view=view))
        differences += records(pairs.assign(view=view))
    return {"results": results, "differences": differences}
