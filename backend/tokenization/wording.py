"""Typical words of a set of items: those that its titles use more than the catalogue's do.

A word's weight is its part of the Kullback-Leibler divergence between the words of the set and those of all titles, p · log₂(p / q): a word
must be both frequent inside and rarer outside. English function words are left out: in a handful of titles they would weigh by chance.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer


class TitleWords:
    """Word counts of all titles, made once; a word counts once a title.

    Args:
        titles: of all items, in row order.
    """

    def __init__(self, titles: Sequence[str]) -> None:
        counter = CountVectorizer(binary=True, stop_words="english", token_pattern=r"(?u)[^\W\d_][^\W\d_'-]{2,}")
        try:
            self.counts = counter.fit_transform(titles).tocsr()
            self.words = np.asarray(counter.get_feature_names_out(), object)
        except ValueError:  # no title has a word
            self.counts, self.words = None, np.array([], object)
        self.total = np.asarray(self.counts.sum(0)).ravel() if self.counts is not None else np.array([])

    def typical(self, rows: np.ndarray, most: int = 8) -> pd.DataFrame:
        """Words that set these items apart, best first.

        Shape:
            rows: (m,) item rows.

        Returns:
            word · n (titles inside) · share (of the titles inside) · lift (share inside / share overall).
        """
        if self.counts is None or not len(rows):
            return pd.DataFrame({"word": [], "n": [], "share": [], "lift": []})
        inside = np.asarray(self.counts[rows].sum(0)).ravel()
        p, q = inside / max(inside.sum(), 1), self.total / self.total.sum()
        with np.errstate(divide="ignore", invalid="ignore"):
            weight = np.where(inside > 0, p * np.log2(p / q), -np.inf)
        best = [word for word in np.argsort(-weight, kind="stable")[:most] if weight[word] > 0]
        share, overall = inside[best] / len(rows), self.total[best] / self.counts.shape[0]
        return pd.DataFrame({"word": self.words[best], "n": inside[best], "share": share, "lift": share / overall})
