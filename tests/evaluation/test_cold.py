"""Cold items and households: ranks that can be counted by hand, baselines that know texts alone, a household without a past."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from backend.data import schema as c
from backend.data.schema import Dataset
from backend.data.split import split
from backend.evaluation import cold_items as ci
from backend.evaluation.cases import Case, build_cases
from backend.evaluation.cold_users import KNOWN_PROFILE, PROFILE_ONLY, measure_cold_users, without_history, without_profiles
from backend.evaluation.questions import Questions
from backend.generation.generator import Generator
from backend.generation.request import Request
from backend.instructions.tasks import registry
from backend.settings import DataSettings, FusionSettings
from tests.small import small_model, small_store, unit


def case_of(n_items: int, targets: list[int], allowed: list[int] | None = None, history: tuple[int, ...] = ()) -> Case:
    mask = None if allowed is None else np.isin(np.arange(n_items), allowed)
    bought = np.array(history, np.int64)
    return Case(0, 0, 1, "JustForYou", "x", np.array(targets), mask, bought, np.array(targets), np.ones(len(bought)), 1)


def test_mean_rank() -> None:
    lists = np.array([[3, 1, 0, 2, 4], [3, 1, -1, -1, -1], [4, 0, 1, 2, 3], [0, 1, 2, 3, 4]])
    cases = [case_of(5, [3]), case_of(5, [4]), case_of(5, [0, 1], [0, 1, 2]), case_of(5, [2], [2])]
    # first; behind the two that are listed, in the mean of three places (2, 3, 4); first and second of three; nothing to rank
    np.testing.assert_allclose(ci.mean_rank(lists, cases), [0.0, 0.75, 0.25, np.nan])


def test_cold_cases_ask_for_held_items_alone() -> None:
    held = np.array([False, False, False, True, True])
    cases = [case_of(5, [0, 3]), case_of(5, [1]), case_of(5, [4], [2, 4])]
    among = ci.cold_cases(cases, held, among_cold=True)
    assert [case.targets.tolist() for case in among] == [[3], [4]]
    assert [np.flatnonzero(case.allowed).tolist() for case in among] == [[3, 4], [4]]
    everything = ci.cold_cases(cases, held, among_cold=False)
    assert everything[0].allowed is None
    assert np.flatnonzero(everything[1].allowed).tolist() == [2, 4]


def test_baselines_that_know_texts_alone(tiny_dataset: Dataset) -> None:
    vectors = unit(np.random.default_rng(0), tiny_dataset.n_items, 8)
    text, own = ci.TextOnly(tiny_dataset, "text only", vectors), ci.OwnCategories(tiny_dataset, vectors)
    case = case_of(tiny_dataset.n_items, [5], history=(2, 2, 7))
    mean = (2 * vectors[2] + vectors[7]) / 3
    assert text.recommend([case], 5).tolist() == [np.argsort(-(vectors @ mean), kind="stable")[:5].tolist()]
    category = tiny_dataset.items[c.CATEGORY].to_numpy()
    counts = {category[2]: 2, category[7]: 1}
    if category[2] == category[7]:
        counts = {category[2]: 3}
    expected = np.array([counts.get(name, 0) for name in category])
    ranked = own.recommend([case], tiny_dataset.n_items)[0]
    assert (np.diff(expected[ranked]) <= 0).all()


def test_added_items_are_found_by_their_vectors(tiny_dataset: Dataset) -> None:
    model = small_model(tiny_dataset)
    n = tiny_dataset.n_items
    store = small_store(n)
    cold = np.arange(n) >= n - 6
    model.set_store(
        replace(store, ids=store.ids * ~cold[:, None], statistics=store.statistics * ~cold[:, None])
    )  # as `ItemStore.add` would have them
    generator = Generator(model, tiny_dataset)
    cases = build_cases(tiny_dataset, split(tiny_dataset, DataSettings()).test, registry(tiny_dataset), 3)
    baselines = [ci.TextOnly(tiny_dataset, "text only", store.text)]
    found = ci.measure_cold_items(generator, cases, cold, baselines, FusionSettings(), 7, 50)
    rows = {(row["recommender"], row["task"], row["view"], row["metric"], row["k"]): row for row in found["results"]}
    asked = sum(case.task == "JustForYou" and cold[case.targets].any() for case in cases)
    for name in ("SIGMA", "text only"):
        assert rows[name, "JustForYou", ci.AMONG_COLD, "hr", 10]["mean"] == 1.0  # six items, ten places
        assert rows[name, "JustForYou", ci.AMONG_ALL, "rank", n]["n"] == asked
        assert 0 <= rows[name, "JustForYou", ci.AMONG_ALL, "rank", n]["mean"] <= 1
    assert {(row["recommender"], row["reference"]) for row in found["differences"]} == {("SIGMA", "text only")}


def test_a_household_without_a_past(tiny_dataset: Dataset) -> None:
    parts, tasks = split(tiny_dataset, DataSettings()), registry(tiny_dataset)
    cases = build_cases(tiny_dataset, parts.test.head(10), tasks, 3)
    blank = without_history(cases[0])
    assert not len(blank.history)
    assert blank.targets is cases[0].targets
    asked = Questions("test", tiny_dataset, parts, tasks, tasks, parts.test.head(10), None, cases, cases, 3)
    found = measure_cold_users(Generator(small_model(tiny_dataset), tiny_dataset), asked, FusionSettings())
    views = {row["view"] for row in found["results"]}
    assert views == {PROFILE_ONLY, KNOWN_PROFILE}
    names = {row["recommender"] for row in found["results"]}
    assert names == {"SIGMA", "SIGMA, not even the profile", "SIGMA, with the history", "popularity", "recent popularity"}
    counts = {row["view"]: row["n"] for row in found["results"] if row["task"] == "JustForYou" and row["metric"] == "hr"}
    known = tiny_dataset.users[c.PROFILE].ne("No demographics known").to_numpy()
    assert counts[KNOWN_PROFILE] == sum(known[case.user] for case in cases if case.task == "JustForYou")
    pairs = {row["reference"] for row in found["differences"]}
    assert pairs == names - {"SIGMA"}


def test_without_profiles_the_prompt_has_none(tiny_dataset: Dataset) -> None:
    generator = Generator(small_model(tiny_dataset), tiny_dataset)
    blind, user = without_profiles(generator), Request(user=str(tiny_dataset.users[c.USER].iat[0]))
    assert blind.shoppers.resolve(user).profile == ""
    assert generator.shoppers.resolve(user).profile == tiny_dataset.users[c.PROFILE].iat[0] != ""


def test_names_of_new_items(tiny_dataset: Dataset) -> None:
    known = tiny_dataset.items.head(30)
    store = replace(small_store(30), name_of=np.tile(np.arange(3), (30, 1)))
    new = known.head(2).assign(**{c.TYPE: ["never seen", known[c.TYPE].iat[0]]})
    assert ci._names_of(known, new, store).tolist() == [[-1, 1, 2], [0, 1, 2]]
