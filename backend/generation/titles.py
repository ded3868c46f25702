"""Titles that a model wrote freely, grounded to the catalogue: the item that is called so, else the one whose title means most nearly the same.

- JD writes an item as its title and then has to find it. Along the trie every answer is a title of the catalogue (`constrained_beam`); free, a model
  writes titles that nobody has, and this finds the nearest item by cosine of the sentence vectors.
- Each beam grounds to one item, the best that is allowed and not taken by a beam before it, so a list never holds an item twice. Items of the
  same title stand side by side, as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from backend.generation.constrained import Found
from backend.model.item_words import ItemWords

Encode = Callable[[Sequence[str]], np.ndarray]  # texts → (n, dim) unit vectors


class TitleGrounder:
    """Finds items for written titles.

    Args:
        words: how items are written, as titles.
        titles: of all items, in row order.
        encode: sentence vectors of texts.
    """

    def __init__(self, words: ItemWords, titles: Sequence[str], encode: Encode) -> None:
        self.words, self.encode = words, encode
        self.vectors = encode(list(titles))  # (n_items, dim)

    def written(self, codes: np.ndarray) -> str:
        """The text of a beam. Shape: codes (positions,)."""
        return self.words.read([int(self.words.levels[level][code]) for level, code in enumerate(codes)])

    def items(self, found: Found, allowed: np.ndarray, k: int) -> np.ndarray:
        """Items of the beams, best beam first.

        Shape:
            allowed: (n_items,) bool; returns: (≤ k,) item rows.
        """
        trie = self.words.representation.trie
        strange = np.flatnonzero(found.leaves < 0)
        texts = [self.written(found.codes[beam]) for beam in strange]
        near = dict(zip(strange.tolist(), self.encode(texts) @ self.vectors.T, strict=True)) if texts else {}
        free, out = allowed.copy(), []
        for beam, leaf in enumerate(found.leaves.tolist()):
            if leaf >= 0:
                own = [item for item in trie.items_of(leaf).tolist() if free[item]]
            else:
                own = [int(np.argmax(np.where(free, near[beam], -np.inf)))] if free.any() else []
            free[own] = False
            out += own
            if len(out) >= k:
                break
        return np.array(out[:k], np.int64)
