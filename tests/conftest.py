"""Fixtures that all rooms share: the Complete Journey dataset, a tiny one, and throw-away workspaces."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

# the tests run in two processes: one thread each, for idle threads of two spin on the same two cores; before torch is imported
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from backend.cli import main
from backend.data.complete_journey import load
from backend.data.schema import Dataset
from backend.settings import DataSettings
from backend.workspace import Workspace
from tests.shop import SETTINGS, write_tables
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


@pytest.fixture(scope="session")
def tables(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny dataset as a folder of tables, as a user would bring them."""
    return write_tables(tiny_dataset, tmp_path_factory.mktemp("tables"))


@pytest.fixture(scope="session")
def built(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with dataset, grounding and tokens, made by the command line. Copy it before changing it."""
    folder = tmp_path_factory.mktemp("built") / "workspace"
    assert main(["build", "--source", "tables", "--path", str(tables), "--workspace", str(folder), *SETTINGS]) == 0
    return folder


@pytest.fixture(scope="session")
def trained(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a trained model too. Copy it before changing it."""
    folder = tmp_path_factory.mktemp("trained") / "workspace"
    shutil.copytree(built, folder)
    assert main(["train", "--workspace", str(folder), *SETTINGS]) == 0
    return folder


@pytest.fixture(scope="session")
def aligned(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained workspace with a judge and policies too; two arms. Copy it before changing it."""
    folder = tmp_path_factory.mktemp("aligned") / "workspace"
    shutil.copytree(trained, folder)
    arms = ["--set", 'policy.arms=["business only","a2po"]', "--set", "policy.lr=0.01"]
    assert main(["train", "--recipe", "sgrec", "--workspace", str(folder), "--preset", "tiny", *arms]) == 0
    return folder
