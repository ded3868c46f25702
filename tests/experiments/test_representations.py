"""The representation experiment end to end on the tiny shop: five ways to write an item, one table, everything kept for the next time."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from backend.cli import main
from backend.errors import RequestError
from backend.evaluation.report_recipes import representations as drawn
from backend.experiments.representations import WRITTEN, chosen, settings_for
from backend.inspection import evidence
from backend.settings import load_preset

SMALL = ["layers=2", "hidden=32", "heads=4", "history_items=6", "contexts=16", "batch=8"]
SET = [word for each in SMALL for word in ("--set", f"jd.{each}")]


def test_the_budget_is_the_same_for_all() -> None:
    start = load_preset("default", jd={"contexts": 500, "alignment": 0})
    by_steps = [settings_for(start, changes) for changes in WRITTEN.values()]
    assert {(each.jd.contexts, each.jd.max_minutes, each.jd.alignment) for each in by_steps} == {(500, None, 0)}
    assert len({each.jd.model_dump_json() for each in by_steps}) == len(WRITTEN)
    by_time = [settings_for(start, changes, 3.0) for changes in WRITTEN.values()]
    assert {(each.jd.contexts, each.jd.max_minutes) for each in by_time} == {(100_000, 3.0)}


def test_the_reference_is_always_there() -> None:
    assert list(chosen(["title"])) == ["semantic ID, RQ-VAE", "title"]
    assert list(chosen([])) == list(WRITTEN)
    with pytest.raises(RequestError, match="no representation 'barcode'"):
        chosen(["barcode"])


def test_end_to_end(built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a trained model of the first recipe: only the dataset and the grounded vectors are needed."""
    folder = tmp_path / "base"
    shutil.copytree(built, folder)
    only = ["numeric ID, digit by digit", "title"]
    argv = ["experiment", "representations", "--workspace", str(folder), "--limit", "4", "--json", *SET]
    argv += [word for name in only for word in ("--only", name)]
    results = tmp_path / "results"
    results.mkdir()
    assert main([*argv, "--out", str(results / "representations.json")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert str(tmp_path) not in json.dumps(found)
    names = ["semantic ID, RQ-VAE", *only]
    assert [row["representation"] for row in found["representations"]] == names
    assert [row["representation"] for row in found["trainings"]] == names
    assert {row["steps"] for row in found["trainings"]} == {2}
    assert {row["beams"] for row in found["rows"]} == {20, 50}
    assert "title, free beam 20 and the nearest title" in found["others"]
    invalid = {
        (row["model"], row["beams"]): row["value"] for row in found["rows"] if row["what"] == "invalid SIDs, constrained beam"
    }
    assert set(invalid) == {(name, beams) for name in names for beams in (20, 50)}
    assert set(invalid.values()) == {0.0}
    free = {
        row["model"]: row["value"] for row in found["rows"] if row["what"] == "invalid SIDs, free beam" and row["beams"] == 20
    }
    assert free["semantic ID, RQ-VAE"] > 0, "two steps teach nobody which IDs exist"
    assert "semantic ID, RQ-VAE, constrained beam 20, with repeats (ours)" in found["others"]
    assert 0 <= found["repeats"] <= 1
    paired = {(row["recommender"], row["reference"]) for row in found["differences"]}
    assert ("title, constrained beam 20", "semantic ID, RQ-VAE, constrained beam 20") in paired
    assert ("title, constrained beam 20", "own frequency") in paired

    text = drawn(found)
    table = text.split("\n\n")[1].splitlines()
    assert [line.split(" | ")[0].removeprefix("| ") for line in table[2:]] == names
    read = evidence.discover(None, results)
    assert not read.unread
    assert "representations" not in read.missing

    stages = {(path, path.stat().st_mtime_ns) for path in folder.rglob("variants/*/*/jd/manifest.json")}
    assert len(stages) == len(names)
    assert main(argv) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["results"] == found["results"]
    assert {(path, path.stat().st_mtime_ns) for path in folder.rglob("variants/*/*/jd/manifest.json")} == stages
