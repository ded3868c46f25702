"""Tables of policies: their settings, what the judge's share costs, going on where it was; the judge's weight in the fusion."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from backend.errors import RequestError
from backend.evaluation.report_recipes import lines as drawn
from backend.experiments.policies import lines_of, policy_tables
from backend.inspection.health import inspect
from backend.inspection.judge_arms import every_arms
from backend.judge.aspects import ASPECTS
from backend.settings import PolicySettings
from backend.workspace import Workspace
from tests.cli.conftest import Run, run  # noqa: F401

QUICK = (
    "--set",
    "policy.contexts=8",
    "--set",
    "policy.batch=8",
    "--set",
    "policy.epochs=1",
    "--set",
    "policy.beams=4",
    "--limit",
    8,
)


@pytest.mark.parametrize("table", policy_tables())
def test_every_line_is_a_setting(table: str) -> None:
    start = PolicySettings(group=8)
    found = lines_of(table, start, {"seeds": [3]})
    assert found
    assert all((one.group, one.seeds) == (8, (3,)) for one in found.values())
    assert "a2po" in {arm for one in found.values() for arm in one.arms}


def test_the_shares_of_the_issue() -> None:
    assert [one.judged for one in lines_of("judged-share", PolicySettings(), {}).values()] == [0.0, 0.05, 0.2, 1.0]
    assert list(lines_of("judged-share", PolicySettings(), {}, ["5 %"])) == ["5 %"]
    with pytest.raises(RequestError, match="no line '7 %'"):
        lines_of("judged-share", PolicySettings(), {}, ["7 %"])
    with pytest.raises(RequestError, match=r"policy\.judged"):
        lines_of("judged-share", PolicySettings(), {"judged": 2})


def test_what_the_share_costs(run: Run, aligned: Path, tmp_path: Path) -> None:  # noqa: F811
    target = tmp_path / "judged-share.json"
    ask = ("experiment", "judged-share", "--workspace", aligned, "--variants", tmp_path / "runs", "--seeds", "7", "--only", "0 %",
           "--only", "100 %", *QUICK, "--split", "validation")  # fmt: skip
    found = run(*ask, "--out", target, "--json").json
    calls = {row["line"]: row["judge_calls"] for row in found["rows"] if row["metric"] == "training"}
    assert calls == {"0 %": 0, "100 %": 8 * 8}
    assert (found["split"], found["seeds"], found["judge"]["backend"]) == ("validation", [7], "student")
    assert "experiment judged-share --workspace DIR" in found["command"]
    assert str(tmp_path) not in target.read_text()
    json.dumps(found, allow_nan=False)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.json")}
    again = run(*ask)
    assert again.code == 0
    assert "100 %" in again.out
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.json")} == before, "runs are kept"
    text = drawn(found)
    assert "| 100 % | a2po |" in text
    runs = every_arms(Workspace(aligned), inspect(Workspace(aligned)).stages["policy"], tmp_path)
    assert [(one.name, one.judged, one.table) for one in runs[1:]] == [
        ("judged-share: 0 %", 0.0, "judged-share"), ("judged-share: 100 %", 1.0, "judged-share")
    ]  # fmt: skip


def test_arms_on_the_test_window(run: Run, aligned: Path, tmp_path: Path) -> None:  # noqa: F811
    ask = ("experiment", "arms", "--workspace", aligned, "--variants", tmp_path, "--seeds", "7", *QUICK)
    found = run(*ask, "--set", 'policy.arms=["a2po"]', "--json").json
    assert found["split"] == "test"
    assert {row["arm"] for row in found["rows"]} == {"sft", "a2po"}
    other = run(*ask, "--set", 'policy.arms=["a2po"]', "--split", "validation", "--json").json
    start, before = ([row["mean"] for row in each["rows"] if row["arm"] == "sft"] for each in (found, other))
    assert start != before, "the start is measured on the baskets of the window"
    run(*ask, "--set", "train.lr=1").refused("policy.FIELD")
    run(*ask, "--minutes", 3).refused("trains no model")


def test_what_the_judges_weight_is_worth(run: Run, aligned: Path, trained: Path, tmp_path: Path) -> None:  # noqa: F811
    shutil.copytree(aligned, tmp_path / "own")
    path = tmp_path / "own" / "judge" / "manifest.json"
    manifest = json.loads(path.read_text())  # with all aspects in use, whatever the tiny shop's measures say
    path.write_text(json.dumps({**manifest, "metrics": {**manifest["metrics"], "used": list(ASPECTS)}}))
    found = run(
        "experiment", "judge-weight", "--workspace", tmp_path / "own", "--split", "validation", "--limit", 8, "--json"
    ).json
    judged = {(row["recommender"], row["task"], row["view"]): row["mean"] for row in found["results"] if row["metric"] == "judge"}
    assert judged["judge × 2", "JustForYou", "all"] > judged["judge × 0", "JustForYou", "all"], "what is weighed rises"
    assert {row["reference"] for row in found["differences"]} == {"judge × 0"}
    json.dumps(found, allow_nan=False)
    run("experiment", "judge-weight", "--workspace", trained).refused("there is no judge", "train --recipe sgrec")
