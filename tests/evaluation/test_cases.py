from __future__ import annotations

import numpy as np

from backend.data.schema import Dataset
from backend.data.split import Split
from backend.evaluation.cases import Case, activity_slices, build_cases
from backend.evaluation.views import view_cases
from backend.instructions.tasks import registry
from backend.instructions.templates import wordings


def test_case_is_what_the_events_say(dataset: Dataset, parts: Split, cases: list[Case]) -> None:
    assert {case.task for case in cases} == {"JustForYou", "Category", "Query", "Discover"}
    for case in cases:
        basket = dataset.events.iloc[case.start : case.stop]
        past = dataset.events[(dataset.events["user"] == case.user) & (dataset.events.index < case.start)]
        assert set(case.targets) <= set(basket["item"])
        assert len(case.targets)
        assert case.history.tolist() == past["item"].tolist()
        assert case.baskets == past["step"].nunique()
        assert np.allclose(case.ages, (basket["time"].iloc[0] - past["time"]).dt.total_seconds() / 86_400)
        assert (case.ages > 0).all()
        assert set(case.new_targets) == set(case.targets) - set(case.history)
        if case.allowed is not None:
            assert case.allowed[case.targets].all()
        if case.task == "JustForYou":
            assert set(case.targets) == set(basket["item"])


def test_one_case_a_task_and_example(parts: Split, cases: list[Case]) -> None:
    keys = [(case.user, case.start, case.task) for case in cases]
    assert len(set(keys)) == len(keys)
    assert sum(case.task == "JustForYou" for case in cases) == len(parts.test)


def test_held_out_wordings(dataset: Dataset, parts: Split) -> None:
    tasks = {"JustForYou": registry(dataset)["JustForYou"]}
    held, known = (
        {case.instruction for seed in range(5) for case in build_cases(dataset, parts.test, tasks, seed, held_out=flag)}
        for flag in (True, False)
    )
    assert held
    assert not held & known
    assert len(wordings("JustForYou")) >= 10


def test_seeded_and_independent_of_the_others(dataset: Dataset, parts: Split, cases: list[Case]) -> None:
    tasks = registry(dataset)
    again = build_cases(dataset, parts.test, tasks, seed=3)
    assert [case.instruction for case in again] == [case.instruction for case in cases]
    alone = build_cases(dataset, parts.test.iloc[2:5], {"Query": tasks["Query"]}, seed=3)
    known = {(case.user, case.task): case.instruction for case in cases}
    assert all(known[case.user, case.task] == case.instruction for case in alone)
    other = build_cases(dataset, parts.test, tasks, seed=4)
    assert [case.instruction for case in other] != [case.instruction for case in cases]


def test_new_view_hides_the_history(dataset: Dataset, cases: list[Case]) -> None:
    for _, view, chosen in view_cases(cases):
        for case in chosen:
            legal = case.legal(dataset.n_items)
            assert legal[case.targets].all()
            if view == "new":
                assert not legal[case.history].any()
                assert len(case.targets)
    views = [(task, view) for task, view, _ in view_cases(cases)]
    assert ("JustForYou", "new") in views
    assert ("Query", "new") not in views


def test_activity_slices() -> None:
    assert activity_slices([1, 2, 3, 4, 5, 6]).tolist() == ["low", "low", "medium", "medium", "high", "high"]
    assert len(set(activity_slices([4, 4, 4]).tolist())) == 1
    assert activity_slices([]).tolist() == []


def test_wanting_some_items_alone(dataset: Dataset, cases: list[Case]) -> None:
    some = np.zeros(dataset.n_items, bool)
    some[cases[0].targets[0]] = True
    own = cases[0].wanting(some)
    assert own is not None
    assert own.targets.tolist() == own.new_targets.tolist() == [cases[0].targets[0]]
    assert np.array_equal(own.legal(dataset.n_items), cases[0].legal(dataset.n_items)), "every item may still be shown"
    assert cases[0].wanting(~np.ones(dataset.n_items, bool)) is None
