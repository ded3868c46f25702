from __future__ import annotations

import inspect
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from backend.data.schema import Dataset
from backend.data.split import Split, split
from backend.errors import Cancelled, RequestError
from backend.evaluation.baselines import BASELINES, Baseline, fit, fit_all
from backend.evaluation.baselines.base import history_matrix, top_k
from backend.evaluation.baselines.item_knn import basket_cosine
from backend.evaluation.cases import Case, build_cases
from backend.evaluation.tuning import tune
from backend.evaluation.views import view_cases
from backend.instructions.tasks import registry
from backend.progress import CancelToken

from .conftest import SETTINGS

QUICK = {"SASRec": {"dim": 16, "layers": 1, "epochs": 2, "length": 12}, "ALS": {"factors": 8, "iterations": 3}}


@pytest.fixture(scope="module")
def baselines(dataset: Dataset, parts: Split) -> list[Baseline]:
    return fit_all(dataset, parts, settings=QUICK)


def test_top_k_equals_sorting() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 6, (50, 20)).astype(float)  # many ties
    scores[rng.random(scores.shape) < 0.3] = -np.inf
    for k in (1, 7, 20, 25):
        found = top_k(scores, k)
        for row in range(50):
            order = sorted((-value, column) for column, value in enumerate(scores[row]) if value > -np.inf)[:k]
            expected = [column for _, column in order]
            assert found[row].tolist() == expected + [-1] * (k - len(expected))
    assert top_k(np.zeros((0, 4)), 3).shape == (0, 3)


def test_lists_are_legal_padded_and_without_repeats(dataset: Dataset, cases: list[Case], baselines: list[Baseline]) -> None:
    for baseline in baselines:
        for _, _, chosen in view_cases(cases):
            lists = baseline.recommend(chosen, 10)
            assert lists.shape == (len(chosen), 10)
            for case, row in zip(chosen, lists, strict=True):
                real = row[row >= 0]
                legal = case.legal(dataset.n_items)
                assert len(set(real.tolist())) == len(real) == min(10, legal.sum()), baseline.name
                assert legal[real].all()
                assert (row[len(real) :] == -1).all()


def test_empty_constraint_gives_an_empty_list(dataset: Dataset, cases: list[Case], baselines: list[Baseline]) -> None:
    none = replace(cases[0], allowed=np.zeros(dataset.n_items, bool))
    for baseline in baselines:
        assert (baseline.recommend([none], 5) == -1).all()
        assert baseline.recommend([], 5).shape == (0, 5)


def test_no_history_still_gets_a_list(cases: list[Case], baselines: list[Baseline]) -> None:
    stranger = replace(cases[0], history=np.zeros(0, np.int64), ages=np.zeros(0), baskets=0)
    for baseline in baselines:
        assert (baseline.recommend([stranger], 5) >= 0).all(), baseline.name


def test_deterministic(dataset: Dataset, parts: Split, cases: list[Case], baselines: list[Baseline]) -> None:
    again = fit_all(dataset, parts, settings=QUICK)
    for first, second in zip(baselines, again, strict=True):
        assert (first.recommend(cases, 10) == second.recommend(cases, 10)).all(), first.name


def test_nothing_after_training_is_learned(dataset: Dataset, parts: Split, cases: list[Case], baselines: list[Baseline]) -> None:
    """Whatever happens from validation_start on, the fitted baselines stay the same; only a case's own history counts."""
    late = dataset.events["time"] >= pd.Timestamp(SETTINGS.validation_start)
    assert late.any()
    shuffled = dataset.events.copy()
    shuffled.loc[late, "item"] = np.random.default_rng(9).permutation(shuffled.loc[late, "item"].to_numpy())
    other = Dataset(dataset.name, dataset.items, dataset.users, shuffled, dataset.queries)
    for before, after in zip(baselines, fit_all(other, split(other, SETTINGS), settings=QUICK), strict=True):
        assert (before.recommend(cases, 10) == after.recommend(cases, 10)).all(), before.name


def test_targets_do_not_matter(cases: list[Case], baselines: list[Baseline]) -> None:
    blind = [replace(case, targets=np.zeros(0, np.int64), new_targets=np.zeros(0, np.int64), stop=case.start) for case in cases]
    for baseline in baselines:
        assert (baseline.recommend(cases, 10) == baseline.recommend(blind, 10)).all(), baseline.name


def test_popularity_by_hand(dataset: Dataset, parts: Split, cases: list[Case]) -> None:
    counts = dataset.events[parts.train_events]["item"].value_counts().reindex(range(dataset.n_items), fill_value=0)
    expected = sorted(range(dataset.n_items), key=lambda item: (-counts[item], item))[:10]
    free = replace(cases[0], allowed=None)
    assert fit("popularity", dataset, parts).recommend([free], 10)[0].tolist() == expected
    recent = fit("recent popularity", dataset, parts, {"days": 14})
    train = dataset.events[parts.train_events]
    window = train[train["time"] >= train["time"].max() - pd.Timedelta(days=14)]
    assert recent.recommend([free], 1)[0, 0] in window["item"].mode().tolist()


def test_own_frequency_by_hand(dataset: Dataset, parts: Split, cases: list[Case]) -> None:
    case = replace(cases[0], allowed=None, history=np.array([5, 6, 6, 7]), ages=np.array([40.0, 40.0, 10.0, 0.0]))
    found = fit("own frequency", dataset, parts, {"half_life": 10.0}).recommend([case], 10)[0]
    assert found[:3].tolist() == [7, 6, 5]  # 1, .5 + .0625, .0625
    popular = fit("popularity", dataset, parts).recommend([case], 20)[0].tolist()
    assert found[3:].tolist() == [item for item in popular if item not in (5, 6, 7)][:7]
    hidden = replace(case, seen="hide")
    assert fit("own frequency", dataset, parts).recommend([hidden], 10).tolist() == (
        fit("popularity", dataset, parts).recommend([hidden], 10).tolist()
    )


def test_basket_cosine_equals_naive(dataset: Dataset, parts: Split) -> None:
    found = basket_cosine(dataset, parts, neighbours=dataset.n_items, shrinkage=3.0, own=0.5).toarray()
    baskets = [
        set(dataset.events["item"].iloc[start:stop])
        for start, stop in zip(parts.train["start"], parts.train["stop"], strict=True)
    ]
    n = [sum(item in basket for basket in baskets) for item in range(dataset.n_items)]
    for i, j in [(0, 1), (1, 0), (3, 9), (2, 30), (4, 4)]:
        both = sum(i in basket and j in basket for basket in baskets)
        assert found[i, j] == pytest.approx(0.5 if i == j else both / (np.sqrt(n[i] * n[j]) + 3))
    few = basket_cosine(dataset, parts, neighbours=4, shrinkage=3.0, own=0.0)
    assert max(np.diff(few.indptr)) <= 5


def test_history_matrix(cases: list[Case]) -> None:
    case = replace(cases[0], history=np.array([2, 3, 2]), ages=np.array([10.0, 10.0, 0.0]))
    assert history_matrix([case], 5).toarray().tolist() == [[0, 0, 2, 1, 0]]
    assert history_matrix([case], 5, half_life=10).toarray().tolist() == [[0, 0, 1.5, 0.5, 0]]
    assert history_matrix([case, case], 5, half_life=10, binary=True).toarray().tolist() == [[0, 0, 1, 0.5, 0]] * 2


def test_als_does_not_warn(dataset: Dataset, parts: Split) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit("ALS", dataset, parts, QUICK["ALS"])


def test_sasrec_learns_and_masks_the_future(dataset: Dataset, parts: Split, cases: list[Case]) -> None:
    losses: list[float] = []
    model = fit(
        "SASRec", dataset, parts, {**QUICK["SASRec"], "epochs": 6}, report=lambda event: losses.append(event.metrics["loss"])
    )
    assert losses[-1] < losses[0]
    import torch

    sequence = torch.arange(12)[None]
    changed = sequence.clone()
    changed[0, 6:] = 30
    with torch.no_grad():
        assert torch.allclose(model.network(sequence)[0, :6], model.network(changed)[0, :6], atol=1e-5)


def test_cancel_and_unknown(dataset: Dataset, parts: Split) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        fit("SASRec", dataset, parts, QUICK["SASRec"], cancel=token)
    with pytest.raises(RequestError, match="own frequency"):
        fit("oracle", dataset, parts)


def test_tune_keeps_the_best(dataset: Dataset, parts: Split) -> None:
    cases = build_cases(dataset, parts.validation, registry(dataset), seed=1)
    tuned = tune("own frequency", dataset, parts, cases, grid=[{"half_life": 5.0}, {"half_life": 60.0}])
    assert tuned.settings in [trial["settings"] for trial in tuned.trials]
    assert tuned.score == max(trial["score"] for trial in tuned.trials)
    assert "JustForYou/new" in tuned.trials[0]["parts"]
    again = fit("own frequency", dataset, parts, tuned.settings)
    assert (tuned.recommender.recommend(cases, 10) == again.recommend(cases, 10)).all()


def test_grids_name_real_settings() -> None:
    for kind in BASELINES.values():
        assert kind.GRID
        assert all(set(entry) <= set(inspect.signature(kind).parameters) for entry in kind.GRID)
