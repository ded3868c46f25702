"""The fusion lab: its lists are those of the evaluation, its figures those of the metrics, its reasons add up to the score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from backend.bench import fusion as bench
from backend.data.prices import log_price
from backend.data.schema import Dataset
from backend.data.split import split
from backend.errors import Cancelled, RequestError, WorkspaceError
from backend.evaluation import lab_store, metrics
from backend.evaluation.cases import Case, build_cases
from backend.evaluation.components import Components, compute
from backend.evaluation.fusion_lab import MEAN, FusionLab, front, moved
from backend.evaluation.intervals import difference
from backend.evaluation.lab_build import build
from backend.evaluation.lab_cases import LabCases
from backend.evaluation.optimise import optimise
from backend.evaluation.rescoring import rescore, spacing
from backend.evaluation.sigma import SigmaRecommender
from backend.evaluation.why_moved import TERMS, terms_of, why
from backend.generation.generator import Generator
from backend.instructions.tasks import registry
from backend.progress import CancelToken
from backend.settings import DataSettings, FusionSettings, LabSettings
from backend.workspace import StageWriter
from tests.judged import FakeJudge
from tests.small import small_model

SHIPPED = FusionSettings(beams=64, per_prefix=200, top=10, tau=0.05, repeat_weight=0.8)
OTHERS = [
    {"apf": False, "tau": 0.1, "repeat_weight": 0.0},
    {"sigma_domain": "probability", "tau": 0.02, "prefix_weight": 0.5, "popularity_weight": -1.0},
    {"sigma_domain": "renormalised", "item_weight": 2.0},
    {"beams": 2, "per_prefix": 3},
    {"top1_prefix": True, "repeat_weight": 2.0},
    {"repeat_hidden": 0.25},
    {"strength": 0.4, "prefix_weight": 0.0},
    {"judge_weight": 1.5},
]


@pytest.fixture(scope="module")
def asked(tiny_dataset: Dataset) -> tuple[Generator, list[Case], Components]:
    generator = Generator(small_model(tiny_dataset), tiny_dataset, judge=FakeJudge(tiny_dataset.n_items))
    cases = build_cases(tiny_dataset, split(tiny_dataset, DataSettings()).test.head(8), registry(tiny_dataset), seed=3)
    return generator, cases, compute(generator, cases)


@pytest.fixture(scope="module")
def invented() -> FusionLab:
    return bench.invented(80, 90, items=400, split="validation")


def lists(lab: LabCases, setting: LabSettings, hide: bool) -> np.ndarray:
    n = int(lab.item.max()) + 1
    found = rescore(lab, np.arange(len(lab)), np.full(len(lab), hide), setting, np.zeros(n), np.zeros((n, 1)))
    return found.items(lab)


@pytest.mark.parametrize("hide", [False, True])
@pytest.mark.parametrize(("candidates", "changes"), [(1000, {}), *((1000, each) for each in OTHERS), (36, {})])
def test_the_lists_are_those_of_the_evaluation(
    asked: tuple[Generator, list[Case], Components], candidates: int, changes: dict, hide: bool
) -> None:
    generator, cases, components = asked
    lab = build(generator, components, cases, "test", SHIPPED, candidates)
    assert lab.candidates == min(candidates, 60)
    setting = SHIPPED.model_copy(update=changes)
    expected = SigmaRecommender("SIGMA", generator, components, setting).recommend(
        [c.as_new() for c in cases] if hide else cases, 10
    )
    found = lists(lab, LabSettings.of(setting), hide)
    assert (found == expected).mean() >= 0.99 if candidates == 1000 else (found[:, :5] == expected[:, :5]).mean() >= 0.95


def test_the_tail_keeps_the_prefixes_in_proportion(asked: tuple[Generator, list[Case], Components]) -> None:
    """With few candidates the normaliser must still count all items: without the tail the scores would be far off."""
    generator, cases, components = asked
    n, rows, nothing = generator.dataset.n_items, np.arange(len(cases)), np.zeros(len(cases), bool)
    setting = LabSettings.of(SHIPPED)
    whole, few = (build(generator, components, cases, "test", SHIPPED, c) for c in (1000, 24))
    scores = [rescore(lab, rows, nothing, setting, np.zeros(n), np.zeros((n, 1))).score[:, 0] for lab in (whole, few)]
    np.testing.assert_allclose(*scores, atol=1e-3)
    bare = few.__class__(**{**few.__dict__, "tail": np.where(np.arange(10) == 0, -np.inf, few.tail).astype(np.float32)})
    assert np.abs(rescore(bare, rows, nothing, setting, np.zeros(n), np.zeros((n, 1))).score[:, 0] - scores[0]).max() > 0.02
    near = LabSettings.of(SHIPPED.model_copy(update={"tau": 0.07, "popularity_weight": 0.5, "repeat_weight": 0.3}))
    scores = [rescore(lab, rows, nothing, near, np.zeros(n), np.zeros((n, 1))).score[:, 0] for lab in (whole, few)]
    np.testing.assert_allclose(*scores, atol=0.05)


def test_terms_add_up_to_the_score(invented: FusionLab) -> None:
    setting = LabSettings.of(invented.cases.shipped).model_copy(
        update={
            "tau": 0.3,
            "strength": 0.5,
            "value_weight": 0.4,
            "judge_weight": 1.2,
            "popularity_weight": -0.5,
            "prefix_weight": 1.3,
            "item_weight": 0.7,
        }
    )
    scores = invented.score(setting)
    for question in (0, 30, len(invented) - 1):
        if not invented.hide[question]:
            at = scores.lists.at[question]
            np.testing.assert_allclose(
                terms_of(invented, int(invented.rows[question]), at, setting).sum(1), scores.lists.score[question], atol=2e-3
            )


def test_cuts_and_value(invented: FusionLab) -> None:
    setting = LabSettings.of(invented.cases.shipped).model_copy(update={"top": 20})
    stored = invented.cases

    def prefixes(scores: object) -> np.ndarray:
        at = scores.lists.at  # type: ignore[attr-defined]
        return (np.searchsorted(stored.offsets, at, "right") - 1) % stored.beams

    quota = invented.score(setting.model_copy(update={"per_prefix": 1}))
    assert all(len(set(row)) == len(row) for row in prefixes(quota))
    narrow = invented.score(setting.model_copy(update={"beams": 20, "top": 10}))
    assert all(len(set(row)) <= 20 for row in prefixes(narrow))
    dear, plain = invented.score(setting.model_copy(update={"value_weight": 1.0})), invented.score(setting)
    price = invented.facts.price
    assert price[dear.lists.items(stored)].mean() > price[plain.lists.items(stored)].mean()
    new = [q for q in range(len(invented)) if invented.hide[q]]
    assert new
    assert not stored.bought[plain.lists.at[new]].any()


def test_diversity_spreads_the_lists(invented: FusionLab) -> None:
    setting = LabSettings.of(invented.cases.shipped)
    spread, plain = invented.score(setting.model_copy(update={"diversity": 0.8})), invented.score(setting)
    assert np.nanmean(spread.values["diversity"]) > np.nanmean(plain.values["diversity"])
    assert (spread.lists.at[:, 0] == plain.lists.at[:, 0]).all()  # the best stays
    barely = invented.score(setting.model_copy(update={"diversity": 1e-6}))
    assert (barely.lists.at == plain.lists.at).all()


def test_figures_are_those_of_the_metrics(invented: FusionLab) -> None:
    setting = LabSettings.of(invented.cases.shipped)
    scores = invented.score(setting)
    items = scores.lists.items(invented.cases)
    expected = metrics.accuracy(items, invented.targets, invented.facts.price, (10,)) | metrics.listwise(
        items, invented.facts, None, (10,)
    )
    for name in scores.values:
        np.testing.assert_allclose(scores.values[name], expected[name, 10], atol=1e-5)
    short = np.array([[1, 2, -1], [3, -1, -1]])
    np.testing.assert_allclose(
        spacing(short, invented.vectors), metrics.listwise(short, invented.facts, None, (3,))["diversity", 3], atol=1e-5
    )


def test_means_are_kept_of_their_own_setting(invented: FusionLab) -> None:
    """Settings that differ in one field each, asked again in another order: every answer is that of its own scores."""
    start = LabSettings.of(invented.cases.shipped)
    changes: list[dict[str, Any]] = [{}, {"top": 5}, {"popularity_weight": -1.0}, {"diversity": 0.4}]
    scores = [invented.score(start.model_copy(update=change)) for change in changes]
    expected = [invented._means(one) for one in scores]
    assert all(not expected[0].equals(other) for other in expected[1:])
    for _ in range(2):
        for one, own in reversed(list(zip(scores, expected, strict=True))):
            pd.testing.assert_frame_equal(invented.means(one), own)


def test_comparison_is_paired(invented: FusionLab) -> None:
    setting = LabSettings.of(invented.cases.shipped)
    now, base = invented.score(setting.model_copy(update={"popularity_weight": -1.0})), invented.score(setting)
    frame = invented.compare(now, base).set_index(["part", "metric"])
    assert set(frame.index.get_level_values("part")) == set(invented.parts)
    assert (invented.compare(base, base)[["diff", "diff_low", "diff_high"]].fillna(0) == 0).all(axis=None)
    own = invented.parts["Query"]
    expected = difference(now.values["novelty"][own], base.values["novelty"][own], 1000, seed=invented.seed)
    row = frame.loc[("Query", "novelty")]
    np.testing.assert_allclose(
        [row["diff"], row["diff_low"], row["diff_high"]], [expected.mean, expected.low, expected.high], rtol=1e-4
    )
    means = invented.means(now)
    assert means.loc[MEAN, "hr"] == pytest.approx(means.drop(index=MEAN)["hr"].mean())
    for part, own in invented.parts.items():
        for name, column in now.values.items():
            known = [value for value in column[own].tolist() if not np.isnan(value)]
            assert means.loc[part, name] == pytest.approx(np.mean(known) if known else np.nan, nan_ok=True), (part, name)
        assert means.loc[part, "coverage"] == now.coverage[part]
    assert moved(invented, base, base, "Query").max() == 0
    assert moved(invented, base, now, "Query").max() > 0


def test_prefixes_that_are_left_out_would_not_have_mattered(invented: FusionLab) -> None:
    """A list of 90 places can leave no prefix out; its head must be the short list."""
    for update in ({}, {"value_weight": 0.7}, {"judge_weight": 2.0}, {"prefix_weight": 3.0, "tau": 0.05}, {"prefix_weight": 0.0}):
        setting = LabSettings.of(invented.cases.shipped).model_copy(update={"top": 10, **update})
        whole = setting.model_copy(update={"top": 90})
        assert (invented.score(setting).lists.at == invented.score(whole).lists.at[:, :10]).all()


def test_stored_terms_come_back(asked: tuple[Generator, list[Case], Components], tmp_path: Path, own_cache: Path) -> None:
    generator, cases, components = asked
    half = len(cases) // 2
    lab = build(generator, components, cases[:half], "validation", SHIPPED, 24, 50).joined(
        build(generator, components, cases[half:], "test", SHIPPED, 24, 60)
    )
    assert len(lab) == len(cases)
    lab_store.save_lab(StageWriter(tmp_path), lab)
    again = lab_store.load_lab(tmp_path)
    assert again is not None
    assert again.households == {"validation": 50, "test": 60}
    assert again.judged == "a judge"
    judged = LabSettings.of(SHIPPED.model_copy(update={"judge_weight": 2.0}))
    assert (lists(again, judged, False) == lists(lab, judged, False)).mean() > 0.97
    setting = LabSettings.of(SHIPPED)
    assert (
        lists(again, setting, False) == lists(lab, setting, False)
    ).mean() > 0.97  # first-code logits and tail in half precision
    test = again.of("test")
    assert len(test) == len(cases) - half
    assert (lists(test, setting, False) == lists(again, setting, False)[half:]).all()
    assert len(again.sample(1)) < len(again)
    lab_store.keep(lab, "some-model")
    assert lab_store.load_lab(lab_store.cached("some-model")) is not None
    assert lab_store.load_lab(lab_store.cached("another-model")) is None
    (tmp_path / "lab_candidates.parquet").write_bytes(b"nothing")
    with pytest.raises(WorkspaceError, match="damaged"):
        lab_store.load_lab(tmp_path)


def test_search(invented: FusionLab) -> None:
    start = LabSettings.of(invented.cases.shipped)
    goals = [("novelty", MEAN), ("value", "Query")]
    found = optimise(invented, start, goals, ["popularity_weight", "value_weight"], trials=24)
    table = found.trials
    assert found.settings(0) == start
    own = table[table["front"]][["novelty/" + MEAN, "value/Query"]].to_numpy()
    assert len(own)
    assert front(own).all()
    means = invented.means(invented.score(found.settings(int(table["number"].iat[-1]))))
    assert table["value/Query"].iat[-1] == pytest.approx(means.loc["Query", "value"])
    assert table["novelty/" + MEAN].max() > table["novelty/" + MEAN].iat[0]
    assert table.equals(optimise(invented, start, goals, ["popularity_weight", "value_weight"], trials=24).trials)
    with pytest.raises(RequestError):
        optimise(invented, start, [("beauty", MEAN)], ["tau"])
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        optimise(invented, start, goals, ["tau"], cancel=token)


def test_front() -> None:
    assert front([(1, 1), (2, 0), (0, 2), (1, 0.5), (2, 0)]).tolist() == [True, True, True, False, True]


def test_reasons(invented: FusionLab) -> None:
    setting = LabSettings.of(invented.cases.shipped)
    base = invented.score(setting)
    question = 3
    told = why(invented, question, base, invented.score(setting.model_copy(update={"value_weight": 1.0})))
    changed = told.items[told.items["left"].fillna(0) != told.items["right"].fillna(0)]
    assert len(changed)
    assert set(changed["mover"]) <= {"value", ""}  # nothing but the price was weighed anew
    assert (told.items[["prefix", "cosine", "repeat", "popularity", "rivals"]].abs() < 1e-9).all(axis=None)
    listed = told.items.dropna(subset=["right"])
    assert listed["right"].tolist() == list(range(1, 11))
    same = why(invented, question, base, base)
    assert (same.items["mover"] == "").all()
    spread = why(invented, question, base, invented.score(setting.model_copy(update={"diversity": 0.7})))
    assert set(spread.items["mover"]) <= {"diversity", ""}
    assert "diversity" in set(spread.items["mover"])
    assert spread.items["note"].str.contains("without the diversity step").any()
    assert set(TERMS) <= set(spread.items.columns)
    hidden = int(np.flatnonzero(invented.hide)[0])
    blind = setting.model_copy(update={"repeat_hidden": 0.0})
    more = blind.model_copy(update={"repeat_weight": 2.5})
    told = why(invented, hidden, invented.score(blind), invented.score(more))
    assert (told.items[list(TERMS)].abs() < 1e-9).all(axis=None), "there the repeat prior plays no part"


def test_prices() -> None:
    class Shop:
        items = __import__("pandas").DataFrame({"price": [1.0, 2.0, 4.0, float("nan"), 0.0]})

    np.testing.assert_allclose(log_price(Shop()), [-np.log(2), 0, np.log(2), 0, 0], atol=1e-6)  # type: ignore[arg-type]


def test_the_bench_measures_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bench:
        @staticmethod
        def open(path: str | None) -> Bench:
            return Bench()

        def fusion_lab(self, name: str) -> FusionLab | None:
            return None

    monkeypatch.setattr(bench, "Workbench", Bench)
    monkeypatch.setattr(bench, "SIZES", ((40, 30),))
    rows = bench.rows(None, 2, lambda event: None, CancelToken())
    assert [row["terms"] for row in rows] == list(bench.MOVES)
    assert all(set(row) == {"examples", "candidates", "terms", "p50_ms", "p95_ms"} for row in rows)
    assert all(0 < row["p50_ms"] <= row["p95_ms"] for row in rows)
    assert rows[0]["candidates"] == 30


def test_a_lab_without_a_judge(tiny_dataset: Dataset, tmp_path: Path) -> None:
    generator = Generator(small_model(tiny_dataset), tiny_dataset)
    cases = build_cases(tiny_dataset, split(tiny_dataset, DataSettings()).test.head(4), registry(tiny_dataset), seed=3)
    lab = build(generator, compute(generator, cases), cases, "test", SHIPPED, 36)
    assert lab.judged == ""
    lab_store.save_lab(StageWriter(tmp_path), lab)
    again = lab_store.load_lab(tmp_path)
    assert again is not None
    assert again.judged == ""
    assert not again.judge.any()
    weighed, plain = (lists(again, LabSettings.of(SHIPPED.model_copy(update={"judge_weight": w})), False) for w in (3.0, 0.0))
    assert (weighed == plain).all()


def test_the_judges_favourites_rise(invented: FusionLab) -> None:
    setting, stored = LabSettings.of(invented.cases.shipped), invented.cases
    plain, judged = invented.score(setting), invented.score(setting.model_copy(update={"judge_weight": 2.0}))
    assert stored.judge[judged.lists.at].mean() > stored.judge[plain.lists.at].mean()
    told = why(invented, 3, plain, judged)
    changed = told.items[told.items["left"].fillna(0) != told.items["right"].fillna(0)]
    assert len(changed)
    assert set(changed["mover"]) <= {"judge", ""}
