"""What reading knows: the names of a dataset, the words that any instruction may hold, and who tells what a text asks for.

- Names are found in a text by their stems, longest first; only where no name stands in the text, by meaning.
- A query that is also an everyday word of instructions ("shop") counts only as the whole text; a category only as it is written.
- Which task a text asks for beside its names is told by the model's own reader of demands (`asks`): the page shows what the model hears.
- Only tasks that the model was trained on are told apart (`tasks`); a wish for another one is read as the nearest of those.
- The encoder is handed in, so tests take a fake one. Name vectors are made at the first search by meaning, which takes
  seconds for thousands of names: keep `name_vectors()` and hand them to `prepare` next time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np

from backend.data.schema import CATEGORY, DEPARTMENT, QUERY, Dataset
from backend.instructions.templates import in_sentence, slots_of, wordings
from backend.instructions.words import Word, stems, words

Encode = Callable[[list[str]], np.ndarray]  # texts → one vector each. Shape: (n, dim)
Asks = Callable[[str], Mapping[str, float]]  # a text → probability of each task
TASKS = ("JustForYou", "Category", "Query", "Discover")  # tasks that reading tells apart unless it is told of more
PLACEHOLDER = "groceries"  # stands for any name where wordings are compared
SHARED = 3  # training wordings that share a word which says nothing of its own


@dataclass(frozen=True)
class Name:
    """What some words name: a category or department, a query, or both ("Breads" and "bread")."""

    category: str | None = None  # a category's or department's readable name
    query: str | None = None

    @property
    def text(self) -> str:
        """The name as it is shown."""
        return self.category or self.query or ""


@dataclass(frozen=True)
class Found:
    """A name found in a text: the words `first:last` of the text say it."""

    name: Name
    first: int
    last: int


@lru_cache(maxsize=64)
def _said(task: str) -> tuple[str, ...]:
    """Stems of each training wording of a task, each once a wording."""
    return tuple(stem for text in wordings(task, held_out=False) for stem in {word.stem for word in words(filled(text, ""))})


@dataclass
class Catalogue:
    """Names and wordings, prepared for reading; make one with `prepare` and keep it."""

    names: list[Name]
    encode: Encode
    vectors: np.ndarray | None = None  # unit vectors of the names. Shape: (n_names, dim)
    tasks: tuple[str, ...] = TASKS  # tasks that the model knows
    asks: Asks | None = None  # what a text asks for, as the model hears it; None = only names, occasions and cues tell
    _by_stems: dict[tuple[str, ...], int] = field(init=False, repr=False)
    _longest: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._by_stems = {stems(name.text): row for row, name in enumerate(self.names)}
        self._longest = max(map(len, self._by_stems), default=0)

    @cached_property
    def known(self) -> frozenset[str]:
        """Stems of the words of the training wordings; of the later, richer tasks only words that several wordings share."""
        first = (stem for task in self.tasks if task in TASKS for stem in _said(task))
        return self._shared.union(first)

    @cached_property
    def _shared(self) -> frozenset[str]:
        """Those that several wordings share: what one or two say ("tired of chicken") may well be a name, or a wish of its own."""
        times = Counter(stem for task in self.tasks for stem in _said(task))
        return frozenset(stem for stem, n in times.items() if n >= SHARED)

    def is_plain(self, word: Word) -> bool:
        """Whether any instruction may hold this word: a function word or one of the training wordings'."""
        return word.is_function or word.stem in self.known

    def _is_by_chance(self, word: Word, name: Name) -> bool:
        """Whether an everyday word only happens to be a name: "groceries" is no department, "grocery" is."""
        everyday = word.is_function or word.stem in self._shared
        return everyday and word.text.casefold() != (name.category or "").casefold()

    def find(self, said: Sequence[Word]) -> list[Found]:
        """Names said in a text, the longest first where they overlap, in the order of the text."""
        kept = [place for place, word in enumerate(said) if word.stem != "and"]  # names match without their "and"
        taken: set[int] = set()
        found = []
        for length in range(min(self._longest, len(kept)), 0, -1):
            for at in range(len(kept) - length + 1):
                places = kept[at : at + length]
                row = self._by_stems.get(tuple(said[place].stem for place in places))
                if row is None or taken & set(places):
                    continue
                if length == 1 and len(kept) > 1 and self._is_by_chance(said[places[0]], self.names[row]):
                    continue
                if any(later - earlier > 2 for earlier, later in pairwise(places)):
                    continue
                taken |= set(places)
                found.append(Found(self.names[row], places[0], places[-1] + 1))
        return sorted(found, key=lambda one: one.first)

    def name_vectors(self) -> np.ndarray:
        """Unit vectors of the names, made at the first call. Shape: (n_names, dim)"""
        if self.vectors is None:
            self.vectors = unit(self.encode([in_sentence(name.text) for name in self.names]))
        return self.vectors

    def nearest_names(self, texts: list[str]) -> list[tuple[Name, float]]:
        """For each text the name nearest in meaning and its cosine; empty where the catalogue has no names."""
        if not self.names or not texts:
            return []
        cosines = unit(self.encode(texts)) @ self.name_vectors().T  # (n, n_names)
        best = cosines.argmax(1)
        return [(self.names[name], float(cosines[row, name])) for row, name in enumerate(best)]


def prepare(dataset: Dataset, encode: Encode, vectors: np.ndarray | None = None, tasks: Sequence[str] = TASKS) -> Catalogue:
    """A dataset's catalogue.

    Args:
        dataset: the tables whose names may be said.
        encode: sentence encoder.
        vectors: `name_vectors()` of an earlier catalogue of the same dataset, to save encoding. Shape: (n_names, dim)
        tasks: names of the tasks that the model was trained on.
    """
    categories = {stems(name): name for column in (DEPARTMENT, CATEGORY) for name in sorted(dataset.items[column].unique())}
    queries = {stems(name): name for name in sorted(dataset.queries[QUERY].unique())}
    keys = [key for key in dict.fromkeys([*categories, *queries]) if key]
    names = [Name(categories.get(key), queries.get(key)) for key in keys]
    if vectors is not None and len(vectors) != len(names):
        vectors = None  # of other names: make them again
    return Catalogue(names, encode, vectors, tuple(tasks))


def filled(wording: str, name: str) -> str:
    """A wording with `name` in all its slots."""
    return wording.format_map(dict.fromkeys(slots_of(wording), name))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1. Shape: (n, dim) → (n, dim)"""
    vectors = np.asarray(vectors, np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
