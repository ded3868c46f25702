"""What was measured, as frames: files are found by what they hold, and no figure is made up."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from backend.figures import evidence as figures_evidence
from backend.figures import profiles as figures_profiles
from backend.figures import speed as figures_speed
from backend.inspection import evidence as ev
from backend.inspection import published
from tests.pages.fake import fake_workspace

ABOUT = {"commit": "abc1234", "date": "2026-11-22T10:00:00Z", "machine": {"cpu": "Some CPU", "cores": 2, "python": "3.11"}}
LATENCY = {
    "history": 12,
    "K": 5,
    "M": 20,
    "first_ms": 9.0,
    "p50_ms": 4.0,
    "p95_ms": 6.0,
    "by_step_ms": {"prompt": 3.0, "fusion": 1.0},
}


def result(name: str, mean: float, task: str = "JustForYou", **more: Any) -> dict[str, Any]:
    return {"recommender": name, "task": task, "view": "all", "slice": "all", "metric": "hr", "k": 10, "mean": mean, "low": mean - 0.01,
            "high": mean + 0.01, "n": 1861, **more}  # fmt: skip


def difference(name: str, reference: str, diff: float, half: float = 0.01) -> dict[str, Any]:
    return {"recommender": name, "reference": reference, "task": "JustForYou", "view": "all", "metric": "hr", "k": 10, "diff": diff,
            "low": diff - half, "high": diff + half, "n": 1861}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run = {
        **ABOUT, "command": "python -m backend evaluate --compare x=y --json", "split": "test", "seed": 7,
        "results": [result("popularity", 0.4), result("own frequency", 0.5), result("SIGMA", 0.6), result("SIGMA, without APF", 0.54),
                    result("SID only", 0.3), result("SIGMA", 0.45, slice="low"), result("popularity", 0.2, "Category"),
                    result("SIGMA", 0.1, "Category")],
        "differences": [difference("SIGMA", "own frequency", 0.1), difference("SIGMA", "popularity", 0.005), difference("popularity", "SIGMA", -0.2),
                        difference("SIGMA, without APF", "SIGMA", -0.06), difference("SID only", "SIGMA", -0.3)],
    }  # fmt: skip
    files = {
        "ablations": run,
        "fast": {**ABOUT, "command": "python -m backend bench latency --json", "rows": [LATENCY, {**LATENCY, "K": 20}]},
        "scan": {**ABOUT, "rows": [{"items": 10**k, "method": m, "step_ms": 0.1 * k} for k in (3, 4) for m in ("trie", "scan")]},
        "odd": {"something": 1},
        "list": [1],
    }
    for name, data in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(data))
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "published.json").write_text((ev.RESULTS / "published.json").read_text("utf-8"))
    return tmp_path


@pytest.fixture
def found(folder: Path) -> ev.Evidence:
    return ev.discover(None, folder)


def test_files_are_found_by_what_they_hold(found: ev.Evidence) -> None:
    assert list(found.evaluations) == ["ablations"]
    assert {rows.name: rows.kind for rows in found.rows.values()} == {
        "fast": "latency",
        "scan": "scan",
    }  # by command, else by name
    assert set(found.unread) == {"broken.json", "list.json", "odd.json"}
    assert "neither results nor rows" in found.unread["odd.json"]
    assert set(found.missing) == {
        "startup",
        "fusion",
        "redraw",
        "decode",
        "load",
        "backbones",
        "budgets",
        "wordings",
        "cold-start",
        "representations",
    }
    assert "bench startup" in found.missing["startup"]
    assert {"sigma", "amazon-beauty"} <= set(found.published)


def test_an_origin_tells_all(found: ev.Evidence) -> None:
    origin = found.evaluations["ablations"].origin
    assert origin == ev.Origin("ablations.json", "python -m backend evaluate --compare x=y --json", "abc1234", "2026-11-22T10:00:00Z",
                               "Some CPU, 2 cores, Python 3.11", "7", "1,861", "test")  # fmt: skip
    assert found.rows["scan"].origin.command == ""  # not made up


def test_a_changed_file_is_read_again(folder: Path) -> None:
    ev.discover(None, folder)
    (folder / "fast.json").write_text(json.dumps({**ABOUT, "rows": [LATENCY]}))
    os.utime(folder / "fast.json", ns=(1, 1))
    assert len(ev.discover(None, folder).rows["fast"].frame) == 1


def test_a_file_may_hold_rows_beside_its_results(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = json.loads((folder / "ablations.json").read_text("utf-8"))
    (folder / "jd.json").write_text(json.dumps({**data, "rows": [{"what": "invalid", "value": 0.1}]}))
    (folder / "none.json").write_text(json.dumps({**data, "rows": []}))
    both = ev.discover(None, folder)
    assert set(both.evaluations) == {"ablations", "jd", "none"}
    assert set(both.rows) == {"fast", "scan", "jd"}
    assert both.rows["jd"].frame["value"].tolist() == [0.1]
    parsed: list[str] = []
    monkeypatch.setattr(ev.json, "loads", lambda text: parsed.append(text))
    assert set(ev.discover(None, folder).rows) == set(both.rows)
    assert len(parsed) == len(both.unread)  # only what could not be read is tried again


def test_the_workspace_comes_first(folder: Path) -> None:
    both = ev.discover(fake_workspace(), folder)
    assert list(both.evaluations) == [ev.SHIPPED, "ablations"]
    own = both.evaluations[ev.SHIPPED]
    assert own.origin.commit == "fa4e000"
    assert "evaluate --workspace" in own.origin.command
    assert ev.choices(own)["hr"] == [1, 10, 20]
    damaged = fake_workspace()
    (damaged.path / "evaluation" / "results.parquet").write_bytes(b"no table")
    assert "evaluation" in ev.discover(damaged, folder).unread
    assert ev.discover(fake_workspace(without=("evaluation",)), folder / "nowhere").evaluations == {}


def test_families_and_order(found: ev.Evidence) -> None:
    frame = ev.quality(found.evaluations["ablations"])
    families = dict(zip(frame["recommender"], frame["family"], strict=True))
    assert families == {
        "SIGMA": "ours",
        "SIGMA, without APF": "variant",
        "SID only": "other",
        "popularity": "baseline",
        "own frequency": "baseline",
    }
    assert frame["recommender"].iat[0] == "SIGMA"
    assert len(ev.by_activity(found.evaluations["ablations"])) == 1


def test_differences_are_the_stored_ones(found: ev.Evidence) -> None:
    run = found.evaluations["ablations"]
    ahead = ev.differences(run).set_index("against")
    assert ahead["verdict"].to_dict() == {"own frequency": "ahead", "popularity": "level"}
    cut = ev.ablations(run).set_index("against")
    assert cut["diff"].to_dict() == {"without APF": -0.06, "SID only": -0.3}
    assert ev.differences(run, "ndcg").empty  # nothing is computed from two separate intervals


def test_the_radar_is_a_share_of_the_best_baseline(found: ev.Evidence) -> None:
    shares = ev.radar(ev.quality(found.evaluations["ablations"])).set_index(["label", "recommender"])["share"]
    assert shares["JustForYou", "SIGMA"] == pytest.approx(1.2)
    assert shares["JustForYou", "own frequency"] == 1
    assert shares["Category", "SIGMA"] == pytest.approx(0.5)


def test_published_beside_ours(found: ev.Evidence) -> None:
    both = published.beside(found.published["sigma"], list(found.evaluations.values())).set_index(["part", "who"])
    assert both.loc[("without APF", "published"), "change"] == pytest.approx(30.18 / 33.76 - 1)
    assert both.loc[("without APF", "ours"), "change"] == pytest.approx(-0.1)
    assert both.loc[("SID only", "ours"), "low"] == pytest.approx(-0.31 / 0.6)
    assert ("ID only", "ours") not in both.index  # not measured, so not there
    for group in found.published.values():
        assert group["differs"]
        assert str(group["url"]).startswith("https://")


def test_figures(found: ev.Evidence) -> None:
    run = found.evaluations["ablations"]
    frame = ev.quality(run)
    drawn = figures_evidence.whiskers(frame)
    assert sum(len(trace.x) for trace in drawn.data) == len(frame)
    ours = next(trace for trace in drawn.data if trace.name == "Sigmascope")
    np.testing.assert_allclose(ours.error_x.array, [0.01])
    bare = figures_evidence.whiskers(frame.assign(low=np.nan, high=np.nan))
    assert all(trace.error_x.visible is False for trace in bare.data)  # no interval, no whisker
    signs = {trace.name: trace.marker.symbol for trace in figures_evidence.forest(ev.differences(run)).data}
    assert signs == {"▲ above zero": "triangle-up", "≈ interval holds zero": "circle"}  # never colour alone
    figures_profiles.radar(ev.radar(frame), ["SIGMA", "popularity"])
    figures_profiles.by_activity(ev.by_activity(run), "HR@10", ["SIGMA"])
    figures_profiles.beside(published.beside(found.published["sigma"], [run]))
    stacked = figures_speed.steps(found.rows["fast"].frame, ["a", "b"])
    assert [trace.name for trace in stacked.data] == ["prompt", "fusion", "95th percentile, whole"]
    whole = pd.DataFrame(
        {"generation": ["trie", "none"] * 2, "vocabulary": [9, 9, 99, 99], "beams": 20, "ms_per_request": [1.0, 2, 3, 4]}
    )
    drawn = figures_speed.generations(whole)
    assert [trace.name for trace in drawn.data] == ["20 beams, 9 tokens", "20 beams, 99 tokens"]
    assert [list(trace.x) for trace in drawn.data] == [[1, 2], [3, 4]]
    assert len(figures_speed.generations(whole.drop(columns="vocabulary")).data) == 1
    assert len(figures_speed.scaling(found.rows["scan"].frame, "items", "step_ms", "method", "ms").data) == 2


def test_hostile_names_are_text() -> None:
    frame = ev.quality(ev.Evaluation("x", ev.Origin("x"), pd.DataFrame([result("<script>", 0.4)]), pd.DataFrame()))
    assert "<script" not in str(figures_evidence.whiskers(frame).to_json())
