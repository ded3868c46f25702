"""Seen and unseen wordings of the same questions; what lists share, on lists that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from backend.data.schema import Dataset
from backend.data.split import split
from backend.evaluation import wordings as w
from backend.evaluation.cases import build_cases
from backend.evaluation.questions import Questions
from backend.evaluation.report_experiments import wordings as drawn
from backend.evaluation.stored_lists import StoredLists
from backend.generation.generator import Generator
from backend.instructions.tasks import registry
from backend.instructions.templates import fill, wordings
from backend.settings import DataSettings, FusionSettings
from tests.small import small_model


@pytest.fixture(scope="module")
def asked(tiny_dataset: Dataset) -> Questions:
    parts, tasks = split(tiny_dataset, DataSettings()), registry(tiny_dataset)
    examples = parts.test.head(12)
    cases = build_cases(tiny_dataset, examples, tasks, 3)
    return Questions("test", tiny_dataset, parts, tasks, tasks, examples, None, cases, cases, 3)


def test_only_the_words_differ(asked: Questions) -> None:
    unseen, seen = asked.worded(True), asked.worded(False)
    assert [case.instruction for case in unseen] == [case.instruction for case in asked.asked]
    assert len(unseen) == len(seen)
    for left, right in zip(unseen, seen, strict=True):
        assert (left.user, left.task, left.targets.tolist()) == (right.user, right.task, right.targets.tolist())
        assert left.allowed is right.allowed is None or np.array_equal(left.allowed, right.allowed)
        assert left.wording in wordings(left.task, held_out=True)
        assert right.wording in wordings(right.task, held_out=False)
    plain = [case for case in unseen if "{" not in case.wording]
    assert plain
    assert all(case.instruction == fill(case.wording, {}) for case in plain)


def test_the_whole_measurement(tiny_dataset: Dataset, asked: Questions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(w, "_FEW", 1)
    found = w.measure_wordings(Generator(small_model(tiny_dataset), tiny_dataset), asked, FusionSettings())
    assert {row["recommender"] for row in found["results"]} == {w.OURS, w.SEEN, f"{w.OURS}, {w.FILTER}", f"{w.SEEN}, {w.FILTER}"}
    kept = [row["mean"] for row in found["results"] if row["metric"] == "constraint" and row["recommender"].endswith(w.FILTER)]
    assert kept
    assert kept == pytest.approx([1.0] * len(kept))  # a hard filter lets nothing through
    rows = found["wordings"]
    assert sum(row["n"] for row in rows) == 2 * len(asked.asked)
    assert sum(row["worst"] for row in rows) == 10
    assert [row["against_task"] for row in rows] == sorted(row["against_task"] for row in rows)
    means = {
        (row["task"], row["recommender"]): row["mean"]
        for row in found["results"]
        if (row["metric"], row["k"], row["view"]) == ("hr", 10, "all")
    }
    for task in ("JustForYou", "Category", "Query", "Discover"):
        own = [row for row in rows if row["task"] == task and not row["seen"]]
        assert sum(row["hr@10"] * row["n"] for row in own) / sum(row["n"] for row in own) == pytest.approx(
            means[task, w.OURS], abs=1e-6
        )
        for row in found["confusion"]:
            if row["task"] == task:
                assert row[task] == row["right"]
                assert sum(row[other] for other in ("JustForYou", "Category", "Query", "Discover")) == pytest.approx(1)
    text = drawn({**found, "split": "test", "command": "x"})
    assert "unseen wordings" in text
    assert "None" not in text


def test_shared_items() -> None:
    left = np.array([[1, 2, 3, 4], [1, 2, -1, -1], [-1, -1, -1, -1]])
    right = np.array([[4, 3, 9, 8], [2, -1, -1, -1], [1, 2, 3, 4]])
    np.testing.assert_allclose(w.shared(left, right), [0.5, 0.5, 0.0])


def test_overlap_pairs_households(asked: Questions) -> None:
    cases = [case for case in asked.asked if case.task in ("JustForYou", "Query")]
    keys = {(case.user, case.start, case.task, "allow"): row for row, case in enumerate(cases)}
    lists = np.stack([np.arange(20) + (5 if case.task == "Query" else 0) for case in cases])
    same = StoredLists("one", lists, keys)
    rows = {(row["task"], row["other"]): row for row in w.overlap(same, same, cases, ["JustForYou", "Query"], 3)}
    assert rows["JustForYou", "JustForYou"]["shared"] == 1.0
    assert rows["JustForYou", "Query"]["shared"] == 0.5
    assert rows["JustForYou", "Query"]["n"] == sum(case.task == "Query" for case in cases)
