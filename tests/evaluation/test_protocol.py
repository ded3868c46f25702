from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from backend.data.schema import Dataset
from backend.data.split import Split
from backend.errors import Cancelled
from backend.evaluation.baselines import fit_all
from backend.evaluation.cases import Case
from backend.evaluation.intervals import interval
from backend.evaluation.protocol import DIFFERENCE_COLUMNS, ITEM_COLUMNS, RESULT_COLUMNS, Evaluation, check_lists, evaluate
from backend.progress import CancelToken, Progress

NAMES = ["popularity", "own frequency", "item-kNN"]


@pytest.fixture(scope="module")
def outcome(dataset: Dataset, parts: Split, cases: list[Case]) -> Evaluation:
    vectors = np.random.default_rng(0).normal(size=(dataset.n_items, 4))
    return evaluate(
        fit_all(dataset, parts, NAMES), cases, dataset, parts, vectors=vectors, resamples=200, about={"split": "test"}
    )


def pick(frame: pd.DataFrame, **where: object) -> pd.Series:
    for column, value in where.items():
        frame = frame[frame[column] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def test_results_are_tidy_and_whole(outcome: Evaluation, cases: list[Case]) -> None:
    results = outcome.results
    assert list(results.columns) == RESULT_COLUMNS
    assert not results.duplicated(RESULT_COLUMNS[:6]).any()
    assert set(results["recommender"]) == set(NAMES)
    assert set(results["slice"]) == {"all", "low", "medium", "high"}
    assert set(results["metric"]) == {
        "hr", "recall", "ndcg", "value", "breadth", "diversity", "novelty", "tail", "constraint", "coverage",
    }  # fmt: skip
    measured = results[results["metric"] != "coverage"]
    assert (measured["low"] <= measured["mean"] + 1e-6).all()
    assert (measured["mean"] <= measured["high"] + 1e-6).all()
    row = pick(results, recommender="popularity", task="JustForYou", view="all", slice="all", metric="hr", k=10)
    assert row["n"] == sum(case.task == "JustForYou" for case in cases)
    fresh = pick(results, recommender="popularity", task="JustForYou", view="new", slice="all", metric="hr", k=10)
    assert fresh["n"] == sum(case.task == "JustForYou" and len(case.new_targets) > 0 for case in cases)
    parts = results[(results["task"] == "Query") & (results["metric"] == "ndcg") & (results["k"] == 5)]
    for _, group in parts.groupby("recommender"):
        assert group[group["slice"] != "all"]["n"].sum() == group[group["slice"] == "all"]["n"].sum()


def test_hard_filters_satisfy_the_constraint(outcome: Evaluation) -> None:
    rows = outcome.results.query("metric == 'constraint'")
    assert set(rows["task"]) == {"Category", "Query", "Discover"}
    assert (rows["mean"] == 1).all()


def test_examples_give_back_the_table(outcome: Evaluation) -> None:
    chosen = outcome.examples.query("recommender == 'item-kNN' and task == 'JustForYou' and view == 'all'")
    found = interval(chosen["ndcg@10"].to_numpy(), resamples=200)
    row = pick(outcome.results, recommender="item-kNN", task="JustForYou", view="all", slice="all", metric="ndcg", k=10)
    assert (row["mean"], row["low"], row["high"]) == pytest.approx((found.mean, found.low, found.high), abs=1e-6)


def test_differences_are_paired(outcome: Evaluation) -> None:
    differences = outcome.differences
    assert list(differences.columns) == DIFFERENCE_COLUMNS
    assert not (differences["recommender"] == differences["reference"]).any()
    where = {
        "recommender": "own frequency",
        "reference": "popularity",
        "task": "JustForYou",
        "view": "all",
        "metric": "hr",
        "k": 5,
    }
    row = pick(differences, **where)
    found = outcome.compare("own frequency", "popularity", "JustForYou", "hr", 5)
    assert (row["diff"], row["low"], row["high"]) == pytest.approx((found.mean, found.low, found.high), abs=1e-6)
    means = [
        pick(outcome.results, recommender=name, task="JustForYou", view="all", slice="all", metric="hr", k=5)["mean"]
        for name in ("own frequency", "popularity")
    ]
    assert row["diff"] == pytest.approx(means[0] - means[1])


def test_written_and_read_back(outcome: Evaluation, tmp_path: Path) -> None:
    outcome.write(tmp_path)
    assert pd.read_parquet(tmp_path / "results.parquet").equals(outcome.results)
    about = json.loads((tmp_path / "evaluation.json").read_text("utf-8"))
    assert {"commit", "date", "machine", "split", "seed", "resamples"} <= set(about)


def test_progress_and_cancel(dataset: Dataset, parts: Split, cases: list[Case]) -> None:
    events: list[Progress] = []
    recommenders = fit_all(dataset, parts, ["popularity"])
    evaluate(recommenders, cases, dataset, parts, resamples=20, report=events.append)
    assert [event.done for event in events] == list(range(1, events[0].total + 1))
    assert events[-1].done == events[-1].total
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        evaluate(recommenders, cases, dataset, parts, resamples=20, cancel=token)


@pytest.mark.parametrize("lists", [[[1, 1]], [[1, 9]], [[1]], [[-2, 0]]])
def test_a_broken_recommender_is_named(lists: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="cheat"):
        check_lists(np.array(lists), 1, 2, 5, "cheat")
    assert check_lists(np.array([[-1, -1]]), 1, 2, 5, "honest").shape == (1, 2)


def test_two_of_one_name(dataset: Dataset, parts: Split, cases: list[Case]) -> None:
    with pytest.raises(ValueError, match="one name"):
        evaluate(fit_all(dataset, parts, ["popularity", "popularity"]), cases, dataset, parts)


def test_no_cases(dataset: Dataset, parts: Split) -> None:
    empty = evaluate(fit_all(dataset, parts, ["popularity"]), [], dataset, parts)
    assert empty.results.empty
    assert list(empty.results.columns) == RESULT_COLUMNS


def test_counts_by_item_agree_with_recall(outcome: Evaluation, cases: list[Case]) -> None:
    counts = outcome.items
    assert list(counts.columns) == ITEM_COLUMNS
    own = counts[(counts["recommender"] == "popularity") & (counts["task"] == "JustForYou") & (counts["view"] == "all")]
    asked = [case for case in cases if case.task == "JustForYou"]
    assert own["targets"].sum() == sum(len(case.targets) for case in asked)
    examples = outcome.examples.query("recommender == 'popularity' and task == 'JustForYou' and view == 'all'")
    hits = (examples["recall@10"].to_numpy() * [len(case.targets) for case in asked]).sum()
    assert own["hits"].sum() == pytest.approx(hits, abs=0.01)
    assert (own["hits"] <= own[["targets", "shown"]].min(axis=1)).all()
