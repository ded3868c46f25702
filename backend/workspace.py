"""The artefact store: a workspace is a folder of stages, each whole or absent.

- A stage is written to a temporary sibling folder and renamed, so a crash at any moment leaves the old stage whole.
- `manifest.json` holds schema version, settings, fingerprints of the input stages, library versions, seed and metrics.
- A stage's fingerprint is the hash of its settings and its inputs' fingerprints: when an input changes, the stage is stale,
  which is shown and never silently reused.
- Arrays are safetensors, tables are parquet, the rest is JSON; nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import platformdirs
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from backend.disk import disk_error
from backend.errors import WorkspaceError

SCHEMA_VERSION = 3  # 2: names in the item store, demands in the model; 3: the trend in the item store
STAGES = ("dataset", "grounding", "tokens", "model", "evaluation")  # in the order in which data flows
EXTRAS = ("jd", "judge", "policy")  # stages of the other recipes: a workspace is whole without them
_COMMANDS = {  # what makes a stage; every other one: build
    "model": "train", "evaluation": "evaluate", "jd": "train --recipe jd", "judge": "train --recipe sgrec",
    "policy": "train --recipe sgrec",
}  # fmt: skip
INPUTS: Mapping[str, tuple[str, ...]] = {
    "dataset": (),
    "grounding": ("dataset",),
    "tokens": ("grounding",),
    "model": ("dataset", "tokens"),
    "evaluation": ("model",),
    "jd": ("dataset", "grounding"),
    "judge": ("dataset", "tokens"),
    "policy": ("model", "judge"),
}
DEMO = Path(__file__).parent.parent / "assets" / "demo"
_LIBRARIES = ("torch", "transformers", "peft", "faiss-cpu", "pandas", "numpy")


def cache_dir() -> Path:
    """Folder for things that can be made again: unpacked weights, materialised tables. `SIGMASCOPE_CACHE` overrides it."""
    path = Path(os.environ.get("SIGMASCOPE_CACHE") or platformdirs.user_cache_dir("sigmascope"))
    path.mkdir(parents=True, exist_ok=True)
    return path


def command_of(stage: str, folder: Path | str) -> str:
    """The command that makes a stage of a workspace (again)."""
    return f"python -m backend {_COMMANDS.get(stage, 'build')} --workspace {folder}"


def fingerprint(value: Any) -> str:
    """Short stable hash of any JSON-able value."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def provenance() -> dict[str, Any]:
    """Who made a result: commit ("+" where this folder differs from it), date, machine, library versions. Stored beside every figure."""
    return {
        "commit": running_commit(),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {"cpu": _cpu_name(), "cores": os.cpu_count(), "python": platform.python_version()},
        "libraries": {name: _version(name) for name in _LIBRARIES},
    }


@cache
def running_commit() -> str:
    """The commit of the program that runs. Asked once a process and early: a long run may outlive the commit that it began with."""
    return _commit(Path(__file__).parent)


def _commit(folder: Path) -> str:
    """The commit that a folder is at, with "+" where its files are not as the commit has them."""
    try:
        shown = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=folder, capture_output=True, text=True, check=True)
        changed = subprocess.run(["git", "status", "--porcelain", "."], cwd=folder, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return shown.stdout.strip() + ("+" if changed.stdout else "")


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


@dataclass(frozen=True)
class Stage:
    """One finished stage: its folder and its manifest."""

    name: str
    path: Path
    manifest: dict[str, Any]

    @property
    def fingerprint(self) -> str:
        """Hash of settings and inputs, as stored when the stage was written."""
        return str(self.manifest["fingerprint"])

    @property
    def metrics(self) -> dict[str, Any]:
        """Figures measured while the stage was made."""
        return dict(self.manifest.get("metrics", {}))

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """Arrays of `name.safetensors`.

        Raises:
            WorkspaceError: the file is missing or damaged.
        """
        path = self.path / f"{name}.safetensors"
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise _damaged(self.name, path, error) from error

    def table(self, name: str) -> pd.DataFrame:
        """Table of `name.parquet`.

        Raises:
            WorkspaceError: the file is missing or damaged.
        """
        path = self.path / f"{name}.parquet"
        try:
            return pd.read_parquet(path)
        except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
            raise _damaged(self.name, path, error) from error

    def json(self, name: str) -> Any:
        """Content of `name.json`.

        Raises:
            WorkspaceError: the file is missing or damaged.
        """
        path = self.path / f"{name}.json"
        try:
            return json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise _damaged(self.name, path, error) from error


class StageWriter:
    """Collects the files of a stage in a temporary folder; see `Workspace.write`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metrics: dict[str, Any] = {}  # goes into the manifest
        self.extra: dict[str, Any] = {}  # further manifest entries
        self.seconds = 0.0  # work done before the writing began; the manifest holds it together with the writing

    def arrays(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Write `name.safetensors`."""
        save_file({key: np.ascontiguousarray(value) for key, value in arrays.items()}, self.path / f"{name}.safetensors")

    def table(self, name: str, frame: pd.DataFrame) -> None:
        """Write `name.parquet`."""
        frame.to_parquet(self.path / f"{name}.parquet", index=False, compression="zstd")

    def json(self, name: str, value: Any) -> None:
        """Write `name.json`."""
        (self.path / f"{name}.json").write_text(json.dumps(value, indent=1, default=str), "utf-8")


class Workspace:
    """A folder of stages.

    Args:
        path: the folder; made on the first write.
        read_only: refuse every write (the shipped demo).
    """

    def __init__(self, path: Path | str, read_only: bool = False) -> None:
        self.path = Path(path)
        self.read_only = read_only

    @classmethod
    def open(cls, path: Path | str | None = None) -> Workspace:
        """An existing workspace; None opens the shipped demo, read-only.

        Raises:
            WorkspaceError: the folder does not exist or holds no stage.
        """
        folder = DEMO if path is None else Path(path)
        workspace = cls(folder, read_only=folder.resolve() == DEMO.resolve())
        if not folder.is_dir():
            raise WorkspaceError("no such workspace", str(folder), "make one with `python -m backend build --workspace DIR`")
        if not any((folder / stage / "manifest.json").is_file() for stage in STAGES):
            raise WorkspaceError(
                "this folder holds no workspace", str(folder), "make one with `python -m backend build --workspace DIR`"
            )
        return workspace

    def has(self, name: str) -> bool:
        """Whether the stage is there (whole)."""
        return (self.path / name / "manifest.json").is_file()

    def stage(self, name: str) -> Stage:
        """A finished stage.

        Raises:
            WorkspaceError: missing, damaged, or of another schema version.
        """
        path = self.path / name / "manifest.json"
        if not path.is_file():
            raise WorkspaceError(f"the workspace has no {name} stage", str(self.path), f"run `{command_of(name, self.path)}`")
        try:
            manifest = json.loads(path.read_text("utf-8"))
            version = manifest["schema_version"]
            manifest["fingerprint"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _damaged(name, path, error) from error
        if version != SCHEMA_VERSION:
            raise WorkspaceError(
                f"stage {name} has schema version {version}, this program reads {SCHEMA_VERSION}", str(path), "build it again"
            )
        return Stage(name, path.parent, manifest)

    def stale(self, name: str) -> str:
        """Why the stage does not belong to its inputs as they are now; empty when it does."""
        stage = self.stage(name)
        for source in INPUTS[name]:
            if not self.has(source):
                return f"its input {source} is gone"
            found, expected = self.stage(source).fingerprint, stage.manifest["inputs"].get(source)
            if found != expected:
                return f"made from {source} {expected}, but {source} is now {found}"
        return ""

    def fits(self, name: str) -> bool:
        """Whether the stage is there, can be read, and belongs to its inputs as they are now."""
        try:
            return self.has(name) and not self.stale(name)
        except (WorkspaceError, KeyError, TypeError):
            return False

    def fresh_stage(self, name: str) -> Stage:
        """The stage, checked against its inputs.

        Raises:
            WorkspaceError: missing, damaged or stale; the message names both sides.
        """
        reason = self.stale(name)
        if reason:
            raise WorkspaceError(f"stage {name} is stale: {reason}", str(self.path), f"run `{command_of(name, self.path)}`")
        return self.stage(name)

    def expected_fingerprint(self, name: str, settings: Mapping[str, Any]) -> str:
        """The fingerprint that a stage made now, with these settings, would get."""
        inputs = {source: self.stage(source).fingerprint for source in INPUTS[name]}
        return fingerprint({"stage": name, "settings": dict(settings), "inputs": inputs, "schema": SCHEMA_VERSION})

    @contextmanager
    def write(self, name: str, settings: Mapping[str, Any], seed: int) -> Iterator[StageWriter]:
        """Write a stage atomically: files go to a temporary folder which is renamed when the block ends without an error.

        Raises:
            WorkspaceError: read-only, no permission, disk full, or another process is writing the same workspace.
        """
        self.check_writable()
        fresh = self.expected_fingerprint(name, settings)
        temporary = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=self.path))
        temporary.chmod(0o755)  # mkdtemp makes private folders; a workspace is shared like any other folder
        lock = FileLock(self.path / ".lock", timeout=5)
        try:
            writer = StageWriter(temporary)
            started = time.perf_counter()
            yield writer
            writer.json(
                "manifest",
                {
                    "schema_version": SCHEMA_VERSION,
                    "stage": name,
                    "fingerprint": fresh,
                    "settings": dict(settings),
                    "inputs": {source: self.stage(source).fingerprint for source in INPUTS[name]},
                    "seed": seed,
                    "seconds": round(writer.seconds + time.perf_counter() - started, 2),
                    "metrics": writer.metrics,
                    **writer.extra,
                    **provenance(),
                },
            )
            with lock:
                target, old = self.path / name, self.path / f".{name}-old"
                shutil.rmtree(old, ignore_errors=True)
                if target.exists():
                    target.rename(old)
                temporary.rename(target)
                shutil.rmtree(old, ignore_errors=True)
        except Timeout as error:
            raise WorkspaceError("another process is writing this workspace", str(self.path), "wait until it is done") from error
        except (OSError, SafetensorError) as error:
            raise disk_error(error, self.path) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def check_writable(self) -> None:
        """Make the folder and try a write in it.

        Raises:
            WorkspaceError: read-only, no permission, or disk full.
        """
        if self.read_only:
            raise WorkspaceError("the demo workspace is read-only", str(self.path), "name another folder with --workspace DIR")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise disk_error(error, self.path) from error


def _damaged(stage: str, path: Path, error: Exception) -> WorkspaceError:
    reason = "missing" if isinstance(error, FileNotFoundError) else f"damaged ({type(error).__name__})"
    return WorkspaceError(f"stage {stage}: file is {reason}", str(path), "build this stage again, or restore the file")
