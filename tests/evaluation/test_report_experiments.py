"""README sections of the experiments: every figure of the file is in the table, nothing else is."""

from __future__ import annotations

from typing import Any

from backend.evaluation.report_experiments import ablations, cold_start, trained

ABOUT = {"split": "test", "seed": 7, "seeds": [7, 8], "resamples": 2000, "command": "python -m backend experiment x", "commit": "abc1234",
         "date": "2026-11-22", "machine": {"cpu": "Some CPU", "cores": 2}}  # fmt: skip


def mean(name: str, value: float, view: str = "all", metric: str = "hr", k: int = 10) -> dict[str, Any]:
    return {"recommender": name, "task": "JustForYou", "view": view, "metric": metric, "k": k, "mean": value, "low": value - 0.01,
            "high": value + 0.01, "n": 1861}  # fmt: skip


def pair(name: str, reference: str, diff: float, view: str = "all", k: int = 10) -> dict[str, Any]:
    return {"recommender": name, "reference": reference, "task": "JustForYou", "view": view, "metric": "hr", "k": k, "diff": diff,
            "low": diff - 0.01, "high": diff + 0.01, "n": 1861}  # fmt: skip


TRAINING = {"variant": "ID only", "seed": 8, "minutes": 9.51, "steps": 250, "contexts seen": 6000, "trained parameters": 4_339_341,
            "parameters": 4_339_597, "HR@10": {"JustForYou": 0.5123}}  # fmt: skip
TABLE = {
    **ABOUT,
    "results": [mean("SIGMA", 0.6), mean("ID only", 0.55), mean("popularity", 0.4), mean("SIGMA, without APF", 0.59)],
    "differences": [
        pair("ID only", "SIGMA", -0.05),
        pair("popularity", "SIGMA", -0.2),
        pair("SIGMA, without APF", "SIGMA", -0.01),
    ],
    "others": ["ID only"],
    "trainings": [TRAINING],
}


def test_ablations_are_differences_from_the_whole() -> None:
    text = ablations(TABLE)
    assert "| SIGMA | .600 [.590, .610] |" in text
    assert "| ID only | -0.050 [-0.060, -0.040] |" in text
    assert "| without APF | -0.010 [-0.020, +0.000] |" in text
    assert "-0.200" not in text  # a baseline is no ablation
    assert "| ID only | 8 | 9.5 | 250 | 6,000 | 4.34 | 4.3 | 0.512 |" in text
    assert "training seeds 7, 8" in text
    assert text.endswith("`python -m backend experiment x` · commit abc1234 · 2026-11-22 · Some CPU, 2 cores")


def test_trained_systems_stand_beside_baselines() -> None:
    text = trained(TABLE)
    assert "| popularity | .400 [.390, .410] |" in text
    assert "| ID only | -0.050 [-0.060, -0.040] |" in text
    assert "-0.200" not in text


def test_cold_items_and_households_have_tables_of_their_own() -> None:
    view, only = "cold among all", "profile only"
    data = {
        **ABOUT, "held_items": 285, "items": 5700,
        "results": [mean("SIGMA", 0.2, view, k=20), mean("text only", 0.1, view, k=20), mean("SIGMA", 0.31, view, "rank", 5700),
                    mean("SIGMA", 0.44, only), mean("popularity", 0.41, only)],
        "differences": [pair("SIGMA", "text only", 0.1, view, 20), pair("SIGMA", "popularity", 0.03, only)],
    }  # fmt: skip
    text = cold_start(data)
    assert text.startswith("285 of 5,700 items held out of everything.")
    assert "| text only | .100 [.090, .110] |" in text
    assert "| SIGMA | .310 [.300, .320] |" in text
    assert "| text only | +0.100 [+0.090, +0.110] |" in text
    assert "| popularity | +0.030 [+0.020, +0.040] |" in text
    assert "JustForYou, profile only (n=1,861)" in text
