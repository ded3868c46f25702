"""Reading free text: with a fake encoder (words in common = near), and once with the real one."""

from typing import Any

import numpy as np
import pytest

from backend.data.schema import Dataset
from backend.errors import RequestError
from backend.grounding.encoders import shared_text_encoder
from backend.instructions import catalogue as names
from backend.instructions.catalogue import Catalogue, prepare
from backend.instructions.reading import read
from backend.instructions.tasks import registry
from backend.instructions.templates import render, wordings
from backend.instructions.words import stem, stems, words

from .conftest import QUERIES, fake_encode, listening

NOTHING: dict[str, Any] = {}


@pytest.fixture(scope="module")
def catalogue(shop: Dataset) -> Catalogue:
    return listening(prepare(shop, fake_encode))


@pytest.mark.parametrize(
    ("text", "task", "slots", "filters", "unknown"),
    [
        ("I'm looking for something in frozen pizza", "Category", {"category": "Frozen pizzas"}, NOTHING, []),
        ("Show me the dog food aisle under $5", "Category", {"category": "Dog foods"}, {"max_price": 5.0}, []),
        ("only SOFT DRINKS today", "Category", {"category": "Soft drinks"}, NOTHING, []),
        ("Grocery please", "Category", {"category": "Grocery"}, NOTHING, []),
        ("groceries please", "JustForYou", {}, NOTHING, []),
        ("ice cream and sherbet, please", "Category", {"category": "Ice cream & sherbets"}, NOTHING, []),
        ("what's good in frozen grocery for me", "Category", {"category": "Frozen grocery"}, NOTHING, []),
        ("where can I find whole milk", "Query", {"query": "whole milk"}, NOTHING, []),
        ("results for milk", "Query", {"query": "milk"}, NOTHING, []),
        ("help me choose milk", "Category", {"category": "Milk"}, NOTHING, []),
        ("cheddar, nothing I bought before", "Query", {"query": "cheddar"}, {"seen": "hide"}, []),
        ("organic gluten-free pizza", "Query", {"query": "pizza"}, NOTHING, ["organic", "gluten-free"]),
        ("I need to restock cheddar for my hamster's party", "Query", {"query": "cheddar"}, NOTHING, ["hamster's", "party"]),
        ("pizza without cheddar", "Query", {"query": "pizza"}, {"exclude": ["cheddar"]}, []),
        ("we have no cheddar left at home", "Query", {"query": "cheddar"}, NOTHING, []),
        ("there's no cheddar in the house", "Query", {"query": "cheddar"}, NOTHING, []),
        ("can't leave without cheddar", "Query", {"query": "cheddar"}, NOTHING, []),
        ("can I get hold of cheddar", "Query", {"query": "cheddar"}, NOTHING, []),
        ("pizza, hold the cheddar", "Query", {"query": "pizza"}, {"exclude": ["cheddar"]}, []),
        ("milk and pizza", "Query", {"query": "milk"}, NOTHING, []),
        ("a $5 cheddar", "Query", {"query": "cheddar"}, NOTHING, ["$5"]),
        ("surprise me", "Discover", {}, NOTHING, []),
        ("surprise me with cheddar", "Query", {"query": "cheddar"}, NOTHING, []),
        ("something different, that we've never tried before", "Discover", {}, {"seen": "hide"}, []),
        ("something new to me between $2 and $4", "Discover", {}, {"min_price": 2.0, "max_price": 4.0, "seen": "hide"}, []),
        ("under five dollars", "JustForYou", {}, {"max_price": 5.0}, []),
        ("hello", "JustForYou", {}, NOTHING, []),
        ("qwertz asdf qwertz", "JustForYou", {}, NOTHING, ["qwertz", "asdf"]),
        ("500 calories", "JustForYou", {}, NOTHING, ["500", "calories"]),
    ],
)  # fmt: skip
def test_common_cases(
    catalogue: Catalogue, text: str, task: str, slots: dict[str, str], filters: dict[str, Any], unknown: list[str]
) -> None:
    reading = read(text, catalogue)
    shown = reading.as_json()
    assert {name: shown[name] for name in ("task", "filters", "unknown")} == {
        "task": task,
        "filters": filters,
        "unknown": unknown,
    }
    assert shown["category"] == reading.category
    assert dict(reading.slots) == slots
    assert reading.category == slots.get("category") or "query" in slots


@pytest.mark.parametrize("task", ["JustForYou", "Category", "Query", "Discover"])
@pytest.mark.parametrize("held_out", [False, True])
def test_no_wording_sets_a_filter(catalogue: Catalogue, shop: Dataset, task: str, held_out: bool) -> None:
    for wording in wordings(task, held_out):
        reading = read(wording.format(category="soft drinks", query="cheddar"), catalogue)
        assert reading.filters == {}
        assert reading.instruction == reading.text
        if task in ("Category", "Query"):  # the others need a real encoder
            assert reading.task == task
        if not held_out:
            assert reading.unknown == []


def test_every_name_is_found_again(catalogue: Catalogue, shop: Dataset) -> None:
    rng = np.random.default_rng(0)
    for query in QUERIES:
        assert read(render("Query", {"query": query}, rng, True), catalogue).names
    for name in filter(None, {*registry(shop)["Category"].index.categories, *registry(shop)["Category"].index.departments}):
        assert read(render("Category", {"category": name}, rng, True), catalogue).category == name


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("pizza that I have never bought", "hide"),
        ("pizza I haven't tried yet", "hide"),
        ("pizza, nothing we already had", "hide"),
        ("pizza, hide what I've bought before", "hide"),
        ("pizza, not bought before", "hide"),
        ("no repeats please, pizza", "hide"),
        ("pizza that's new to us", "hide"),
        ("pizza I haven't bought lately", "allow"),
        ("the pizza I bought before", "allow"),
        ("surprise me with something I haven't been buying", "allow"),
        ("something new", "allow"),
    ],
)
def test_bought_before(catalogue: Catalogue, text: str, seen: str) -> None:
    reading = read(text, catalogue)
    assert reading.seen == seen
    if "pizza" in text and seen == "hide":
        assert [word for word in reading.instruction.split() if word not in ("please,", "the")] == ["pizza"]


def test_the_model_is_told_what_is_left(catalogue: Catalogue) -> None:
    assert read("cheddar under $5, please", catalogue).instruction == "cheddar, please"
    assert read("under $5", catalogue).instruction == wordings("JustForYou")[0]
    assert read("something new to me", catalogue).instruction == wordings("Discover")[0]


@pytest.mark.parametrize("text", ["milk under $abc", "milk under $-3", "", "x" * 3000, "over $9 under $2", "?"])
def test_what_cannot_be_read_is_refused(catalogue: Catalogue, text: str) -> None:
    with pytest.raises(RequestError) as error:
        read(text, catalogue)
    assert "\n" not in str(error.value)
    assert str(error.value).count(". ") >= 1  # says how to mend it


def test_what_few_wordings_say_may_be_a_wish_of_its_own(shop: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"JustForYou": ("trolley",), "Longtail": ("waste", "odd"), "Discover": (), "Replenish": ("waste", "odd", "odd")}
    monkeypatch.setattr(names, "_said", lambda task: tuple(stem(word) for word in said[task]))
    plain = prepare(shop, fake_encode, tasks=tuple(said))
    found = {word.text: plain.is_plain(word) for word in words("trolley odd waste the")}
    assert found == {"trolley": True, "odd": True, "waste": False, "the": True}


def test_special_tokens_are_words(catalogue: Catalogue) -> None:
    reading = read("<q> milk <|end|>", catalogue)
    assert "<q>" not in reading.instruction
    assert reading.category == "Milk"
    assert reading.unknown == ["q"]


def test_names_by_meaning_when_none_is_said(shop: Dataset) -> None:
    def encode(texts: list[str]) -> np.ndarray:  # the fake, which knows that fizzy water is a soft drink
        return fake_encode(["soft drinks" if text in ("fizzy water", "fizzy") else text for text in texts])

    catalogue = listening(prepare(shop, encode))
    assert (read("some fizzy water please", catalogue).category, read("some fizzy water", catalogue).unknown) == (
        "Soft drinks",
        [],
    )
    alone = read("fizzy stuff for uncle", catalogue)
    assert (alone.task, alone.category, alone.unknown) == ("Category", "Soft drinks", ["uncle"])
    wish = read("something new and fizzy", catalogue)
    assert (wish.task, wish.category, wish.unknown) == ("Discover", None, ["fizzy"])


def test_name_vectors_can_be_kept(shop: Dataset) -> None:
    first = prepare(shop, fake_encode)
    vectors = first.name_vectors()
    assert vectors.shape == (len(first.names), 256)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert prepare(shop, fake_encode, vectors).name_vectors() is vectors
    assert prepare(shop, fake_encode, vectors[:3]).name_vectors().shape == vectors.shape  # not of these names


def test_a_shop_without_queries(shop: Dataset) -> None:
    bare = Dataset(shop.name, shop.items.iloc[:0], shop.users, shop.events, shop.queries.iloc[:0])
    assert read("pizza", prepare(bare, fake_encode)).unknown == ["pizza"]


@pytest.mark.parametrize(
    ("one", "other"),
    [("cookies", "cookie"), ("Dishes", "dish"), ("tomatoes", "tomato"), ("shoes", "shoe"), ("juices", "juice"),
     ("boxes", "box"), ("cherries", "cherry"), ("pies", "pie"), ("Levi's", "levi"), ("glasses", "glass")],
)  # fmt: skip
def test_stems(one: str, other: str) -> None:
    assert stem(one) == stem(other)
    assert stems(f"{one} & more") == stems(f"{other} and more")


def test_with_the_real_encoder(shop: Dataset) -> None:
    catalogue = listening(prepare(shop, shared_text_encoder().known_vectors), 100)
    assert read("puppy food", catalogue).category == "Dog foods"
    assert read("fizzy soft beverages", catalogue).category == "Soft drinks"
    assert read("food for my hamster", catalogue).category is None
    tasks = [(read(text, catalogue).task, task) for task in ("JustForYou", "Discover") for text in wordings(task, held_out=True)]
    assert np.mean([read_as == task for read_as, task in tasks]) >= 0.85  # of 117 wordings that reading does not know


@pytest.mark.parametrize(
    ("text", "heard", "tasks"),
    [
        ("some hidden gems", {"Longtail": 0.6, "JustForYou": 0.4}, ("Longtail",)),
        ("some hidden gems", {"Longtail": 0.5, "Replenish": 0.5}, ("JustForYou",)),  # in doubt
        ("some hidden gems under $5", {"Longtail": 0.6}, ("Budget",)),  # not clear beside a price
        ("some hidden gems under $5", {"Longtail": 0.9}, ("Longtail", "Budget")),
        ("some hidden gems under $5", {"Deals": 0.9}, ("Budget",)),  # offers are said by their own words
        ("some hidden gems", {"Deals": 0.9}, ("Deals",)),
        ("milk", {"Category": 0.4, "Query": 0.3}, ("Category",)),
        ("milk", {"Category": 0.3, "Query": 0.4}, ("Query",)),
        ("milk", {"Complement": 0.5, "Query": 0.4}, ("Query",)),
        ("milk", {"Complement": 0.6, "Query": 0.4}, ("Complement",)),
        ("cheddar", {"Category": 0.9}, ("Query",)),  # no shelf is called so
        ("milk", {"Discover": 0.9}, ("Category",)),  # what is named is asked for
    ],
)
def test_the_task_is_what_the_model_hears_among_what_was_said(
    shop: Dataset, text: str, heard: dict[str, float], tasks: tuple[str, ...]
) -> None:
    known = ("JustForYou", "Category", "Query", "Discover", "Longtail", "Deals", "Budget", "Complement", "Replenish")
    catalogue = prepare(shop, fake_encode, tasks=known)
    catalogue.asks = lambda _: heard
    assert read(text, catalogue).tasks == tasks


def test_without_a_model_only_names_and_cues_tell(shop: Dataset) -> None:
    catalogue = prepare(shop, fake_encode)
    assert [read(text, catalogue).task for text in ("milk", "cheddar", "surprise me", "my weekly shop")] == [
        "Category",
        "Query",
        "Discover",
        "JustForYou",
    ]
