"""Wishes that combine: filters exactly as a person reads them, whatever the encoder; where each was said; the measure itself."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from backend.data.schema import Dataset
from backend.instructions import catalogue as catalogues
from backend.instructions import reading
from backend.instructions.catalogue import TASKS, Catalogue, Name, prepare
from backend.instructions.measure import Share, check, combined, confusion
from backend.instructions.reading import read
from backend.instructions.tasks import task_classes
from backend.instructions.templates import wordings
from tests.instructions.conftest import fake_encode, listening

WISHES = tomllib.loads((Path(__file__).parent / "combined.toml").read_text("utf-8"))["wish"]
EVERY = tuple(task.name for task in task_classes())


@pytest.fixture(scope="module")
def catalogue(dataset: Dataset) -> Catalogue:
    return listening(prepare(dataset, fake_encode), 60)


@pytest.fixture(scope="module")
def every(dataset: Dataset, catalogue: Catalogue) -> Catalogue:
    return listening(prepare(dataset, fake_encode, catalogue.name_vectors(), EVERY), 60)


def test_there_are_enough() -> None:
    assert len(WISHES) >= 40
    assert len({wish["text"] for wish in WISHES}) == len(WISHES)


def test_filters_are_read_exactly(catalogue: Catalogue, every: Catalogue) -> None:
    for prepared, every_task in ((catalogue, False), (every, True)):
        shares, wrong = combined(prepared, WISHES, every_task)
        misread = [line for line in wrong if "filters" in line.split("[")[1]]
        assert shares["filters"].right >= len(WISHES) - 1, misread  # a fake encoder finds no Deals by meaning
        assert shares["theme"].right == shares["theme"].n, wrong
        assert shares["unknown"].right >= shares["unknown"].n - 1, wrong


def test_everything_says_where_it_was_said(catalogue: Catalogue) -> None:
    text = "frozen pizza on sale under $5 without cheese for Easter, nothing I bought before, $20 in total"
    reading = read(text, catalogue)
    where = {one["kind"]: (one["value"], one["text"]) for one in reading.as_json()["said"]}
    assert where["max_price"] == (5.0, "under $5")
    assert where["max_total"] == (20.0, "$20 in total")
    assert where["exclude"] == (["Cheese"], "without cheese")
    assert where["deals"] == (True, "on sale")
    assert where["seen"] == ("hide", "nothing I bought before")
    assert where["category"] == ("Frozen pizzas", "frozen pizza")
    assert set(reading.filters) == {"max_price", "max_total", "exclude", "deals", "seen"}
    assert reading.theme == "Easter"


def test_the_model_is_told_what_it_was_trained_to_hear(catalogue: Catalogue, every: Catalogue) -> None:
    text = "frozen pizza on sale under $5 without cheese"
    assert read(text, catalogue).instruction == "frozen pizza"
    assert read(text, every).instruction == "frozen pizza"  # neither the price nor the offer is what is asked for, beside a shelf
    assert read("anything on sale", every).instruction == "anything on sale"
    assert read("under $5", every).instruction == "under $5"
    assert read("anything under $5", every).instruction == "anything under $5"
    assert read("under $5", every).tasks == ("Budget",)
    assert dict(read("under $5", every).slots) == {"price": "$5"}


def test_a_name_inside_an_offer_is_none(every: Catalogue) -> None:
    shelves = Catalogue([Name("Sale"), Name("Breads", "bread")], every.encode, tasks=every.tasks)
    reading = read("bread on sale", shelves)
    assert reading.names == ("Breads",)
    assert reading.deals


def test_tasks_combine_and_only_trained_ones_are_named(catalogue: Catalogue, every: Catalogue) -> None:
    text = "frozen pizza on sale for Halloween under $5"
    assert read(text, every).tasks[0] in ("Category", "Query")
    assert read(text, every).tasks[1:] == ("Holiday", "Deals", "Budget")
    assert set(read(text, catalogue).tasks) <= set(TASKS)
    for wish in WISHES:
        if not wish.get("error"):
            assert set(read(wish["text"], catalogue).tasks) <= set(TASKS)


@pytest.mark.parametrize("held_out", [False, True])
def test_budget_wordings_set_their_limit(every: Catalogue, held_out: bool) -> None:
    right = []
    for wording in wordings("Budget", held_out):
        reading = read(wording.format(price="$7.50", total="$7.50"), every)
        right.append((reading.max_total if "{total}" in wording else reading.max_price) == 7.5 and len(reading.filters) == 1)
    assert sum(right) >= 0.9 * len(right)


@pytest.mark.parametrize(("task", "slot"), [("Season", "season"), ("Holiday", "holiday")])
def test_themed_wordings_say_their_word(every: Catalogue, task: str, slot: str) -> None:
    words = {"Season": ("summer", "fall"), "Holiday": ("Halloween", "back to school")}[task]
    right = [read(text.format(**{slot: word}), every).theme == word for text in wordings(task) for word in words]
    assert sum(right) >= 0.9 * len(right)


def test_the_measure() -> None:
    assert Share(0, 0).interval == (0.0, 1.0)
    low, high = Share(45, 50).interval  # Wilson 1927, by hand
    assert (round(low, 4), round(high, 4)) == (0.7864, 0.9565)
    wish = {"text": "x", "task": ["Query"], "all": ["Deals"], "filters": {"exclude": ["milk"]}, "unknown": ["vegan"]}
    assert check(wish, None, False) == {"task": False, "filters": False}
    assert check({"error": True}, None, False) == {"filters": True}


def test_confusion_counts_every_wording(every: Catalogue, dataset: Dataset) -> None:
    table = confusion(every, ("Holiday", "Longtail"))
    assert sum(table["Longtail"].values()) == len(wordings("Longtail", True))
    assert sum(table["Holiday"].values()) == 3 * len(wordings("Holiday", True))
    reading = read("show me hidden gems", every)
    assert check({"task": ["Longtail"], "filters": {}}, replace(reading, task="Longtail"), False) == {
        "task": True,
        "filters": True,
    }


@pytest.mark.parametrize("known", [*((task,) for task in EVERY), ("Season", "Holiday"), ("Complement", "Budget")])
def test_a_model_of_few_tasks_reads_everything(dataset: Dataset, catalogue: Catalogue, known: tuple[str, ...]) -> None:
    few = listening(prepare(dataset, fake_encode, catalogue.name_vectors(), known), 10)
    for text in (
        "my weekly shop",
        "what goes with frozen pizza",
        "surprise me",
        "pizza on sale for Halloween under $5",
        "hello",
        *(w["text"] for w in WISHES[:6]),
    ):
        assert read(text, few).task in {*known, "JustForYou"}


def test_an_amount_alone_is_a_budget_where_one_can_be_asked_for(dataset: Dataset, catalogue: Catalogue) -> None:
    budgets = prepare(dataset, fake_encode, catalogue.name_vectors(), EVERY)
    assert read("I have $20 in my pocket", budgets).filters == {"max_total": 20.0}
    assert "max_total" not in read("frozen pizza, $20", budgets).filters, "it may be the price of what is named"
    assert read("I have $20 in my pocket", catalogue).filters == {}, "no such task was trained"


def test_an_occasion_is_no_offer(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch, dataset: Dataset) -> None:
    every = prepare(dataset, fake_encode, catalogue.name_vectors(), EVERY)
    monkeypatch.setattr(reading, "_free_task", lambda *_, **__: "Deals")
    assert "deals" not in read("ideas for Easter", every).filters
    assert read("what is cheap today", every).filters.get("deals") is True


def test_a_wording_says_a_word_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogues, "wordings", lambda task, held_out: ["tired of chicken, chicken, chicken"])
    assert sorted(catalogues._said.__wrapped__("any")) == ["chicken", "of", "tired"]
