"""Relevance pairs of the views (SIGMA §1.1): what should lie close to what.

- *Entities* are the items, then the queries, then calendar words, in one numbering; a pair is two entity numbers.
- *collaborative*: items that share baskets more often than chance (PMI), in many households: counting baskets alone rewards the habit
  of a single household, and such pairs could not be predicted from anything.
- *semantic*: synthetic query ↔ item that answers it.
- *knowledge*: calendar word ↔ item, mined by lift in training weeks and by meaning.
- *visual*: items whose images are near; empty where the catalogue has no images.
- Every view keeps a held-out set that takes no part in training. Collaborative, knowledge and visual ones are held-out pairs (the ID
  embedding does not see the first), semantic ones come from queries held out as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import faiss
import numpy as np
import pandas as pd
import scipy.sparse as sp

from backend.data import calendar
from backend.data import schema as c
from backend.data.schema import Dataset
from backend.grounding.encoders import Together

_HELD_PAIRS = 0.1  # share of collaborative pairs held out; the ID embedding does not see them either
_HELD_QUERIES = 0.15
_HELD_KNOWLEDGE = 0.2
_LOOKALIKES = 5  # image neighbours an item …
_LOOKALIKE_COS = 0.6  # … if at least this similar
_PARTNERS = 15  # collaborative partners an item, strongest first
_MIN_HOUSEHOLDS = 10  # households with both in one basket that make a pair believable
_MIN_PMI = 0.5
_YEAR = 2017  # the year whose windows name the calendar words (the data's own year)
_PHRASES = ("{}", "something for {}", "{} shopping", "a {} party")  # how people say a calendar word; the bare word comes first
_MEANING_TOP = 40  # items nearest in meaning to a calendar word …
_MEANING_COS = 0.35  # … if at least this similar


@dataclass(frozen=True)
class View:
    """Pairs of one view.

    Shape:
        train, held: (pairs, 2) int64 entity numbers.
    """

    name: str
    train: np.ndarray
    held: np.ndarray


@dataclass(frozen=True)
class Entities:
    """All entities in one numbering: items first, then queries, then calendar words."""

    texts: list[str]
    n_items: int
    n_queries: int


def build_entities(dataset: Dataset) -> Entities:
    """Texts of all entities of a dataset."""
    queries = list(dict.fromkeys(dataset.queries[c.QUERY]))
    phrases = [phrase.format(word) for word in calendar_words() for phrase in _PHRASES]
    return Entities([*dataset.items[c.TEXT], *queries, *phrases], dataset.n_items, len(queries))


def calendar_words() -> list[str]:
    """The calendar and season words that the knowledge view links to items."""
    return list(dict.fromkeys(calendar.windows(_YEAR)["word"]))


def collaborative(together: Together, seed: int) -> View:
    """Collaborative pairs: each item's strongest partners by households × PMI, both directions; a tenth of the pairs is held out."""
    matrix, households = together.pmi.tocoo(), together.households
    shared = np.asarray(households[matrix.row, matrix.col]).ravel()
    strong = (matrix.row != matrix.col) & (shared >= _MIN_HOUSEHOLDS) & (matrix.data > _MIN_PMI)
    frame = pd.DataFrame({"left": matrix.row[strong], "right": matrix.col[strong], "weight": (shared * matrix.data)[strong]})
    frame = frame.sort_values(["left", "weight", "right"], ascending=[True, False, True])
    top = frame.groupby("left").head(_PARTNERS)[["left", "right"]].to_numpy(np.int64)
    undirected = np.unique(np.sort(top, axis=1), axis=0)
    is_held = np.random.default_rng(seed).random(len(undirected)) < _HELD_PAIRS
    both = [np.concatenate([part, part[:, ::-1]]) for part in (undirected[~is_held], undirected[is_held])]
    return View("collaborative", *both)


def semantic(dataset: Dataset, seed: int) -> View:
    """Query ↔ item pairs; whole queries are held out."""
    queries = list(dict.fromkeys(dataset.queries[c.QUERY]))
    number = {text: dataset.n_items + row for row, text in enumerate(queries)}
    pairs = np.stack(
        [dataset.queries[c.QUERY].map(number).to_numpy(np.int64), dataset.queries[c.QUERY_ITEM].to_numpy(np.int64)], axis=1
    )
    held = np.random.default_rng(seed).random(len(queries)) < _HELD_QUERIES
    is_held = held[pairs[:, 0] - dataset.n_items]
    return View("semantic", pairs[~is_held], pairs[is_held])


def knowledge(dataset: Dataset, train_events: np.ndarray, entities: Entities, text_vectors: np.ndarray, seed: int) -> View:
    """Calendar phrase ↔ item pairs, by lift in the training weeks and by meaning; (word, item) pairs are held out for all phrases of a word.

    Shape:
        train_events: (events,) bool.
        text_vectors: (entities, 384) unit norm, of all entities.
    """
    windows = calendar.windows(_YEAR)
    words = calendar_words()
    first = entities.n_items + entities.n_queries
    linked: set[tuple[int, int]] = set()
    for row, word in enumerate(words):
        cosine = text_vectors[: entities.n_items] @ text_vectors[first + row * len(_PHRASES)]  # (items,)
        near = np.argsort(-cosine, kind="stable")[:_MEANING_TOP]
        linked.update((row, int(item)) for item in near if cosine[item] >= _MEANING_COS)
        for window in windows[windows["word"] == word].itertuples():
            span = calendar.within(dataset, window)
            linked.update((row, int(item)) for item in np.flatnonzero(calendar.themed(dataset, train_events, span)))
    array = np.array(sorted(linked), np.int64).reshape(-1, 2)
    held = np.random.default_rng(seed).random(len(array)) < _HELD_KNOWLEDGE
    phrases = np.arange(len(_PHRASES))

    def spread(pairs: np.ndarray) -> np.ndarray:
        anchors = first + pairs[:, :1] * len(_PHRASES) + phrases  # (pairs, phrases)
        return np.stack([anchors.ravel(), np.repeat(pairs[:, 1], len(phrases))], axis=1)

    return View("knowledge", spread(array[~held]), spread(array[held]))


def visual(images: np.ndarray | None, seed: int) -> View:
    """Items that look alike: each item's nearest images, both directions; a tenth of the pairs is held out.

    Shape:
        images: (n_items, dim) unit norm, zero where an item has no image; None = no images.
    """
    nothing = np.zeros((0, 2), np.int64)
    if images is None or not images.any():
        return View("visual", nothing, nothing)
    shown = np.flatnonzero(images.any(1))
    rows = np.ascontiguousarray(images[shown], np.float32)
    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(rows)
    cosine, near = index.search(rows, min(_LOOKALIKES + 1, len(rows)))
    left = np.repeat(np.arange(len(rows)), near.shape[1])
    right = near.ravel()
    alike = (left != right) & (right >= 0) & (cosine.ravel() >= _LOOKALIKE_COS)
    pairs = np.sort(np.stack([shown[left[alike]], shown[right[alike]]], axis=1), axis=1)
    undirected = np.unique(pairs, axis=0).astype(np.int64).reshape(-1, 2)
    is_held = np.random.default_rng(seed).random(len(undirected)) < _HELD_PAIRS
    both = [np.concatenate([part, part[:, ::-1]]) for part in (undirected[~is_held], undirected[is_held])]
    return View("visual", *both)


def positives(views: Sequence[View], n_entities: int) -> sp.csr_matrix:
    """Symmetric matrix of all known training positives, for the false-negative masks.

    Shape:
        returns: (n_entities, n_entities) bool, with the diagonal set.
    """
    pairs = np.concatenate([view.train for view in views] + [np.zeros((0, 2), np.int64)])
    row = np.concatenate([pairs[:, 0], pairs[:, 1], np.arange(n_entities)])
    col = np.concatenate([pairs[:, 1], pairs[:, 0], np.arange(n_entities)])
    return sp.csr_matrix((np.ones(len(row), bool), (row, col)), shape=(n_entities, n_entities))


def held_recall(vectors: np.ndarray, view: View, n_items: int, known: sp.csr_matrix, k: int = 10) -> tuple[float, int]:
    """Mean recall@k of the held-out pairs: is the held-out item among the k nearest items of its anchor?

    Training positives of the anchor and the anchor itself are taken out of the ranking first.

    Shape:
        vectors: (entities, dim) unit norm.
        returns: recall in [0, 1] and the number of anchors.
    """
    if not len(view.held):
        return float("nan"), 0
    truth = sp.csr_matrix((np.ones(len(view.held)), (view.held[:, 0], view.held[:, 1])), shape=known.shape)
    anchors = np.unique(view.held[:, 0])
    recalls = []
    for start in range(0, len(anchors), 512):
        rows = anchors[start : start + 512]
        score = vectors[rows] @ vectors[:n_items].T  # (anchors, items)
        score[known[rows][:, :n_items].toarray()] = -np.inf
        top = np.argpartition(-score, min(k, n_items - 1), axis=1)[:, :k]
        hit = np.take_along_axis(truth[rows][:, :n_items].toarray() > 0, top, axis=1).sum(1)
        wanted = np.asarray((truth[rows] > 0).sum(1)).ravel()
        recalls.append(hit / np.minimum(wanted, k))
    return float(np.concatenate(recalls).mean()), len(anchors)
