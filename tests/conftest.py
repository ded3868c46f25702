"""Fixtures that all rooms share: the Complete Journey dataset, a tiny one, and throw-away workspaces."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.data.complete_journey import load
from backend.data.schema import Dataset
from backend.settings import DataSettings
from backend.workspace import Workspace
from tests.tiny import make_tiny


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of the test's own; the user's cache stays untouched."""
    monkeypatch.setenv("SIGMASCOPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    """Complete Journey as the default settings make it (three seconds, once a run). Treat it as read-only."""
    return load(DataSettings())


@pytest.fixture(scope="session")
def tiny_dataset() -> Dataset:
    """60 items, 40 users, a year of seeded baskets. Treat it as read-only."""
    return make_tiny()


@pytest.fixture
def tmp_workspace(tmp_path: Path) -> Workspace:
    """An empty, writable workspace."""
    return Workspace(tmp_path / "workspace")
