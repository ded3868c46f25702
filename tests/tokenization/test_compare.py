"""Two tokenizations against each other, by hand; the verdicts at their thresholds; what is kept on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.settings import TokenSettings
from backend.tokenization.alarms import Thresholds, verdicts
from backend.tokenization.compare import Tokenization, compare, describe, tokenize


def made(first: list[int]) -> Tokenization:
    sids = np.column_stack([first, np.arange(len(first))])
    level = {"usage": 1.0, "perplexity": 2.0, "reconstruction_error": 0.5, "purity": 0.5, "prefixes": 2}
    report = {"items": len(first), "levels": [level, level], "collisions": 0, "largest_prefix": 3, "smallest_prefix": 1}
    return Tokenization("x", sids, report)


def test_other_names_for_the_same_prefixes_move_nothing() -> None:
    found = compare(made([0, 0, 0, 1, 1, 2]), made([5, 5, 5, 3, 3, 9]))
    assert found.moved == 0
    assert found.items["company"].tolist() == [1.0] * 6
    assert found.agreement["information"].iat[0] == pytest.approx(1.0)
    assert np.diag(found.overlap).tolist() == [3, 2, 1]
    assert found.overlap.sum() == 6


def test_one_item_that_moves() -> None:
    found = compare(made([0, 0, 0, 1, 1]), made([0, 0, 1, 1, 1]))
    assert found.items["moved"].tolist() == [False, False, True, False, False]
    # item 0 has company {1, 2} here and {1} there; item 2 has {0, 1} and {3, 4}
    assert found.items["company"].tolist() == pytest.approx([1 / 2, 1 / 2, 0, 1 / 2, 1 / 2])
    assert found.overlap.shape == (2, 2)


def test_more_prefixes_on_one_side() -> None:
    found = compare(made([0, 0, 0, 0]), made([0, 0, 1, 2]))
    assert found.moved == 2
    assert found.overlap.tolist() == [[2, 1, 1]]
    assert sorted(found.columns.tolist()) == [0, 1, 2]


def test_a_tokenization_is_kept_and_a_broken_file_is_made_again(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    settings, path = TokenSettings(levels=2, codes=4, iterations=4), tmp_path / "sub" / "kept.safetensors"
    one = tokenize(vectors, ["a"] * 60, settings, 7, path)
    assert one.name == describe(settings) == "RQ-KMeans 2 × 4, balance 1.3"
    path.write_bytes(path.read_bytes())
    again = tokenize(vectors + 1, ["a"] * 60, settings, 7, path)  # other vectors would give other codes: it was read
    np.testing.assert_array_equal(again.sids, one.sids)
    assert again.health == one.health
    path.write_bytes(b"broken")
    np.testing.assert_array_equal(tokenize(vectors, ["a"] * 60, settings, 7, path).sids, one.sids)
    assert [file.name for file in path.parent.iterdir()] == ["kept.safetensors"], "no temporary file is left"


def report(**update: float) -> dict:
    level = {"level": 1, "usage": 1.0, "perplexity": 60.0, "reconstruction_error": 0.5, "purity": 0.6, "prefixes": 50}
    second = {**level, "level": 2, "perplexity": 40.0}
    level |= {name: value for name, value in update.items() if name in level}
    rest = {"items": 1000, "collisions": 0, "largest_prefix": 26, "smallest_prefix": 10}
    return {**rest, **{name: value for name, value in update.items() if name in rest}, "levels": [level, second]}


@pytest.mark.parametrize(
    ("name", "update", "grade"),
    [
        ("Usage", {"usage": 0.96}, "good"),
        ("Usage", {"usage": 0.9}, "warn"),
        ("Usage", {"usage": 0.5}, "bad"),
        ("Perplexity", {}, "good"),
        ("Perplexity", {"perplexity": 0.6 * 64}, "warn"),
        ("Perplexity", {"perplexity": 0.3 * 64}, "bad"),
        ("Collisions", {"collisions": 90}, "good"),
        ("Collisions", {"collisions": 300}, "warn"),
        ("Collisions", {"collisions": 900}, "bad"),
        ("Skew", {"largest_prefix": 39}, "good"),
        ("Skew", {"largest_prefix": 60}, "warn"),
        ("Skew", {"largest_prefix": 90}, "bad"),
        ("Meaning", {"purity": 0.2}, "warn"),
        ("Meaning", {"purity": 0.1}, "bad"),
    ],
)
def test_verdicts_at_their_thresholds(name: str, update: dict, grade: str) -> None:
    found = {verdict.name: verdict for verdict in verdicts(report(**update), 64)}
    assert found[name].grade == grade
    assert found[name].sentence.endswith(".")
    others = {other for other in found if other != name}
    assert all(found[other].grade == "good" for other in others)


def test_collisions_cost_a_soft_token_model_nothing() -> None:
    plain, soft = (verdicts(report(collisions=900), 64, 1, flag)[2] for flag in (False, True))
    assert (plain.grade, soft.grade) == ("bad", "warn")
    assert "costs it nothing" in soft.sentence
    assert "cannot tell them apart" in plain.sentence
    assert verdicts(report(usage=0.9), 64, thresholds=Thresholds(usage=(0.5, 0.1)))[0].grade == "good"
