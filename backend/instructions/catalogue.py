"""What reading knows: the names of a dataset and the training wordings, with their sentence embeddings.

- Names are found in a text by their stems, longest first; only where no name stands in the text, by meaning.
- A query that is also an everyday word of instructions ("shop") counts only as the whole text; a category only as it is written.
- "Just for you" or "discover" is told by cue words, else by a ridge regression on the training wordings' embeddings: among 40
  short sentences the nearest neighbour is little better than chance (leave one out .55; ridge .73, held-out wordings .85).
- The encoder is handed in, so tests take a fake one. Name vectors are made at the first search by meaning, which takes
  seconds for thousands of names: keep `name_vectors()` and hand them to `prepare` next time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np

from backend.data.schema import CATEGORY, DEPARTMENT, QUERY, Dataset
from backend.instructions.templates import in_sentence, slots_of, wordings
from backend.instructions.words import Word, stems, words

Encode = Callable[[list[str]], np.ndarray]  # texts → one vector each. Shape: (n, dim)
TASKS = ("JustForYou", "Category", "Query", "Discover")  # tasks that reading can tell apart
PLACEHOLDER = "groceries"  # stands for any name when two wordings are compared
RIDGE = 0.3  # penalty of the regression, on unit vectors
EXPLORING = 0.2  # value of the regression (Discover +1, JustForYou -1) from which a text explores; what is vague does not
NEAR = 0.35  # cosine to the nearest Discover wording below which the regression is not believed ("hello" .29, "qwertz" .14)


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


@dataclass
class Catalogue:
    """Names and wordings, prepared for reading; make one with `prepare` and keep it."""

    names: list[Name]
    encode: Encode
    vectors: np.ndarray | None = None  # unit vectors of the names. Shape: (n_names, dim)
    _by_stems: dict[tuple[str, ...], int] = field(init=False, repr=False)
    _longest: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._by_stems = {stems(name.text): row for row, name in enumerate(self.names)}
        self._longest = max(map(len, self._by_stems), default=0)

    @cached_property
    def known(self) -> frozenset[str]:
        """Stems of the words of the training wordings."""
        texts = (text for task in TASKS for text in wordings(task, held_out=False))
        return frozenset(word.stem for text in texts for word in words(filled(text, "")))

    @cached_property
    def _asking(self) -> tuple[list[str], np.ndarray]:
        """Task of every training wording that names something, and its unit vector. Shape: (n, dim)"""
        pairs = [(task, filled(text, PLACEHOLDER)) for task in ("Category", "Query") for text in wordings(task, held_out=False)]
        return [task for task, _ in pairs], unit(self.encode([text for _, text in pairs]))

    @cached_property
    def _exploring(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        """Ridge regression of Discover (+1) against JustForYou (-1).

        Returns:
            Unit vectors of the Discover wordings (n, dim), centre (dim,), weights (dim,), offset.
        """
        pairs = [(task == "Discover", text) for task in ("JustForYou", "Discover") for text in wordings(task, held_out=False)]
        vectors = unit(self.encode([text for _, text in pairs]))
        signs = np.array([1.0 if exploring else -1.0 for exploring, _ in pairs])
        centre, offset = vectors.mean(0), float(signs.mean())
        rows = vectors - centre
        weights = rows.T @ np.linalg.solve(rows @ rows.T + RIDGE * np.eye(len(rows)), signs - offset)
        return vectors[signs > 0], centre, weights, offset

    def is_plain(self, word: Word) -> bool:
        """Whether any instruction may hold this word: a function word or one of the training wordings'."""
        return word.is_function or word.stem in self.known

    def _is_by_chance(self, word: Word, name: Name) -> bool:
        """Whether an everyday word only happens to be a name: "groceries" is no department, "grocery" is."""
        return self.is_plain(word) and word.text.casefold() != (name.category or "").casefold()

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

    def nearest_asking(self, text: str) -> str:
        """ "Category" or "Query": whose training wordings a text (its names as placeholders) is nearest to."""
        tasks, vectors = self._asking
        return tasks[int((vectors @ unit(self.encode([text]))[0]).argmax())]  # the first of equals: Category

    def explores(self, text: str) -> bool:
        """Whether a text asks for something unlike the usual. What is vague, or far from every wording, does not."""
        vectors, centre, weights, offset = self._exploring
        vector = unit(self.encode([text]))[0]
        return float((vectors @ vector).max()) >= NEAR and float((vector - centre) @ weights) + offset > EXPLORING


def prepare(dataset: Dataset, encode: Encode, vectors: np.ndarray | None = None) -> Catalogue:
    """A dataset's catalogue.

    Args:
        dataset: the tables whose names may be said.
        encode: sentence encoder.
        vectors: `name_vectors()` of an earlier catalogue of the same dataset, to save encoding. Shape: (n_names, dim)
    """
    categories = {stems(name): name for column in (DEPARTMENT, CATEGORY) for name in sorted(dataset.items[column].unique())}
    queries = {stems(name): name for name in sorted(dataset.queries[QUERY].unique())}
    keys = [key for key in dict.fromkeys([*categories, *queries]) if key]
    names = [Name(categories.get(key), queries.get(key)) for key in keys]
    if vectors is not None and len(vectors) != len(names):
        vectors = None  # of other names: make them again
    return Catalogue(names, encode, vectors)


def filled(wording: str, name: str) -> str:
    """A wording with `name` in all its slots."""
    return wording.format_map(dict.fromkeys(slots_of(wording), name))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1. Shape: (n, dim) → (n, dim)"""
    vectors = np.asarray(vectors, np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
