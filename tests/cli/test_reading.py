"""The command that measures reading: a wrong file or workspace is one clear line, nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.commands import reading
from backend.commands.reading import main
from backend.data.schema import Dataset
from backend.grounding.encoders import shared_text_encoder
from backend.instructions.catalogue import prepare
from backend.instructions.trained import reader_of
from backend.workspace import Workspace


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"no toml = = 1", b"other = 1"])
def test_a_wrong_file_is_one_line(content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "combined.toml"
    if content is not None:
        file.write_bytes(content)
    assert main(["--combined", str(file)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: no combined instructions can be read")
    assert "Traceback" not in err


def test_a_missing_workspace_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--workspace", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err.startswith("error: no such workspace")


def test_an_unknown_task_is_one_line(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--workspace", str(trained), "--tasks", "JustForYou,Nonsense"]) == 1
    assert capsys.readouterr().err.startswith("error: unknown task 'Nonsense'")


def test_tasks_are_those_that_are_named(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--workspace", str(trained), "--tasks", "Category, Query", "--wordings", "40"]) == 0
    told = capsys.readouterr().out
    assert "held-out wordings of 2 tasks" in told
    assert "Discover" not in told


@pytest.mark.parametrize(("flags", "every"), [((), False), (("--tasks", ",".join(reading._EVERY), "--wordings", "10"), True)])
def test_answers_expected_of_all_tasks_are_those_of_all_tasks(
    trained: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...], every: bool
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(reading, "combined", lambda catalogue, wishes, every_task: (asked.append(every_task), ({}, []))[1])
    monkeypatch.setattr(reading, "confusion", lambda *asked: {"Query": {"Query": 1}})  # not looked at here
    assert main(["--workspace", str(trained), "--combined", "tests/instructions/combined.toml", *flags]) == 0
    assert asked == [every]


def test_what_a_model_hears_is_told_apart_from_what_the_page_reads(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = {}
    for flags in ((), ("--heard",), ("--heard", "--wordings", "5")):
        assert main(["--workspace", str(trained), *flags]) == 0
        told[flags] = capsys.readouterr().out
    page, heard, less = (float(text.rsplit("\nall ", 1)[1].split()[0]) for text in told.values())
    assert heard > 0.8  # chance is a quarter
    assert page >= heard, "what is said narrows down what can be asked for"
    assert told[()] != told["--heard",]
    assert heard > less + 0.05, "fitted anew on fewer wordings"


def test_too_few_wordings_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--wordings", "0"]) == 1
    assert capsys.readouterr().err.startswith("error: --wordings 0 is too few")


def test_a_workspaces_reader_is_its_models_own(
    built: Path, trained: Path, tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    catalogue = prepare(tiny_dataset, shared_text_encoder().known_vectors)
    assert reader_of(Workspace.open(str(built)), catalogue) is None, "no model yet"
    reader = reader_of(Workspace.open(str(trained)), catalogue)
    assert reader is not None
    assert sum(reader.of("surprise me with something new").values()) == pytest.approx(1.0, abs=1e-5)
    monkeypatch.setattr(reading, "fit_demand", lambda *_: pytest.fail("nothing is fitted anew"))
    monkeypatch.setattr(reading, "confusion", lambda *_: {"Query": {"Query": 1}})
    assert main(["--workspace", str(trained)]) == 0
