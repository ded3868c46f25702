"""`experiment` on the command line: one clear line for what cannot be, a result file that is whole, nothing in the demo."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from backend.inspection import evidence
from backend.workspace import DEMO
from tests.cli.conftest import Run

SHORT = '[SIGMA]\ntrain.contexts = 8\n["ID only"]\ntrain.contexts = 8\nmodel.prefix_levels = 0\n'


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dance"], "unknown experiment 'dance'"),
        (["missing.toml"], "no table can be read"),
        (["budgets", "--seeds", "7,x"], "'7,x' names no seeds"),
        (["budgets", "--minutes", "0"], "0 is no number of minutes"),
        (["budgets", "--limit", "0"], "0 is no number of households"),
        (["budgets", "--only", "nothing"], "has no variant 'nothing'"),
        (["budgets", "--set", "train.contexts=-1"], "impossible setting"),
        (["budgets", "--out", "/nowhere/at/all.json"], "cannot be written there"),
        (["budgets", "--finished"], "nothing is finished yet"),
        (["wordings", "--minutes", "3"], "wordings trains nothing"),
        (["cold-start", "--only", "SIGMA"], "cold-start is no table of variants"),
        (["representations", "--only", "barcode"], "there is no representation 'barcode'"),
        (["representations", "--seeds", "7,8"], "trained with one seed"),
        (["representations", "--set", "jd.numeric_base=1"], "impossible setting"),
    ],
)
def test_what_cannot_be_is_one_line(run: Run, trained: Path, words: list[str], said: str) -> None:
    before = sorted(trained.rglob("*"))
    run("experiment", *words, "--workspace", trained).refused(said)
    assert sorted(trained.rglob("*")) == before


@pytest.mark.skipif(not (DEMO / "model" / "manifest.json").is_file(), reason="no demo yet")
def test_the_demo_is_left_alone(run: Run) -> None:
    run("experiment", "budgets", "--workspace", DEMO).refused("read-only", "--variants")
    assert not (DEMO / "variants").exists()


def test_the_result_is_a_file_that_evidence_reads(run: Run, trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(trained, folder)
    (tmp_path / "mine.toml").write_text(SHORT)
    results = tmp_path / "results"
    results.mkdir()
    told = run(
        "experiment", tmp_path / "mine.toml", "--workspace", folder, "--limit", 3, "--out", results / "mine.json", "--json"
    ).json
    written = json.loads((results / "mine.json").read_text("utf-8"))
    assert written == told
    assert written["command"] == "python -m backend experiment mine.toml --workspace DIR --limit 3"
    assert str(tmp_path) not in json.dumps(written)
    found = evidence.discover(None, results)
    assert not found.unread
    changed = evidence.ablations(found.evaluations["mine"])
    assert set(changed["against"]) == {"ID only"}
    assert (folder / "variants" / "id-only" / "model").is_dir()
    table = run("experiment", tmp_path / "mine.toml", "--workspace", folder, "--limit", 3, "--finished")
    assert table.code == 0
    assert "ID only" in table.out
