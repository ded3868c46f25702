"""Evidence, proxies, the student and its measures, on the tiny shop and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.data.schema import Dataset
from backend.data.split import split
from backend.judge.aspects import ASPECTS, LEVELS, WORDS, Situations, holistic
from backend.judge.evidence import FACTS, Evidence
from backend.judge.measure import by_household, measure, pair_auc, point_accuracy
from backend.judge.proxies import FUTURE_DAYS, Labelled, Proxies
from backend.judge.student import StudentJudge, fit, models_of
from backend.settings import DataSettings
from tests.small import small_store


@pytest.fixture(scope="module")
def proxies(tiny_dataset: Dataset) -> Proxies:
    may = split(tiny_dataset, DataSettings()).train_events
    store = small_store(tiny_dataset.n_items)
    known = may & (tiny_dataset.events["user"].to_numpy() < 30)
    return Proxies(tiny_dataset, may, Evidence(tiny_dataset, known, store.text, store.ids, {"summer": store.text[0]}))


@pytest.fixture(scope="module")
def labelled(proxies: Proxies) -> tuple[Labelled, Labelled]:
    users = np.arange(40)
    return proxies.make(users < 30, 4, 16, 7), proxies.make(users >= 30, 4, 16, 7)


def test_levels_against_a_loop_over_events(tiny_dataset: Dataset, proxies: Proxies) -> None:
    events, items = tiny_dataset.events, tiny_dataset.items
    frame = proxies.contexts(np.ones(40, bool), 1, 3)
    assert len(frame) > 20
    start, user = int(frame["start"].iloc[5]), int(frame["user"].iloc[5])
    situation = proxies.situations.before(user, start)
    past, later = (
        events[(events["user"] == user) & (events.index < start)],
        events[(events["user"] == user) & (events.index >= start)],
    )
    later = later[later["time"] < "2017-11-13"]
    day = events["time"].iloc[start].normalize()
    soon = later[later["time"] < day + np.timedelta64(FUTURE_DAYS, "D")]
    assert situation.history.tolist() == past["item"].tolist()
    season = np.linspace(0.5, 3.0, items["category"].nunique())
    found, bought = proxies.levels(situation, start, np.arange(60), season)
    for item in range(60):
        kind, category = items["type"].iloc[item], items["category"].iloc[item]
        near = (
            3 if item in set(soon["item"])
            else 2 if kind in set(items["type"].iloc[soon["item"]])
            else 1 if category in set(items["category"].iloc[soon["item"]]) else 0
        )  # fmt: skip
        holds = [category in set(items["category"].iloc[part["item"]]) for _, part in later.groupby("step")]
        share = sum(holds) / len(holds)
        profile = 0 if share == 0 else 1 if share <= 0.05 else 2 if share <= 0.2 else 3
        new = item not in set(past["item"])
        lift = season[proxies.category_of[item]]
        context = 0 if lift < 0.8 else 1 if lift < 1.25 else 2 if lift < 2 else 3
        assert found[item].tolist() == [profile, near, (1 + min(max(near - 0, 0), 2) if new else 0), context], item
        assert bool(bought[item]) == (near == 3)


def test_evidence_knows_nothing_of_the_future(tiny_dataset: Dataset, proxies: Proxies) -> None:
    frame = proxies.contexts(np.ones(40, bool), 1, 3)
    start, user = int(frame["start"].iloc[0]), int(frame["user"].iloc[0])
    cut = (tiny_dataset.events["time"] < tiny_dataset.events["time"].iloc[start].normalize()).to_numpy() | (
        np.arange(len(tiny_dataset.events)) < start
    ) & (tiny_dataset.events["user"] == user).to_numpy()
    own = proxies.evidence
    situation = Situations(tiny_dataset).before(user, start)
    before = own.facts(situation, np.arange(60))
    events = tiny_dataset.events.copy()
    events.loc[~cut, "item"] = 0
    other = Dataset(tiny_dataset.name, tiny_dataset.items, tiny_dataset.users, events, tiny_dataset.queries)
    again = Evidence(other, np.ones(len(events), bool), own.text, own.ids, own.occasions)
    timed = [FACTS.index(name) for name in FACTS if name not in ("popular", "alike", "momentum")]
    assert np.allclose(again.facts(Situations(other).before(user, start), np.arange(60))[:, timed], before[:, timed], atol=1e-5)
    assert np.allclose(
        again.momentum(situation.day),
        Evidence(tiny_dataset, np.ones(len(events), bool), own.text, own.ids, {}).momentum(situation.day),
    )


def test_a_household_without_a_past(tiny_dataset: Dataset, proxies: Proxies) -> None:
    situation = proxies.situations.before(3, int(proxies.situations.past.first[3]))
    assert proxies.evidence.facts(situation, np.arange(5)).shape == (5, len(FACTS))
    assert np.isfinite(proxies.evidence.user_facts(situation)).all()


def test_the_student_learns_what_depends_on_a_fact() -> None:
    rng = np.random.default_rng(0)
    facts = rng.normal(size=(3000, 3))
    levels = np.digitize(np.abs(facts[:, 0]) + 0.05 * rng.normal(size=3000), [0.4, 0.9, 1.5])
    model = fit(facts[:2000], levels[:2000])
    score = model.score(facts[2000:])
    assert (model.levels(score) == levels[2000:]).mean() > 0.75
    assert (np.diff(model.thresholds) > 0).all()
    assert np.ptp(model.values[0]) > 10 * np.ptp(model.values[1]), "the other two facts say nothing"
    expected = model.expected(score)
    assert ((expected >= 0) & (expected <= LEVELS - 1)).all()
    assert (np.argsort(expected, kind="stable")[[0, -1]] == np.argsort(score, kind="stable")[[0, -1]]).all()
    stored = models_of({f"future.{name}": value for name, value in model.arrays().items()})
    assert np.array_equal(stored["future"].score(facts), model.score(facts))


def test_reasons_cite_evidence_and_contributions_add_up(proxies: Proxies, labelled: tuple[Labelled, Labelled]) -> None:
    train, _ = labelled
    models = {name: fit(train.facts, train.levels[:, column]) for column, name in enumerate(ASPECTS)}
    judge = StudentJudge(proxies.evidence, {name: models[name] for name in ASPECTS if name != "context"})
    situation = proxies.situations.before(2, int(proxies.situations.past.first[3]) - 1)
    items = np.arange(60)
    said = judge.judge(situation, items, reasons=True)
    assert (said.levels[:, 3] == -1).all(), "an aspect that is not used"
    assert np.isnan(said.expected[:, 3]).all()
    for row in range(60):
        assert set(said.reasons[row]) == {"profile", "future", "novelty"}
        for column, name in enumerate(ASPECTS[:3]):
            assert said.reasons[row][name].startswith(WORDS[name][said.levels[row, column]] + ": ")
    facts = proxies.evidence.facts(situation, items)
    assert np.allclose(models["future"].contributions(facts).sum(1), models["future"].score(facts))
    assert not judge.judge(situation, items).reasons
    bought = int(situation.history[-1])
    assert f"bought {int((situation.history == bought).sum())} time" in proxies.evidence.cite(
        "times", facts[bought, 0], situation, bought
    )


def test_holistic_scores() -> None:
    expected = np.array([[3.0, 0, 0, 3], [3, 0, 0, np.nan], [np.nan] * 4])
    found = holistic(expected, np.array([0.5, 0.25, 0.0, 0.25]))
    assert found[:2].tolist() == pytest.approx([0.75, 0.5 / 0.75])
    assert np.isnan(found[2])


def test_pair_auc_and_accuracy_by_hand() -> None:
    score, level = np.array([3.0, 1, 1, 9, 1, 2]), np.array([2, 0, 1, 1, 1, 0])
    group = np.array([0, 0, 0, 1, 2, 2])
    # situation 0: pairs (0,1) right, (0,2) right, (2,1) tie; situation 1: no pair; situation 2: wrong
    found = pair_auc(score, level, group)
    assert found[[0, 2]].tolist() == pytest.approx([2.5 / 3, 0.0])
    assert np.isnan(found[1])
    assert point_accuracy(np.array([2, 1, 1, 1, 0, 0]), level, group).tolist() == pytest.approx([2 / 3, 1.0, 0.5])
    assert by_household(np.array([1.0, np.nan, 0.0]), np.array([4, 4, 2])).tolist() == [0.0, 1.0]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=2, max_size=12))
def test_pair_auc_of_the_opposite_is_the_rest(rows: list[tuple[int, int]]) -> None:
    level, score = (np.array(column) for column in zip(*rows, strict=True))
    group = np.zeros(len(rows), int)
    both = pair_auc(score, level, group) + pair_auc(-score, level, group)
    assert np.isnan(both[0]) if len(set(level)) == 1 else both[0] == pytest.approx(1.0)


def test_a_judge_is_used_where_it_beats_the_baselines(labelled: tuple[Labelled, Labelled]) -> None:
    train, held = labelled
    models = {name: fit(train.facts, train.levels[:, column]) for column, name in enumerate(ASPECTS)}
    reports = {report.aspect: report for report in measure(models, train, held)}
    assert reports["future"].auc["student"].mean > 0.6, "favourites come back in the tiny shop"
    assert reports["novelty"].used, "whether an item was bought before is evidence that no baseline has"
    noise = np.random.default_rng(0).integers(LEVELS, size=train.levels.shape)
    blind = {name: fit(train.facts, noise[:, column]) for column, name in enumerate(ASPECTS)}
    assert not {report.aspect: report for report in measure(blind, train, held)}["future"].used, "taught by dice"
    rows = reports["future"].rows()
    assert {row["metric"] for row in rows} >= {"PointAcc", "PairAUC"}
    assert all(row["n"] <= 10 for row in rows), "held-out households"
