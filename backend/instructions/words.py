"""Words of a text: splitting, light stemming and the words that carry no demand of their own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_WORD = re.compile(r"[$€£]?\d+(?:[.,]\d+)*%?|[^\W_]+(?:['’][^\W_]+)*")
_FUNCTION = frozenset((Path(__file__).parent / "function_words.txt").read_text("utf-8").split())


@dataclass(frozen=True)
class Word:
    """One word of a text: as written, its stem, and where it stands (start, stop) in the text."""

    text: str
    stem: str
    start: int
    stop: int

    @property
    def is_function(self) -> bool:
        """Whether it is a word such as "the", "please", "want"."""
        return self.text.lower().replace("’", "'") in _FUNCTION


def words(text: str) -> list[Word]:
    """The words of a text, in order; a hyphen separates."""
    return [Word(match[0], stem(match[0]), *match.span()) for match in _WORD.finditer(text)]


def stems(name: str) -> tuple[str, ...]:
    """A name as stems, without "and": "Beers & ales" and "beer and ale" are the same."""
    return tuple(word.stem for word in words(name) if word.stem != "and")


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """A word without case, possessive and plural: "Cookies" and "cookie" → "cooky". For comparing only, never shown."""
    word = word.lower().replace("’", "'").removesuffix("'s").replace("'", "")
    if len(word) > 4 and word.endswith(("ies", "ie")):
        return word.removesuffix("s").removesuffix("ie") + "y"
    if len(word) > 4 and word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    if len(word) > 5 and word.endswith("oes"):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word
