"""The command that measures reading: a wrong file or workspace is one clear line, nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.commands.reading import main


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


def test_what_a_model_hears_is_told_apart_from_what_the_page_reads(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = {}
    for flags in ((), ("--heard",)):
        assert main(["--workspace", str(trained), *flags]) == 0
        told[flags] = capsys.readouterr().out
    right = {flags: float(text.rsplit("\nall ", 1)[1].split()[0]) for flags, text in told.items()}
    assert right["--heard",] > 0.9  # chance is a quarter; .96 over the shipped catalogue
    assert right["--heard",] != right[()], "two readers"
