"""Kept answers are the answers: same lists, same figures; of another model or damaged, they are asked again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.data.schema import Dataset
from backend.data.split import Split
from backend.evaluation.baselines import fit
from backend.evaluation.cases import Case
from backend.evaluation.protocol import evaluate
from backend.evaluation.seeds import each_seed, over_seeds
from backend.evaluation.stored_lists import ask, keep, kept


def test_they_measure_as_the_recommenders_do(dataset: Dataset, parts: Split, cases: list[Case], tmp_path: Path) -> None:
    models = [fit(name, dataset, parts) for name in ("popularity", "own frequency")]
    answers = ask(models, cases)
    keep(tmp_path / "lists.safetensors", answers, "a model", {"minutes": 3})
    found = kept(tmp_path / "lists.safetensors", cases, "a model")
    assert found is not None
    again, about = found
    assert about == {"minutes": 3}
    for own, other in ((models, answers), (models, again)):
        left, right = (evaluate(each, cases, dataset, parts, references=["popularity"], resamples=50) for each in (own, other))
        assert left.results.equals(right.results)
        assert left.differences.equals(right.differences)
    with pytest.raises(ValueError, match="lists of 21 are wanted"):
        again[0].recommend(cases[:1], 21)


def test_foreign_or_damaged_lists_are_asked_again(dataset: Dataset, parts: Split, cases: list[Case], tmp_path: Path) -> None:
    path = tmp_path / "lists.safetensors"
    assert kept(path, cases, "a model") is None
    keep(path, ask([fit("popularity", dataset, parts)], cases), "a model", {})
    assert kept(path, cases, "another model") is None
    assert kept(path, cases[:-1], "a model") is None  # other questions
    path.write_bytes(path.read_bytes()[:-7])
    assert kept(path, cases, "a model") is None
    assert not list(tmp_path.glob("*.writing"))


def test_seeds_are_averaged_household_by_household(dataset: Dataset, parts: Split, cases: list[Case]) -> None:
    models = [fit(name, dataset, parts) for name in ("popularity", "own frequency", "item-kNN")]
    run = evaluate(ask(models, cases), cases, dataset, parts, references=["popularity"], resamples=200)
    results, differences = over_seeds(run, {"whole": ["popularity"], "other": ["own frequency", "item-kNN"]}, "whole", (10,))
    single = run.results[(run.results["recommender"] == "popularity") & (run.results["slice"] == "all")]
    key = ["task", "view", "metric", "k"]
    both = results[results["recommender"] == "whole"].merge(single, on=key, suffixes=("", "_run"))
    assert len(both) >= 20
    np.testing.assert_allclose(both["mean"], both["mean_run"], atol=1e-6)
    np.testing.assert_allclose(both["low"], both["low_run"], atol=1e-6)
    at = (differences["task"] == "JustForYou") & (differences["view"] == "all") & (differences["metric"] == "hr")
    means = [each_seed(run, name)["JustForYou"] for name in ("popularity", "own frequency", "item-kNN")]
    assert differences.loc[at, "diff"].item() == pytest.approx(np.mean(means[1:]) - means[0], abs=2e-4)
    assert (differences["reference"] == "whole").all()
