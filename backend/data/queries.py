"""Synthetic queries: what a shopper might type, derived from readable names. The data itself holds no searches.

- Every row is flagged `synthetic`, and whatever shows a query says so.
- Candidates come from type and category names: the whole phrase ("frozen bread dough"), its salient words ("bread dough",
  "frozen dough") and its head noun ("dough"); a purpose comes to the front ("cereal for kids" → "kids cereal").
- An item answers a query when its type holds all the query's words and the query's last word is the thing itself: "cheese"
  finds string cheese, not cheese crackers; "butter" no peanut butter. A query that no type answers goes by the category.
- Kept: at least two items, at most 15 % of the catalogue, at most two queries with the same answers.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import pandas as pd

from backend.data import schema

MAX_SHARE = 0.15  # of the catalogue; a query that matches more says nothing
MIN_ITEMS = 2
_SAME_ANSWER = 2  # queries kept with one and the same set of items

# nouns of two words that are one thing: their last word alone would be another thing
_COMPOUNDS = (
    "ice cream", "peanut butter", "apple butter", "sour cream", "cream cheese", "hot dog", "corn dog", "soft drink", "lunch meat",
    "bread crumb", "water ice", "water gun", "body cream", "facial cream", "shaving cream", "marshmallow creme", "corn bread",
    "potting soil", "bath towel", "paper towel", "body wash", "dish soap", "bar soap", "corn starch", "spray starch",
    "cat litter", "baby food", "dog food", "cat food", "light bulb", "cotton swab", "root beer", "ginger ale", "apple cider",
    "hash brown", "french toast", "meat loaf", "egg coloring", "air freshener", "rice drink", "soy drink", "english muffin",
    "soup bone", "pie shell", "taco shell", "tostada shell", "bread dough", "cookie dough", "pizza sauce", "greeting card",
    "baking soda", "club soda", "salad dressing", "salad mustard", "cough drop", "nasal drop", "contact lens", "rice milk",
)  # fmt: skip
_STOP = {
    "a", "an", "and", "the", "of", "or", "other", "one", "size", "type", "assorted", "miscellaneous", "everyday", "regular",
    "standard", "main", "mainstream", "general", "full", "line", "items", "to",
}  # fmt: skip
_VAGUE = {  # nouns that name nothing by themselves
    "item", "product", "accessory", "supply", "food", "mix", "set", "pack", "packet", "good", "need", "care", "piece", "kit",
    "treatment", "aid", "tool", "display", "part", "bottle", "can", "box", "jar", "cup", "tub", "pail", "pint", "quart", "gel",
    "stick", "roll", "half", "quarter", "cut", "slice", "cube", "strip", "dish", "sheet", "pouch", "canister", "spray", "powder",
    "cover", "holder", "case", "card", "top", "blend", "combination", "substitute", "alternative", "specialty", "selection",
    "wrap", "ring", "cream", "relief", "decor", "style", "plain", "link", "line", "service", "equipment", "day", "tray",
    "portion", "section", "bunch", "cored", "premium", "non-meat",
}  # fmt: skip
_LOOSE = {  # adjectives that do not narrow a vague noun: "frozen sticks", "natural foods"
    "frozen", "liquid", "dry", "natural", "organic", "flavored", "refrigerated", "packaged", "premium", "specialty", "boxed",
    "canned", "cooked", "fresh", "herbal", "powder", "powdered", "authentic", "prepared", "prepacked", "value", "single", "mixed",
    "bulk", "super", "dessert",
}  # fmt: skip
_BROKEN = {"individually", "granny", "zealand", "net", "outer", "new", "fewer", "fully", "league"}  # first words of half a phrase
_SINGULAR_NOUNS = {"beer", "ale", "pepperoni", "jam", "popcorn"}  # things that only ever stand first in a list
_ALIASES = {  # what shoppers call it → how the names put it
    "soda": "soft drinks", "toilet paper": "toilet tissue", "french fries": "frozen french fries",
    "mac and cheese": "cheese dinners", "sports drinks": "isotonic sports drinks", "laundry soap": "laundry detergent",
    "oj": "orange juice", "trash bags": "plastic trash bags", "tissues": "facial tissue", "greens": "leafy greens",
}  # fmt: skip
_AFTER = re.compile(r",? (?:with|without|except|not|under|over|from|in|on|per|by|fewer|no|including|add|sold)\b.*$")
_REMARK = re.compile(r", (?:produce aisle|exact weight|random weight|fixed weight|age restricted|.*\d.*)$")


def synthetic_queries(items: pd.DataFrame) -> pd.DataFrame:
    """Queries and the rows of the items that answer each, in long format, sorted by query and row.

    Args:
        items: the item table with its readable type and category names.
    """
    types = {name: _parse(name) for name in items[schema.TYPE].unique()}
    categories = {name: _parse(name) for name in items[schema.CATEGORY].unique()}
    nouns = {parts[-1][-1] for parts in (*types.values(), *categories.values()) if parts} | _SINGULAR_NOUNS
    index = _Index(items, types, categories, nouns)
    answers: dict[str, np.ndarray] = {}
    by_answer: dict[bytes, list[str]] = defaultdict(list)
    seen: set[frozenset[str]] = set()
    for text in sorted(
        _candidates([*types.items(), *categories.items()], nouns), key=lambda text: (text.count(" "), len(text), text)
    ):
        stems = _tokens(text)
        key = frozenset(stems)
        if key in seen or not _tells(stems):
            continue
        rows = index.rows(stems)
        same = by_answer[rows.tobytes()]
        if MIN_ITEMS <= len(rows) <= MAX_SHARE * len(items) and len(same) < _SAME_ANSWER:
            seen.add(key)
            same.append(text)
            answers[text] = rows
    for alias, text in _ALIASES.items():
        rows = index.rows(_tokens(text))
        if MIN_ITEMS <= len(rows) <= MAX_SHARE * len(items):
            answers[alias] = rows
    texts = sorted(answers)
    counts = [len(answers[text]) for text in texts]
    rows = np.concatenate([answers[text] for text in texts]) if texts else np.zeros(0, np.int32)
    return pd.DataFrame(
        {schema.QUERY: np.repeat(np.array(texts, dtype=object), counts), schema.QUERY_ITEM: rows, schema.SYNTHETIC: True}
    )


class _Index:
    """Which items hold a word in their type or category, and for which it is the thing itself."""

    def __init__(
        self,
        items: pd.DataFrame,
        types: dict[str, list[list[str]]],
        categories: dict[str, list[list[str]]],
        nouns: set[str],
    ) -> None:
        self.fields = []  # per field: token → rows that hold it, token → rows it heads
        for column, parsed in ((schema.TYPE, types), (schema.CATEGORY, categories)):
            rows_of = {str(name): rows.to_numpy() for name, rows in items.index.to_series().groupby(items[column])}
            holds: dict[str, list[np.ndarray]] = defaultdict(list)
            heads: dict[str, list[np.ndarray]] = defaultdict(list)
            for name, parts in parsed.items():
                if column == schema.CATEGORY and len(parts) != 1:
                    continue  # "Packaged cookies & ice cream cones": an item of it is only one of them
                for token in {token for part in parts for token in part}:
                    holds[token].append(rows_of[name])
                for token in {part[-1] for part in parts if part[-1] in nouns}:
                    heads[token].append(rows_of[name])
            self.fields.append((_sets(holds), _sets(heads)))

    def rows(self, stems: list[str]) -> np.ndarray:
        """Rows of the items that answer, ascending: by their types; by their categories only if too few types do."""
        found: set[int] = set()
        for holds, heads in self.fields:
            if len(found) < MIN_ITEMS:
                found = set(heads.get(stems[-1], ()))
                for stem in stems[:-1]:
                    found &= holds.get(stem, frozenset())
        return np.array(sorted(found), dtype=np.int32)


def _sets(rows: dict[str, list[np.ndarray]]) -> dict[str, frozenset[int]]:
    return {token: frozenset(np.concatenate(parts).tolist()) for token, parts in rows.items()}


def _candidates(names: Iterable[tuple[str, list[list[str]]]], nouns: set[str]) -> set[str]:
    """Query texts of all names, in the words of the names."""
    texts: set[str] = set()
    for name, _ in names:
        first: list[str] = []
        for words in _split(name):
            first = first or words
            if not _is_noun(words[-1], nouns):
                continue
            head = words[-1]
            phrases = [words, words[-2:], [words[0], head], [head]]
            if len(first) > 1 and first is not words:
                phrases.append([first[0], head])  # "frozen waffles, pancakes" → "frozen pancakes"
            texts |= {" ".join(dict.fromkeys(phrase)).replace("_", " ") for phrase in phrases}
    return {text for text in texts if not re.search(r"\d|%", text) and len(text) > 2}


def _tells(stems: list[str]) -> bool:
    """Whether a query says what it wants: no half phrase, no vague noun alone or with an adjective that does not narrow it."""
    if stems[0] in _BROKEN:
        return False
    return stems[-1] not in _VAGUE or (len(stems) > 1 and not all(stem in _LOOSE for stem in stems[:-1]))


def _is_noun(word: str, nouns: set[str]) -> bool:
    """In "kidney, pinto and variety beans" only beans is a thing: an earlier part counts when plural or a thing elsewhere."""
    return word.endswith("s") or _stem(word) in nouns


def _parse(name: str) -> list[list[str]]:
    """Parts of a name as stems."""
    return [[_stem(word) for word in words] for words in _split(name)]


@lru_cache(maxsize=8192)
def _split(name: str) -> list[list[str]]:
    """Parts of a name as words; compounds joined by "_": "Boxed cereal for kids" → [["kids", "boxed", "cereal"]]."""
    text = _REMARK.sub("", name.lower())
    text = _AFTER.sub("", text)
    text = re.sub(r"^(.*?) for (?:the )?(.*)$", r"\2 \1", text)
    head, comma, tail = text.rpartition(", ")
    if comma and "," not in head and " and " not in text and "&" not in text:
        text = f"{tail} {head}"  # "snack cakes, multi-pack" → "multi-pack snack cakes"
    parts = []
    for part in re.split(r", and |, | and | & |/", text):
        words = [word for word in re.findall(r"[a-z0-9%][a-z0-9%'\-]*", part) if word not in _STOP]
        joined: list[str] = []
        for word in words:
            if joined and f"{_stem(joined[-1])} {_stem(word)}" in _COMPOUND_STEMS:
                joined[-1] = f"{joined[-1]}_{word}"
            else:
                joined.append(word)
        if joined:
            parts.append(joined)
    return parts


def _tokens(text: str) -> list[str]:
    return [stem for part in _parse(text) for stem in part]


@lru_cache(maxsize=16384)
def _stem(word: str) -> str:
    """Singular of a word (of the last one in a compound): "tomatoes" → "tomato", "kids'" → "kid"."""
    word = word.replace("'s", "").rstrip("'")
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes", "oes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us")) and len(word) > 3 else word


_COMPOUND_STEMS = {" ".join(_stem(word) for word in compound.split()) for compound in _COMPOUNDS}
