"""The dataset stage: round trip, materialising, damage."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from backend.data import store
from backend.data.schema import TABLES, Dataset
from backend.data.store import dataset_settings, open_dataset, write_dataset
from backend.errors import WorkspaceError
from backend.settings import DataSettings
from backend.workspace import Workspace

SETTINGS = DataSettings(min_users=1)


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch, tiny_dataset: Dataset) -> list[DataSettings]:
    """The tiny dataset in place of the package; the list counts how often it was made."""
    made: list[DataSettings] = []

    def load(settings: DataSettings, report: object = None) -> Dataset:
        made.append(settings)
        return tiny_dataset

    monkeypatch.setattr(store, "SOURCES", {"complete-journey": load})
    return made


def same(left: Dataset, right: Dataset) -> bool:
    for table in TABLES:
        pd.testing.assert_frame_equal(getattr(left, table), getattr(right, table))
    return (left.name, left.fingerprint) == (right.name, right.fingerprint)


def test_round_trip(source: list[DataSettings], tmp_workspace: Workspace, tiny_dataset: Dataset) -> None:
    assert same(write_dataset(tmp_workspace, SETTINGS), tiny_dataset)
    assert same(open_dataset(tmp_workspace), tiny_dataset)
    assert len(source) == 1
    assert dataset_settings(tmp_workspace) == SETTINGS
    assert tmp_workspace.stage("dataset").metrics["items"] == 60


def test_other_content_gives_another_stage_fingerprint(
    source: list[DataSettings], tmp_workspace: Workspace, tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_dataset(tmp_workspace, SETTINGS)
    before = tmp_workspace.stage("dataset").fingerprint
    other = Dataset("tiny", tiny_dataset.items, tiny_dataset.users, tiny_dataset.events, tiny_dataset.queries, "another")
    monkeypatch.setattr(store, "SOURCES", {"complete-journey": lambda settings, report: other})
    write_dataset(tmp_workspace, SETTINGS)
    assert tmp_workspace.stage("dataset").fingerprint != before


def test_a_recipe_is_materialised_once_into_the_cache(
    source: list[DataSettings], tmp_workspace: Workspace, tiny_dataset: Dataset, own_cache: Path
) -> None:
    write_dataset(tmp_workspace, SETTINGS, keep_tables=False)
    assert [path.name for path in (tmp_workspace.path / "dataset").iterdir()] == ["manifest.json"]
    assert same(open_dataset(tmp_workspace), tiny_dataset)
    assert same(open_dataset(tmp_workspace), tiny_dataset)
    assert len(source) == 2  # written, materialised, then read from the cache


@pytest.mark.parametrize("damage", ["cut", "missing", "other"])
def test_a_damaged_cache_is_made_again(
    source: list[DataSettings], tmp_workspace: Workspace, tiny_dataset: Dataset, own_cache: Path, damage: str
) -> None:
    write_dataset(tmp_workspace, SETTINGS, keep_tables=False)
    open_dataset(tmp_workspace)
    file = next(own_cache.glob("datasets/*/events.parquet"))
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:1000])
    elif damage == "missing":
        file.unlink()
    else:
        tiny_dataset.events.iloc[:-1].to_parquet(file, index=False)
    assert same(open_dataset(tmp_workspace), tiny_dataset)
    assert len(source) == 3
    assert same(open_dataset(tmp_workspace), tiny_dataset)
    assert len(source) == 3


def test_an_unusable_cache_is_done_without(
    source: list[DataSettings], tmp_workspace: Workspace, tiny_dataset: Dataset, own_cache: Path
) -> None:
    write_dataset(tmp_workspace, SETTINGS, keep_tables=False)
    own_cache.mkdir()
    (own_cache / "datasets").write_text("a file where the folder should be")
    assert same(open_dataset(tmp_workspace), tiny_dataset)


def test_a_source_that_changed_is_refused_with_both_sides(
    source: list[DataSettings], tmp_workspace: Workspace, tiny_dataset: Dataset, own_cache: Path
) -> None:
    write_dataset(tmp_workspace, SETTINGS, keep_tables=False)
    path = tmp_workspace.path / "dataset" / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "content": "0123456789abcdef"}))
    with pytest.raises(WorkspaceError, match=rf"{tiny_dataset.fingerprint}.*0123456789abcdef"):
        open_dataset(tmp_workspace)


@pytest.mark.parametrize("table", list(TABLES))
def test_damaged_tables_are_refused(source: list[DataSettings], tmp_workspace: Workspace, table: str) -> None:
    write_dataset(tmp_workspace, SETTINGS)
    path = tmp_workspace.path / "dataset" / f"{table}.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WorkspaceError, match=rf"{table}\.parquet"):
        open_dataset(tmp_workspace)
    path.unlink()
    with pytest.raises(WorkspaceError, match="missing"):
        open_dataset(tmp_workspace)


def test_a_table_of_other_content_or_schema_is_refused(
    source: list[DataSettings], tmp_workspace: Workspace, tiny_dataset: Dataset
) -> None:
    write_dataset(tmp_workspace, SETTINGS)
    path = tmp_workspace.path / "dataset" / "items.parquet"
    tiny_dataset.items.assign(price=1.0).to_parquet(path, index=False)
    with pytest.raises(WorkspaceError, match="the manifest says"):
        open_dataset(tmp_workspace)
    tiny_dataset.items.drop(columns="price").to_parquet(path, index=False)
    with pytest.raises(WorkspaceError, match="breaks the schema"):
        open_dataset(tmp_workspace)


def test_a_manifest_without_its_entries_is_refused(source: list[DataSettings], tmp_workspace: Workspace) -> None:
    write_dataset(tmp_workspace, SETTINGS)
    path = tmp_workspace.path / "dataset" / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["content"]
    path.write_text(json.dumps(manifest))
    with pytest.raises(WorkspaceError, match="'content'"):
        open_dataset(tmp_workspace)
    path.write_text(json.dumps({**manifest, "settings": {"source": "the moon"}}))
    with pytest.raises(WorkspaceError, match="settings cannot be read"):
        dataset_settings(tmp_workspace)
