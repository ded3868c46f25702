"""The cold-start experiment end to end: a workspace that never heard of the items, a model that meets them, and a result that is drawn."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from backend.data.store import open_dataset
from backend.evaluation.cold_items import AMONG_ALL, AMONG_COLD
from backend.evaluation.cold_users import PROFILE_ONLY
from backend.evaluation.report_experiments import cold_start as drawn
from backend.experiments import cold
from backend.experiments.making import settings_of
from backend.experiments.tables import Variant
from backend.progress import Progress
from backend.workspace import Workspace


def test_end_to_end(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cold, "SHARE", 0.2)
    shutil.copytree(trained, tmp_path / "base")
    base = Workspace(tmp_path / "base")
    settings = Variant("held", {"train": {"contexts": 8, "batch": 8}}).settings(settings_of(base))
    found = cold.cold_start(base, tmp_path / "variants", settings, limit=12)
    target = Workspace(tmp_path / "variants" / "held-items")
    whole, known = open_dataset(base), open_dataset(target)
    assert known.n_items == whole.n_items - found["held_items"]
    assert len(target.stage("grounding").arrays("vectors")["text"]) == known.n_items
    assert not target.stale("model")
    assert {AMONG_COLD, AMONG_ALL, PROFILE_ONLY} <= {row["view"] for row in found["results"]}
    names = {row["recommender"] for row in found["results"] if row["view"] == AMONG_COLD}
    assert names == {"SIGMA", "text only", "text only, grounded", "own categories"}
    text = drawn({**found, "command": "python -m backend experiment cold-start"})
    assert f"{found['held_items']} of {whole.n_items} items held out" in text

    stages: list[Progress] = []
    again = cold.cold_start(base, tmp_path / "variants", settings, limit=12, report=stages.append)
    assert "training" not in {event.stage for event in stages}  # kept
    assert again["results"] == found["results"]
