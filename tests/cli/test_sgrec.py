"""The third recipe from the command line: the first one's answer with a policy's weights; an arm beside its start."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.test_contract import ITEM_KEYS, KEYS


def test_a_policy_recommends(run: Run, aligned: Path, trained: Path) -> None:
    ask = ("recommend", "--workspace", aligned, "--instruction", "pizza under $9", "--top", 5, "--json")
    found, base = run(*ask, "--recipe", "sgrec").json, run(*ask).json
    assert set(found) == KEYS
    assert all(set(item) == ITEM_KEYS for item in found["items"])
    assert found["reading"] == base["reading"]
    assert [item["score"] for item in found["items"]] != [item["score"] for item in base["items"]]
    start, chosen, other = (
        run(*ask, "--recipe", "sgrec", "--arm", arm).json["items"] for arm in ("sft", "a2po", "business only")
    )
    assert start == base["items"], "the start is the first recipe"
    assert chosen == found["items"], "the chosen arm answers where none is named"
    assert other != chosen
    drawn = run("recommend", "--workspace", aligned, "--instruction", "pizza", "--recipe", "sgrec")
    assert drawn.code == 0
    assert "task:" in drawn.out


def test_an_arm_is_measured_beside_its_start(run: Run, aligned: Path) -> None:
    ask = ("evaluate", "--workspace", aligned, "--recipe", "sgrec", "--split", "test", "--limit", 8)
    found = run(*ask, "--json").json
    json.dumps(found, allow_nan=False)
    assert (found["arm"], found["split"]) == ("a2po", "test")
    assert "--arm 'a2po' --split test --limit 8 --json" in found["command"], "the whole command"
    assert {row["recommender"] for row in found["results"]} == {"S-GRec, a2po", "sft"}
    assert {row["reference"] for row in found["differences"]} == {"sft"}
    means = {row["recommender"]: row["mean"] for row in found["results"]
             if (row["task"], row["view"], row["slice"], row["metric"], row["k"]) == ("JustForYou", "all", "all", "ndcg", 10)}  # fmt: skip
    (ahead,) = (
        row
        for row in found["differences"]
        if (row["task"], row["view"], row["metric"], row["k"]) == ("JustForYou", "all", "ndcg", 10)
    )
    assert ahead["diff"] == pytest.approx(means["S-GRec, a2po"] - means["sft"], abs=2e-5)
    assert ahead["low"] <= ahead["diff"] <= ahead["high"]
    told = run(*ask, "--arm", "business only")
    assert told.code == 0
    assert "paired differences" in told.out


def test_what_cannot_be_served_says_why(run: Run, aligned: Path, trained: Path) -> None:
    ask = ("recommend", "--instruction", "pizza", "--workspace")
    run(*ask, trained, "--recipe", "sgrec").refused("no policy stage", "train --recipe sgrec")
    run(*ask, aligned, "--recipe", "sgrec", "--arm", "ppo").refused("ppo", "a2po")
    run(*ask, aligned, "--recipe", "sgrec", "--arm", "gate only").refused("gate only", "policy.arms")
    run(*ask, aligned, "--arm", "a2po").refused("sigma", "--recipe sgrec")
    measure = ("evaluate", "--recipe", "sgrec", "--workspace")
    run(*measure, trained).refused("no policy stage", "train --recipe sgrec")
    run(*measure, aligned, "--arm", "sft").refused("itself")
    run(*measure, aligned, "--compare", f"x={trained}").refused("--compare")
