"""What the turns of phrase of a text say of its task: linear logistic regressions over its words, pairs of words and groups of letters.

The other half of `DemandReader`: a sentence encoder hears what a text is about, and is deaf to much of how it is put ("running low on …",
"… and what else?"). Nothing but scikit-learn: a hashing vectorizer, so that no vocabulary is kept, and one regression a task.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression

_HASHED = 2**14  # features of each kind
_PENALTY = 60.0  # C; by the log-loss of left-out wordings, together with the kernel's probabilities
_COMMON = {"n_features": _HASHED, "alternate_sign": False, "binary": True, "norm": "l2"}
_WORDS = HashingVectorizer(ngram_range=(1, 2), token_pattern=r"\b\w+'?\w*\b", **_COMMON)
_LETTERS = HashingVectorizer(analyzer="char_wb", ngram_range=(3, 5), **_COMMON)


def _features(masked: Sequence[str], marks: np.ndarray) -> sp.csr_matrix:
    """Shape: n texts and (n, m) marks → (n, 2 · _HASHED + m) sparse."""
    parts = [_WORDS.transform(masked), _LETTERS.transform(masked), sp.csr_matrix(marks.astype(np.float64))]
    return sp.hstack(parts, format="csr")


def fit_phrasing(
    masked: Sequence[str], marks: np.ndarray, demand: np.ndarray, weight: np.ndarray, tasks: int
) -> dict[str, np.ndarray]:
    """One regression a task, against all others.

    Args:
        masked, marks: as `demand.heard` gives them.
        demand: (n,) place of each text's task. weight: (n,) what a text counts. tasks: how many there are.

    Shape:
        returns: phrasing (tasks, 2 · 2¹⁴ + m) and phrasing_bias (tasks,) float16; a task that no text or every text is of has zeros.
    """
    features = _features(masked, marks)
    weights = np.zeros((tasks, features.shape[1]), np.float16)
    bias = np.zeros(tasks, np.float16)
    for task in range(tasks):
        own = demand == task
        if own.all() or not own.any():
            continue
        one = LogisticRegression(C=_PENALTY, solver="liblinear", dual=True, tol=1e-3, max_iter=300, random_state=0)
        one.fit(features, own, sample_weight=weight)
        weights[task], bias[task] = one.coef_[0], one.intercept_[0]
    return {"phrasing": weights, "phrasing_bias": bias}


class Phrasing:
    """Reads demands by their turns of phrase.

    Args:
        fitted: as `fit_phrasing` gives it.
    """

    def __init__(self, fitted: Mapping[str, np.ndarray]) -> None:
        self._weights, self._bias = fitted["phrasing"].astype(np.float32), fitted["phrasing_bias"].astype(np.float32)

    def read(self, masked: Sequence[str], marks: np.ndarray) -> np.ndarray:
        """Probability of each task, the regressions' own divided by their sum. Shape: → (n, tasks) float32."""
        logits = _features(masked, marks) @ self._weights.T + self._bias
        alone = 1.0 / (1.0 + np.exp(-logits))
        return np.asarray(alone / alone.sum(1, keepdims=True), np.float32)
