"""What reading knows: the names of a dataset and the training wordings, with their sentence embeddings.

- Names are found in a text by their stems, longest first; only where no name stands in the text, by meaning.
- A query that is also an everyday word of instructions ("shop") counts only as the whole text; a category only as it is written.
- Which task a text without a name asks for is told by cue words, else by a ridge regression on the training wordings' embeddings, which
  tells short sentences apart better than their nearest neighbour (figures of unseen wordings: README, "How well it reads").
- Only tasks that the model was trained on are told apart (`tasks`); a wish for another one is read as the nearest of those.
- The encoder is handed in, so tests take a fake one. Name vectors are made at the first search by meaning, which takes
  seconds for thousands of names: keep `name_vectors()` and hand them to `prepare` next time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np

from backend.data.schema import CATEGORY, DEPARTMENT, QUERY, Dataset
from backend.instructions.templates import in_sentence, slots_of, wordings
from backend.instructions.words import Word, stems, words

Encode = Callable[[list[str]], np.ndarray]  # texts → one vector each. Shape: (n, dim)
TASKS = ("JustForYou", "Category", "Query", "Discover")  # tasks that reading tells apart unless it is told of more
FREE = ("JustForYou", "Discover", "Longtail", "Deals", "Replenish", "Budget")  # tasks whose wordings name nothing
NAMING = ("Category", "Query", "Complement")  # tasks whose wordings hold a name of the catalogue
PLACEHOLDER = "groceries"  # stands for any name when two wordings are compared
_AMOUNT = "$5"  # … and this for any price
RIDGE = 0.3  # penalty of the regression, on unit vectors
EXPLORING = (
    0.8  # how far (the task +1, others -1), over the number of tasks, one must lie above JustForYou; what is vague stays there
)
COMPLETING = 0.1  # how far Complement must lie above Category and Query, which are asked for more often
CLOSE = 0.65  # cosine from which a text is very like a wording
SHARED = 3  # training wordings that share a word which says nothing of its own
NEAR = 0.35  # cosine to the task's nearest wording below which the regression is not believed ("hello" .39 to Discover, "qwertz" .23)


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

    @cached_property
    def _asking(self) -> Wordings:
        """The wordings that name something."""
        return Wordings([task for task in NAMING if task in self.tasks], self.encode)

    @cached_property
    def _free(self) -> Wordings:
        """The wordings that name nothing."""
        return Wordings([task for task in FREE if task in self.tasks], self.encode)

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

    def nearest_asking(self, text: str) -> str:
        """ "Category" or "Query": whose training wordings a text (its names as placeholders) is nearest to."""
        known = [task for task in ("Category", "Query") if task in self.tasks]
        if len(known) < 2:
            return known[0] if known else "Category"
        near = self._asking.near(text)
        return max(known, key=lambda task: near[task])  # the first of equals: Category

    def complements(self, text: str) -> bool:
        """Whether a text (its names as placeholders) asks for what goes with them."""
        if "Complement" not in self.tasks or sum(word.text != PLACEHOLDER for word in words(text)) <= 2:
            return False  # a bare name ("bread and butter") asks for itself
        scores = self._asking.scores(text)
        others = max((value for task, value in scores.items() if task != "Complement"), default=-1.0)
        return scores["Complement"] - others > COMPLETING and self._asking.near(text)["Complement"] >= NEAR

    def close_task(self, text: str) -> str:
        """The task that names nothing and has a training wording very like a text; JustForYou where there is none."""
        if not set(FREE) & set(self.tasks):
            return "JustForYou"
        near = self._free.near(text)
        best = max(near, key=lambda task: near[task])
        return best if near[best] >= CLOSE else "JustForYou"

    def free_task(self, text: str) -> str:
        """Which of the tasks that name nothing a text asks for. What is vague, or far from every wording, is JustForYou."""
        if not set(FREE) & set(self.tasks):
            return "JustForYou"
        scores = self._free.scores(text)
        usual = scores.pop("JustForYou", -1.0)
        best = max(scores, key=lambda task: scores[task], default="JustForYou")
        margin = EXPLORING / len(self._free.tasks)
        sure = bool(scores) and scores[best] - usual > margin and self._free.near(text)[best] >= NEAR
        return best if sure else "JustForYou"


class Wordings:
    """The training wordings of some tasks, and a ridge regression of the tasks on their vectors.

    Every task weighs the same, however many wordings it has: else the one with most wordings would be read too often.
    """

    def __init__(self, tasks: Sequence[str], encode: Encode) -> None:
        self.tasks, self.encode = list(tasks), encode
        pairs = [(task, as_compared(task, text)) for task in tasks for text in wordings(task, held_out=False)]
        self.of = np.array([task for task, _ in pairs])
        self.vectors = unit(encode([text for _, text in pairs]))  # (n, dim)
        signs = np.where(self.of[:, None] == np.array(self.tasks), 1.0, -1.0)  # (n, tasks)
        share = np.array([1 / (len(self.tasks) * (self.of == task).mean()) for task in self.of])  # (n,) mean 1
        self.centre, self.offset = np.average(self.vectors, 0, share), np.average(signs, 0, share)
        root = np.sqrt(share)[:, None]
        rows = root * (self.vectors - self.centre)
        # (dim, tasks); there are far more wordings than dimensions
        self.weights = np.linalg.solve(rows.T @ rows + RIDGE * np.eye(rows.shape[1]), rows.T @ (root * (signs - self.offset)))
        self._remembered: dict[str, np.ndarray] = {}

    def _vector(self, text: str) -> np.ndarray:
        if text not in self._remembered:
            self._remembered = {text: unit(self.encode([text]))[0]}
        return self._remembered[text]

    def near(self, text: str) -> dict[str, float]:
        """Cosine to each task's nearest wording."""
        cosine = self.vectors @ self._vector(text)
        return {task: float(cosine[self.of == task].max()) for task in self.tasks}

    def scores(self, text: str) -> dict[str, float]:
        """Value of each task's regression."""
        values = (self._vector(text) - self.centre) @ self.weights + self.offset
        return dict(zip(self.tasks, values.tolist(), strict=True))


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


def as_compared(task: str, wording: str) -> str:
    """A wording as texts are compared with it: the placeholder in its slots, a price in those of a budget."""
    return filled(wording, _AMOUNT if task == "Budget" else PLACEHOLDER)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1. Shape: (n, dim) → (n, dim)"""
    vectors = np.asarray(vectors, np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
