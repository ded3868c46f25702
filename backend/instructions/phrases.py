"""Negations, offers, occasions and dates in free text, by a grammar (wishes.lark); each phrase knows where it stands.

- The grammar is LALR, so reading takes time linear in the text, and every text parses: what is no phrase is a word.
- Dates are read by dateutil; the calendar says which occasion, else which season, a day belongs to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from dateutil import parser as dates
from lark import Lark, Token, Tree

from backend.data import calendar

NAME_MARK = "\ue000"  # private use: user text cannot hold it (see `templates.sanitise`)
YEAR = 2017  # of a date without one: the year that the calendar's words are made for
_MONTHS = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|"
    "dec(?:ember)?"
)
# how people say the calendar's words
_SAID = {
    "Christmas": r"christmas(?:\s+(?:eve|day))?|x-?mas|yuletide",
    "New Year": r"new\s+year(?:['’]?s)?(?:\s+(?:eve|day))?",
    "Valentine's Day": r"valentine(?:['’]?s)?(?:\s+day)?",
    "Super Bowl": r"super\s*bowl(?:\s+sunday)?",
    "Easter": r"easter(?:\s+sunday)?",
    "Memorial Day": r"memorial\s+day",
    "Independence Day": r"independence\s+day|(?:the\s+)?(?:4th|fourth)\s+of\s+july|july\s+(?:4th|fourth|4)\b|4th\s+july",
    "Labor Day": r"labou?r\s+day",
    "back to school": r"back[\s-]+to[\s-]+school",
    "Halloween": r"hallowe['’]?en|trick\s+or\s+treat",
    "Thanksgiving": r"thanksgiving(?:\s+day)?",
    "winter": r"winter(?:time|y)?",
    "summer": r"summer(?:time|y)?",
    "spring": r"springtime|spring(?!\s+(?:water|roll|onion|mix|green|clean))",
    "fall": r"autumn(?:al)?|fall(?!\s+(?:under|below|within|into|short|off|apart|back|behind|for|in\s+love|asleep|between))",
}


@dataclass(frozen=True)
class Phrase:
    """A phrase that says something of its own.

    Attributes:
        kind: "exclude" (its names are not wanted), "need" (out of it, so wanted), "deals", "no deals", or "theme".
        start, stop: where it stands in the text.
        names: starts of the names that it holds.
        theme: the calendar's word.
    """

    kind: str
    start: int
    stop: int
    names: tuple[int, ...] = ()
    theme: str | None = None


@cache
def _grammar() -> Lark:
    text = (Path(__file__).parent / "wishes.lark").read_text("utf-8")
    occasions = "|".join(f"(?:{said})" for said in _SAID.values())
    return Lark(text.replace("%OCCASIONS%", occasions).replace("%MONTHS%", _MONTHS), parser="lalr", lexer="basic")


_KINDS = {"exclusion": "exclude", "need": "need", "offer": "deals", "no_offer": "no deals", "occasion": "theme"}


def phrases(text: str, names: Sequence[tuple[int, int]]) -> list[Phrase]:
    """The phrases of a text, in its order.

    Args:
        names: where the names of the catalogue stand: (start, stop), apart from each other.
    """
    marked = list(text)
    for start, stop in names:
        marked[start:stop] = NAME_MARK * (stop - start)
    found = []
    for tree in _grammar().parse("".join(marked)).children:
        if not isinstance(tree, Tree):
            continue
        tokens = [token for token in tree.children if isinstance(token, Token)]
        start, stop = _ends(tokens[0])[0], _ends(tokens[-1])[1]
        inside = tuple(_ends(token)[0] for token in tokens if token.type == "NAME")
        theme = _theme(str(tokens[0])) if tree.data == "occasion" else None
        if tree.data != "occasion" or theme:
            found.append(Phrase(_KINDS[str(tree.data)], start, stop, inside, theme))
    return found


def occasion(text: str) -> str | None:
    """The calendar's word that a text says and nothing else: "xmas" → "Christmas"."""
    return next((word for word, said in _SAID.items() if re.fullmatch(said, text.strip(), re.IGNORECASE)), None)


def _ends(token: Token) -> tuple[int, int]:
    return int(token.start_pos or 0), int(token.end_pos or 0)


def _theme(said: str) -> str | None:
    bare = re.sub(r"['’]s$", "", said)
    for text in (said, bare):
        for word, pattern in _SAID.items():
            if re.fullmatch(pattern, text, re.IGNORECASE):
                return word
    if bare.casefold() in calendar.SEASONS:
        return bare.casefold()
    try:
        day = dates.parse(re.sub(r"^(?:on|for|by|in)\s+(?:the\s+)?|\bof\b", "", said.casefold()), default=datetime(YEAR, 1, 15))
    except (ValueError, OverflowError):  # the 31st of June
        return None
    whole_month = not re.search(r"\d", said)
    return (None if whole_month else calendar.holiday_of(day.date())) or calendar.season_of(day.date())
