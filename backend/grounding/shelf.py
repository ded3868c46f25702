"""A shelf of things that can be made again: maps, text vectors, reports. One file each, found by name.

Looked for in the workspace's own `atlas/` folder first (the demo ships one), then in the user's cache, which alone is written to.
A file is written to a temporary sibling and renamed; one that cannot be read counts as absent, and says so in the log.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from backend.disk import replacing
from backend.workspace import cache_dir

FOLDER = "atlas"
_Read = TypeVar("_Read")
_log = logging.getLogger(__name__)


class Shelf:
    """The files of one workspace.

    Args:
        workspace: its folder; what ships lies in `workspace/atlas`.
    """

    def __init__(self, workspace: Path) -> None:
        self.shipped = workspace / FOLDER

    @property
    def own(self) -> Path:
        """The folder that is written to."""
        return cache_dir() / FOLDER

    def find(self, name: str) -> Path | None:
        """Where a file lies; None where it does not."""
        return next((path for path in (self.shipped / name, self.own / name) if path.is_file()), None)

    def table(self, name: str) -> pd.DataFrame | None:
        """The table `name.parquet`; None where it is absent or cannot be read."""
        return self._read(f"{name}.parquet", pd.read_parquet)

    def arrays(self, name: str) -> dict[str, np.ndarray] | None:
        """The arrays of `name.safetensors`; None where they are absent or cannot be read."""
        return self._read(f"{name}.safetensors", load_file)

    def json(self, name: str) -> Any:
        """What `name.json` holds; None where it is absent or cannot be read."""
        return self._read(f"{name}.json", lambda path: json.loads(path.read_text("utf-8")))

    def put_table(self, name: str, table: pd.DataFrame) -> None:
        """Write `name.parquet`."""
        self._write(f"{name}.parquet", lambda path: table.to_parquet(path, index=False, compression="zstd"))

    def put_arrays(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Write `name.safetensors`."""
        whole = {key: np.ascontiguousarray(value) for key, value in arrays.items()}
        self._write(f"{name}.safetensors", lambda path: save_file(whole, path))

    def put_json(self, name: str, value: Any) -> None:
        """Write `name.json`."""
        self._write(f"{name}.json", lambda path: path.write_text(json.dumps(value, indent=1), "utf-8"))

    def _read(self, name: str, read: Callable[[Path], _Read]) -> _Read | None:
        for folder in (self.shipped, self.own):
            try:
                return read(folder / name)
            except FileNotFoundError:
                continue
            except (OSError, ValueError, SafetensorError) as error:  # pyarrow's and json's errors are ValueErrors
                _log.warning("%s cannot be read (%s); it is made again", folder / name, type(error).__name__)
        return None

    def _write(self, name: str, write: Callable[[Path], Any]) -> None:
        with replacing(self.own / name) as aside:
            write(aside)
