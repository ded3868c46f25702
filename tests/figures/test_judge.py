"""Figures of the Judge page: the field of λ is eq. 7, frames are what the figures say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from backend.alignment.a2po import coefficient
from backend.figures import judge as figures_judge


def test_the_field_is_the_coefficient_of_the_training() -> None:
    axis, strength = figures_judge.field(3.0, 21)
    business, semantic = np.meshgrid(axis, axis)
    expected = coefficient(torch.from_numpy(business), torch.from_numpy(semantic)).numpy()
    np.testing.assert_allclose(strength, expected, atol=1e-6)


def test_curves_are_means_of_each_seeds_own_trailing_mean() -> None:
    curves = pd.DataFrame({"arm": "a2po", "seed": [1, 1, 2, 2], "step": [1, 2, 1, 2], "semantic": [1.0, 3.0, np.nan, 5.0]})
    found = figures_judge.smoothed(curves, "semantic", 2).set_index("step")
    assert found.loc[1, ["mean", "seeds"]].tolist() == [1.0, 1]
    assert found.loc[2, ["mean", "low", "high", "seeds"]].tolist() == [3.5, 2.0, 5.0, 2]
    figures_judge.curves(found.reset_index(), "semantic")


def test_effect_stands_beside_its_own_cost() -> None:
    def row(arm: str, metric: str, **more: float) -> dict[str, object]:
        return {"run": "r", "judged": 1.0, "arm": arm, "metric": metric, **more}

    told = {"diff": 0.5, "diff_low": 0.25, "diff_high": 0.75, "n": 9}
    paid = {"judge_calls": 64.0, "judge_seconds": 0.5, "seconds": 2.0}
    arms = pd.DataFrame([row("sft", "hr", **dict.fromkeys(told, 0)), row("a2po", "hr", **told), row("a2po", "training", **paid)])
    found = figures_judge.against_calls(arms, "hr")
    assert found[["arm", "diff", "judge_calls"]].values.tolist() == [["a2po", 0.5, 64.0]]
    figure = figures_judge.cost(found, "hr")
    assert figure.data[0].x[0] == pytest.approx(64.0)
    forest = figures_judge.against_start(arms, ["hr"])
    assert forest[["against", "label", "verdict"]].values.tolist() == [["a2po", "HR@10", "ahead"]]
