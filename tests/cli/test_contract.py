"""What scripts rely on: commands, JSON keys, exit codes, help."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from backend.bench import decode
from backend.bench.decode import Plan
from backend.cli import main
from backend.commands.arguments import BENCHES
from tests.cli.conftest import Run

COMMANDS = ("build", "train", "evaluate", "recommend", "info", "bench", "experiment")
KEYS = {"instruction", "user", "reading", "items", "timings_ms"}
ITEM_KEYS = {"rank", "item_id", "title", "category", "price", "score", "prefix", "source"}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches(run: Run, command: str) -> None:
    answer = run(command, "--help")
    assert answer.code == 0
    assert "examples:" in answer.out
    assert f"python -m backend {command}" in answer.out


def test_the_general_help_names_every_command(run: Run) -> None:
    answer = run("--help")
    assert answer.code == 0
    assert all(command in answer.out for command in COMMANDS)


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["dance"],
        ["recommend"],
        ["recommend", "--instruction", "a", "--instructions", "b"],
        ["recommend", "--instruction", "a", "--seen", "perhaps"],
        ["recommend", "--instruction", "a", "--recipe", "cake"],
        ["recommend", "--instruction", "a", "--top", "many"],
        ["build"],
        ["build", "--workspace", "w", "--source", "nowhere"],
        ["train", "--workspace", "w", "--seed", "x"],
        ["evaluate", "--split", "train"],
        ["bench"],
        ["bench", "weather"],
        ["info", "--jason"],
        ["experiment", "budgets"],
        ["experiment", "budgets", "--workspace", "w", "--minutes", "few"],
    ],
)
def test_wrong_usage_is_2(run: Run, argv: list[str]) -> None:
    answer = run(*argv)
    assert answer.code == 2
    assert answer.out == ""
    assert "usage:" in answer.err


def test_recommend_gives_the_contracts_object(run: Run, trained: Path) -> None:
    answer = run("recommend", "--workspace", trained, "--instruction", "something in snacks under $5", "--top", 7, "--json")
    assert answer.code == 0, answer.err
    found = answer.json
    assert set(found) == KEYS
    assert found["instruction"] == "something in snacks under $5"
    assert set(found["reading"]) == {"task", "filters", "unknown"}
    assert found["reading"]["filters"] == {"max_price": 5.0}
    assert isinstance(found["reading"]["unknown"], list)
    assert [item["rank"] for item in found["items"]] == list(range(1, 8))
    for item in found["items"]:
        assert set(item) == ITEM_KEYS
        assert set(item["source"]) == {"department", "category", "type"}
        assert item["price"] <= 5
        assert isinstance(item["score"], float)
        assert item["prefix"].startswith("a")
    assert [item["score"] for item in found["items"]] == sorted((item["score"] for item in found["items"]), reverse=True)
    assert len({item["item_id"] for item in found["items"]}) == 7
    assert found["timings_ms"]["total"] > 0


def test_the_default_shopper_is_fixed(run: Run, trained: Path) -> None:
    argv = ("recommend", "--workspace", trained, "--instruction", "surprise me", "--json")
    first, second = run(*argv).json, run(*argv).json
    assert first["user"] == second["user"]
    assert first["items"] == second["items"]


def test_a_file_of_instructions_gives_one_object_a_line(run: Run, trained: Path, tmp_path: Path) -> None:
    wishes = ["surprise me", "something in snacks", "milk under $2", "naïve “quotes” 🍕"]
    file = tmp_path / "wishes.txt"
    file.write_text("\r\n".join(wishes) + "\r\n\r\n", "utf-8")
    answer = run("recommend", "--workspace", trained, "--user", "u3", "--instructions", file, "--json")
    assert answer.code == 0, answer.err
    found = [json.loads(line) for line in answer.out.splitlines()]
    assert [each["instruction"] for each in found] == wishes
    assert {each["user"] for each in found} == {"u3"}
    assert all(set(each) == KEYS for each in found)


def test_filters_are_hard(run: Run, trained: Path, tables: Path) -> None:
    answer = run(
        "recommend", "--workspace", trained, "--user", "u5", "--instruction", "anything", "--category", "soft drinks",
        "--max-price", "$6", "--seen", "hide", "--top", 20, "--json",
    )  # fmt: skip
    events = pd.read_csv(tables / "events.csv")
    bought = set(events.loc[events["user_id"] == "u5", "item_id"])
    for item in answer.json["items"]:
        assert item["category"] == "Soft drinks"
        assert item["price"] <= 6
        assert item["item_id"] not in bought


def test_a_department_is_a_category_too(run: Run, trained: Path) -> None:
    found = run("recommend", "--workspace", trained, "--instruction", "dinner", "--category", "Fresh meat", "--json").json
    assert {item["category"] for item in found["items"]} <= {"Beef", "Chicken"}
    assert found["items"]


def test_the_table_for_people(run: Run, trained: Path) -> None:
    answer = run("recommend", "--workspace", trained, "--user", "u1", "--instruction", "pizza under $9")
    assert answer.code == 0
    assert "household u1" in answer.out
    assert "max price 9" in answer.out
    assert "prefix" in answer.out


def test_an_impossible_filter_leaves_an_empty_list_and_a_note(run: Run, trained: Path) -> None:
    argv = ("recommend", "--workspace", trained, "--instruction", "snacks", "--max-price", "0.01")
    assert run(*argv, "--json").json["items"] == []
    assert "no item passes the filters" in run(*argv).out


def test_info(run: Run, trained: Path) -> None:
    found = run("info", "--workspace", trained, "--json").json
    assert found["usable"]
    assert list(found["stages"]) == ["dataset", "grounding", "tokens", "model", "evaluation"]
    assert {stage["state"] for name, stage in found["stages"].items() if name != "evaluation"} == {"ok"}
    assert found["stages"]["evaluation"]["state"] == "missing"
    assert found["stages"]["tokens"]["settings"]["codes"] == 8
    assert found["stages"]["tokens"]["metrics"]["items"] == 60
    assert len(found["categories"]) == 10
    assert found["example_users"]
    people = run("info", "--workspace", trained)
    assert people.code == 0
    assert "households to try" in people.out


def test_a_changed_input_makes_stages_stale(run: Run, trained: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(trained, folder)
    manifest = json.loads((folder / "tokens" / "manifest.json").read_text())
    (folder / "tokens" / "manifest.json").write_text(json.dumps({**manifest, "fingerprint": "0123456789abcdef"}))
    found = run("info", "--workspace", folder, "--json").json
    assert found["stages"]["model"]["state"] == "stale"
    assert not found["usable"]
    run("recommend", "--workspace", folder, "--instruction", "pizza").refused("model is stale", "0123456789abcdef", "train")


def test_build_keeps_what_has_not_changed(run: Run, built: Path, tables: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(built, folder)
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}
    argv = [
        "build",
        "--source",
        "tables",
        "--path",
        tables,
        "--preset",
        "tiny",
        "--set",
        "data.min_users=1",
        "--workspace",
        folder,
    ]
    answer = run(*argv, "--json")
    assert answer.code == 0, answer.err
    assert set(answer.json["stages"]) == {"dataset", "grounding", "tokens"}
    assert times == {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}
    assert run(*argv, "--set", "tokens.codes=6", "--json").json["stages"]["tokens"]["settings"]["codes"] == 6
    assert (
        times[folder / "grounding" / "vectors.safetensors"] == (folder / "grounding" / "vectors.safetensors").stat().st_mtime_ns
    )


def test_evaluate(run: Run, trained: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(trained, folder)
    found = run("evaluate", "--workspace", folder, "--split", "validation", "--limit", 5, "--json").json
    assert found["split"] == "validation"
    assert {"SIGMA", "popularity", "own frequency"} <= {row["recommender"] for row in found["results"]}
    assert {"commit", "date", "machine"} <= set(found)
    assert run("info", "--workspace", folder, "--json").json["stages"]["evaluation"]["state"] == "ok"


def test_bench_latency(run: Run, trained: Path) -> None:
    found = run("bench", "latency", "--workspace", trained, "--repeats", 2, "--json").json
    assert set(found) == {"machine", "commit", "date", "rows"}
    for row in found["rows"]:
        assert set(row) == {"recipe", "backbone", "history", "K", "M", "first_ms", "p50_ms", "p95_ms", "by_step_ms"}
        assert 0 < row["p50_ms"] <= row["p95_ms"]
        assert {"prompt", "prefixes", "subsets", "fusion"} <= set(row["by_step_ms"])


def test_bench_decode(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan((300, 2000), ((3, 16),), (5, 20), 300, 300, (4,))
    monkeypatch.setitem(decode.PLANS, "quick", plan)
    monkeypatch.setattr(decode, "_BUDGET_S", 0.001)
    monkeypatch.setattr(decode, "_WORDS", (0,))
    monkeypatch.setattr(decode, "_PAIRS", 3)
    found = run("bench", "decode", "--quick", "--repeats", 2, "--json").json
    assert set(found) == {"machine", "commit", "date", "rows"}
    steps = [row for row in found["rows"] if "items" in row]
    contract = {"items", "levels", "codes", "beams", "method", "step_ms", "build_s", "bytes_per_item", "illegal"}
    for row in steps:
        assert set(row) == contract | {"worst_ms"}
        free = row["method"] == decode.NONE
        assert (row["illegal"] > 0, row["step_ms"] > 0, row["bytes_per_item"] > 0) == (free, not free, not free)
        assert row["step_ms"] <= row["worst_ms"]
    assert {(row["items"], row["method"]) for row in steps if "prefix" in row["method"]} == {(300, "prefix_allowed_tokens_fn")}
    assert {row["beams"] for row in steps} == {5, 20}
    whole = {row["generation"]: row for row in found["rows"] if "generation" in row}
    assert all({"generation", "beams", "ms_per_request"} <= set(row) and row["ms_per_request"] > 0 for row in whole.values())
    for name, row in whole.items():
        assert row["identical"] == 1 or "full" not in name or decode.NONE in name
        assert row["invalid"] == 0 or decode.NONE in name
        assert (row["over_free"] is not None) == (name == "trie kernel, full normaliser")
    run("bench", "fusion", "--quick").refused("--quick", "bench decode")


@pytest.mark.parametrize("what", [name for name in BENCHES if name not in ("latency", "fusion", "decode", "startup")])
def test_later_benches_say_so(run: Run, what: str) -> None:
    run("bench", what).refused(what, "later release")


def test_help_and_errors_do_not_load_torch(trained: Path) -> None:
    calls: list[tuple[list[str], int]] = [
        (["--help"], 0),
        (["recommend", "--instruction", ""], 1),
        (["recommend", "--instruction", "a", "--workspace", "/nowhere"], 1),
        (["train", "--workspace", str(trained), "--preset", "unheard-of"], 1),
        (["info", "--workspace", str(trained)], 0),
        (["recommend", "--instruction", "a", "--workspace", str(trained), "--user", "nobody"], 1),
        (["recommend", "--instruction", "a", "--workspace", str(trained), "--category", "spaceships"], 1),
    ]
    code = f"""
import sys
from backend.cli import main
for argv, expected in {calls!r}:
    assert main(argv) == expected, argv
    assert "torch" not in sys.modules, argv
    assert len(argv) > 1 or "pandas" not in sys.modules, argv
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_json_owns_standard_output_of_a_real_process(trained: Path) -> None:
    argv = ["recommend", "--workspace", str(trained), "--instruction", "pizza", "--json"]
    done = subprocess.run([sys.executable, "-m", "backend", *argv], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)) == KEYS


def test_a_closed_pipe_is_no_error(trained: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m backend info --workspace {trained} | true", shell=True, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr


def test_main_restores_standard_output() -> None:
    before = sys.stdout
    assert main(["recommend", "--instruction", "", "--json"]) == 1
    assert sys.stdout is before
