"""Negations, offers, occasions and dates, by the grammar."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.data import calendar
from backend.instructions.phrases import _SAID, occasion, phrases
from backend.instructions.templates import sanitise


def found(marked: str) -> list[tuple[str, list[str], str | None]]:
    """Phrases of a text whose names stand in [brackets]: kind, names, theme."""
    text, names = "", []
    for number, part in enumerate(marked.replace("]", "[").split("[")):
        if number % 2:
            names.append((len(text), len(text) + len(part)))
        text += part
    ends = dict(names)
    return [(p.kind, [text[start : ends[start]] for start in p.names], p.theme) for p in phrases(text, names)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[pizza] without [cheese]", ["cheese"]),
        ("[milk] and [pizza] without any [cheese]", ["cheese"]),
        ("no [milk], [cheese] or [eggs], but with [bread]", ["milk", "cheese", "eggs"]),
        ("I don't want [milk] and no [cheese]", ["milk", "cheese"]),
        ("[dairy]-free [snacks]", ["dairy"]),
        ("[snacks], free of [nuts]", ["nuts"]),
        ("anything but the [pork], please", ["pork"]),
        ("we're allergic to [nuts] and [eggs]", ["nuts", "eggs"]),
        ("I hate [tuna]. [Seafood], please", ["tuna"]),
        ("leave out the [turkey]", ["turkey"]),
        ("other than [bananas]", ["bananas"]),
        ("no [milk], [bread] please", ["milk"]),  # the comma ends it
    ],
)
def test_what_is_left_out(text: str, names: list[str]) -> None:
    assert [one for one in found(text) if one[0] == "exclude"] == [("exclude", names, None)]


@pytest.mark.parametrize(
    "text",
    [
        "nothing but [apples]", "not only [milk]", "don't forget the [milk]", "[milk] without gluten", "[milk], no sugar",
        "with [cheese]", "no, thanks", "without", "no [milk] left", "not just [pizza]",
    ],
)  # fmt: skip
def test_what_is_no_exclusion(text: str) -> None:
    assert not [one for one in found(text) if one[0] == "exclude"]


def test_what_is_used_up_is_needed() -> None:
    assert found("there is no [milk] left at home") == [("need", ["milk"], None)]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("[yogurt] on sale", ["deals"]),
        ("discounted [cereal]", ["deals"]),
        ("[coffee] with a coupon or a discount", ["deals"]),
        ("bargains only", ["deals"]),
        ("[coffee], no discounts needed", ["no deals"]),
        ("reduced-fat [milk]", []),
        ("what would you offer me", []),
        ("something special", []),
    ],
)
def test_offers(text: str, kinds: list[str]) -> None:
    assert [kind for kind, _, _ in found(text)] == kinds


@pytest.mark.parametrize(
    ("text", "theme"),
    [
        ("food for the 4th of July", "Independence Day"),
        ("xmas baking", "Christmas"),
        ("dinner on December 24", "Christmas"),
        ("[snacks] by 31 October", "Halloween"),
        ("[snacks] for June 10", "summer"),
        ("in March", "spring"),
        ("valentine's treats", "Valentine's Day"),
        ("autumn soups", "fall"),
        ("this fall", "fall"),
        ("prices fall under $5", None),
        ("spring rolls", None),
        ("on the 31st of June", None),
        ("it may rain", None),
    ],
)
def test_occasions_and_dates(text: str, theme: str | None) -> None:
    assert next((theme for kind, _, theme in found(text) if kind == "theme"), None) == theme


def test_every_word_of_the_calendar_can_be_said() -> None:
    assert set(_SAID) == set(calendar.words())
    for word in calendar.words():
        assert found(f"something for {word}") == [("theme", [], word)]
        assert occasion(word) == word
    assert occasion("Halloween items") is None


@given(st.text(max_size=300))
def test_every_text_parses(text: str) -> None:
    try:
        clean = sanitise(text)
    except Exception:
        return
    for phrase in phrases(clean, []):
        assert 0 <= phrase.start < phrase.stop <= len(clean)


def test_long_texts_are_read_in_time() -> None:
    phrases("warm up", [])
    for text in ("a" * 2000, "no " * 660, ", and " * 330, "free of " * 250, "on sale and " * 160):
        start = time.perf_counter()
        phrases(text, [])
        assert time.perf_counter() - start < 2
