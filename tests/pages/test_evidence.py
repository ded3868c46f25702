"""The Evidence page: complete, empty, broken files, sections, downloads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.inspection import evidence
from backend.inspection.evidence import Origin
from pages.components import proof
from tests.inspection.test_evidence import folder as folder  # the same invented files
from tests.pages.conftest import Opened, html_of


@pytest.fixture(autouse=True)
def results(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(evidence, "RESULTS", folder)
    return folder


def test_quality_with_its_origin(opened: Opened) -> None:
    app = opened("evidence")
    assert not app.exception
    drawn = html_of(app)
    for told in (
        "HR@10, every recommender on every task",
        "commit fa4e000",
        "Invented CPU, 2 cores",
        "[0.682, 0.722]",
        "n 2,448",
    ):
        assert told in drawn, told
    assert any("python -m backend evaluate --workspace" in str(code.value) for code in app.code)
    assert any("broken" in str(warning.value) for warning in app.warning)  # a broken file is named, nothing else fails
    app.selectbox("evidence-metric").set_value("ndcg").run()
    assert "NDCG@10, every" in html_of(app)
    app.selectbox("evidence-run").set_value("ablations").run()
    assert "commit abc1234" in html_of(app)
    assert not app.exception


@pytest.mark.parametrize("section", ["Differences", "Ablations", "By task", "By household", "Speed", "Scale", "Making"])
def test_every_section_opens_by_its_link(opened: Opened, section: str) -> None:
    app = opened("evidence", section=section, run="ablations", published="1")
    assert not app.exception
    assert app.segmented_control("evidence-section").value == section
    drawn = html_of(app)
    assert "SIGMA on AliExpress" in drawn  # the toggle of the link
    if section == "Ablations":
        assert "▼ -0.060" in drawn
        assert "What taking a part away costs" in drawn
    if section in ("Speed", "Scale"):
        assert any("not measured yet" in str(info.value) for info in app.info)
        assert any("bench " in str(code.value) for code in app.code)


def test_nothing_was_measured(opened: Opened, results: Path) -> None:
    for path in results.glob("*.json"):
        path.unlink()
    app = opened("evidence", without=("model", "evaluation"))
    assert not app.exception
    assert "not measured yet" in str(app.info[0].value)
    assert any("python -m backend evaluate" in str(code.value) for code in app.code)


def test_a_link_with_nonsense_opens(opened: Opened) -> None:
    app = opened("evidence", section="<script>", metric="zzz", k="ten", run="nobody")
    assert not app.exception
    assert app.segmented_control("evidence-section").value == "Quality"


def test_downloads_hold_their_origin() -> None:
    import pandas as pd

    text = proof.as_json(
        pd.DataFrame({"recommender": ["SIGMA"], "mean": [0.5], "low": [float("nan")]}), Origin("x.json", "do", commit="abc")
    )
    data = json.loads(text)
    assert data["command"] == "do"
    assert data["rows"] == [{"recommender": "SIGMA", "mean": 0.5, "low": None}]
    assert "<script" not in proof.plain(pd.DataFrame({"<script>": ["<script>"]}))
