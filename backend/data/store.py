"""The dataset stage of a workspace: writing it, opening it, making it again.

- A stage holds the four tables as parquet, or only the recipe (`"materialise"` in the manifest): the shipped demo does not
  carry the benchmark's tables but makes them once from the installed package, into the cache.
- The manifest holds the content's fingerprint. Whatever is opened is hashed and compared, so a damaged or different table
  never gets past here.
- A cache that cannot be read is logged and made again; one that cannot be written is done without.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock
from pydantic import ValidationError

from backend.data import complete_journey, tables
from backend.data.assemble import content_fingerprint, typed
from backend.data.schema import TABLES, Dataset
from backend.data.statistics import statistics
from backend.errors import WorkspaceError
from backend.progress import Progress, Report, silent
from backend.settings import DataSettings
from backend.workspace import Workspace, cache_dir

STAGE = "dataset"
SOURCES: Mapping[str, Callable[[DataSettings, Report], Dataset]] = {
    "complete-journey": complete_journey.load,
    "tables": tables.load,
}
_log = logging.getLogger(__name__)


def load_source(settings: DataSettings, report: Report = silent) -> Dataset:
    """Build the dataset from its source.

    Raises:
        TableError: a table of the source is missing or breaks the schema.
    """
    return SOURCES[settings.source](settings, report)


def stage_settings(settings: DataSettings, content: str) -> dict[str, Any]:
    """What the stage's fingerprint covers: the settings and the content itself."""
    return {**settings.model_dump(mode="json"), "content": content}


def write_dataset(workspace: Workspace, settings: DataSettings, report: Report = silent, keep_tables: bool = True) -> Dataset:
    """Build the dataset and write the stage.

    Args:
        workspace: where to write.
        settings: source and dates.
        report: takes progress events.
        keep_tables: False writes only the recipe; the tables are then made from the source when the workspace is opened.

    Raises:
        TableError: the source breaks the schema.
        WorkspaceError: the folder cannot be written.
    """
    workspace.check_writable()
    began = time.perf_counter()
    dataset = load_source(settings, report)
    report(Progress(STAGE, 0, 1, "writing the tables"))
    with workspace.write(STAGE, stage_settings(settings, dataset.fingerprint), seed=0) as stage:
        stage.seconds = time.perf_counter() - began
        stage.extra = {"name": dataset.name, "content": dataset.fingerprint}
        stage.metrics = statistics(dataset, settings)
        if keep_tables:
            for table in TABLES:
                stage.table(table, getattr(dataset, table))
        else:
            stage.extra["materialise"] = settings.source
    report(Progress(STAGE, 1, 1, "written"))
    return dataset


def open_dataset(workspace: Workspace, report: Report = silent) -> Dataset:
    """The workspace's dataset.

    Raises:
        WorkspaceError: the stage is missing, damaged, or its content is not what the manifest says; names both sides.
    """
    stage = workspace.stage(STAGE)
    try:
        name, content = str(stage.manifest["name"]), str(stage.manifest["content"])
    except KeyError as error:
        raise WorkspaceError(f"the dataset's manifest lacks {error}", str(stage.path), "build the workspace again") from error
    if "materialise" in stage.manifest:
        return _materialise(name, content, dataset_settings(workspace), stage.path, report)
    dataset = _gather(name, {table: stage.table(table) for table in TABLES}, stage.path)
    if dataset.fingerprint != content:
        raise WorkspaceError(
            f"the tables have content {dataset.fingerprint}, the manifest says {content}",
            str(stage.path),
            "build this stage again",
        )
    return dataset


def dataset_settings(workspace: Workspace) -> DataSettings:
    """The settings that the dataset stage was made with.

    Raises:
        WorkspaceError: missing stage, or settings that this program does not know.
    """
    stage = workspace.stage(STAGE)
    try:
        return DataSettings(**{key: value for key, value in stage.manifest["settings"].items() if key != "content"})
    except (KeyError, AttributeError, TypeError, ValidationError) as error:
        raise WorkspaceError("the dataset's settings cannot be read", str(stage.path), "build the workspace again") from error


def _gather(name: str, frames: Mapping[str, pd.DataFrame], path: Path) -> Dataset:
    """A dataset from stored tables.

    Raises:
        WorkspaceError: a table lacks a column or holds another type than the schema's.
    """
    try:
        ready = {table: typed(table, frames[table]) for table in TABLES}
    except (KeyError, ValueError, TypeError) as error:
        raise WorkspaceError(f"a stored table breaks the schema: {error}", str(path), "build this stage again") from error
    return Dataset(name, **ready, fingerprint=content_fingerprint(*ready.values()))


def _materialise(name: str, content: str, settings: DataSettings, stage: Path, report: Report) -> Dataset:
    """The tables of a stage that holds only its recipe: from the cache, or from the source, once."""
    folder = cache_dir() / "datasets" / content
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            dataset = _from_cache(name, content, folder)
            if dataset is None:
                dataset = _from_source(content, settings, stage, report)
                _to_cache(dataset, folder)
    except OSError as error:
        _log.warning("the cache %s cannot be used (%s); making the tables in memory", folder, error)
        dataset = _from_source(content, settings, stage, report)
    return dataset


def _from_source(content: str, settings: DataSettings, stage: Path, report: Report) -> Dataset:
    dataset = load_source(settings, report)
    if dataset.fingerprint != content:
        raise WorkspaceError(
            f"the installed source makes a dataset with content {dataset.fingerprint}, the workspace was made from {content}",
            str(stage),
            "run `pip install -r requirements.txt`, or build the workspace again",
        )
    return dataset


def _from_cache(name: str, content: str, folder: Path) -> Dataset | None:
    if not folder.is_dir():
        return None
    try:
        dataset = _gather(name, {table: pd.read_parquet(folder / f"{table}.parquet") for table in TABLES}, folder)
    except (OSError, ValueError, WorkspaceError) as error:  # pyarrow's errors are ValueErrors
        _log.warning("the cached tables in %s cannot be read (%s); making them again", folder, error)
        return None
    if dataset.fingerprint != content:
        _log.warning("the cached tables in %s have content %s; making them again", folder, dataset.fingerprint)
        return None
    return dataset


def _to_cache(dataset: Dataset, folder: Path) -> None:
    """Write to a temporary folder and rename; the caller holds the lock."""
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for table in TABLES:
            getattr(dataset, table).to_parquet(temporary / f"{table}.parquet", index=False, compression="zstd")
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    except OSError as error:
        _log.warning("the tables cannot be kept in %s: %s", folder, error)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
