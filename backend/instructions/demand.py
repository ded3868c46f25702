"""Which of the trained tasks an instruction asks for: probabilities, read off its sentence vector.

- Kernel logistic regression (scikit-learn: Nyström features, then a logistic regression) over the sentence vectors of the training
  wordings, filled with names of the catalogue. Wordings are few; a kernel over a good sentence encoder told unseen ones apart better
  than anything that learnt to read them through the recommendation loss (README, experiment log).
- A sentence is looked at twice, as it stands and with its names masked (`heard`): what is asked for a thing does not hang on the thing.
- What needs no sentence encoder is told beside it (`MARKS`): which kinds of names, occasions, money and offers are said.
- Turns of phrase are heard apart (`phrasing.py`), and the two opinions are averaged in logs: neither alone reads unseen wordings as well.
- It is fitted once, when a model is trained, and kept with it: a model is read as it was trained, whatever wordings.toml says later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import softmax
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from backend.data import calendar
from backend.errors import WorkspaceError
from backend.instructions.catalogue import PLACEHOLDER, Catalogue, Encode
from backend.instructions.phrases import occasion, phrases
from backend.instructions.phrasing import Phrasing, fit_phrasing
from backend.instructions.prices import says_money
from backend.instructions.shop import PRICES, TOTALS, dollars
from backend.instructions.templates import in_sentence, slots_of, wordings
from backend.instructions.words import words

VERSION = 3  # of what is fitted and kept with it; part of the model stage's fingerprint, so that a model of another version is trained again
_FILLED = 4  # names that each wording with a slot is filled with
# chosen by the log-loss of left-out wordings: a support vector classifier is right as often, but sure of itself where it is wrong
_KERNEL = {"gamma": 0.7, "n_components": 700, "random_state": 0}
_PENALTY = 30.0  # C of the logistic regression
MARKS = ("category", "query", "season", "occasion", "money", "offer", "bare name")  # what a text says or does not say
_SPREAD = 0.6  # what a mark weighs beside the unit vectors, whose two views share one length
_IN_DOUBT, _TIMES = "JustForYou", 2.0  # a next basket that is taken for something else costs twice what the opposite does


def fit_demand(
    tasks: Sequence[str], catalogue: Catalogue, encode: Encode, seed: int, at_most: int | None = None
) -> dict[str, np.ndarray]:
    """What a `DemandReader` reads with, fitted on the training wordings of the tasks.

    Args:
        at_most: wordings of each task, the first of them; None = all.

    Shape:
        returns: centres (2, dim) float32 of the two views; basis (m, 2 · dim + 7) float16, m ≤ 700 of the examples; kernel (m, tasks)
        and kernel_bias (tasks,) float32, so that rbf(features, basis) @ kernel + kernel_bias are logits; and what `fit_phrasing` gives.
    """
    texts, demand, weight = _examples(tasks, catalogue, seed, at_most)
    masked, marks = heard(texts, catalogue)
    views = np.stack([np.asarray(encode(each), np.float32) for each in (texts, masked)])
    centres = views.mean(1)
    features = (
        _features(views, marks, centres).astype(np.float16).astype(np.float32)
    )  # so that the basis is kept as it was fitted
    nystroem = Nystroem(**{**_KERNEL, "n_components": min(int(_KERNEL["n_components"]), len(texts))})
    with threadpool_limits(1, user_api="blas"):  # many small products: more threads only wait for each other
        mapped = nystroem.fit_transform(features)
        coefficients, bias = np.zeros((len(tasks), mapped.shape[1])), np.zeros(len(tasks))
        if len(tasks) > 1:
            told = LogisticRegression(C=_PENALTY, max_iter=1000).fit(mapped, demand, sample_weight=weight)
            # of two tasks scikit-learn gives the logit of the second alone
            coefficients[-len(told.coef_) :], bias[-len(told.coef_) :] = told.coef_, told.intercept_
    return {
        "centres": centres,
        "basis": nystroem.components_.astype(np.float16),
        "kernel": (nystroem.normalization_.T @ coefficients.T).astype(np.float32),
        "kernel_bias": bias.astype(np.float32),
        **fit_phrasing(masked, marks, demand, weight, len(tasks)),
    }


def _examples(
    tasks: Sequence[str], catalogue: Catalogue, seed: int, at_most: int | None
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Training wordings filled with names, the place of each one's task, and what each counts."""
    rng, values = np.random.default_rng(seed), slot_values(catalogue)
    texts: list[str] = []
    demand: list[int] = []
    weight: list[float] = []
    for place, task in enumerate(tasks):
        for wording in wordings(task, held_out=False)[:at_most]:
            slots = slots_of(wording)
            times = _FILLED if slots else 1
            texts += [wording.format_map({slot: str(rng.choice(values[slot])) for slot in slots}) for _ in range(times)]
            demand += [place] * times
            weight += [(_TIMES if task == _IN_DOUBT else 1.0) / times] * times
    return texts, np.array(demand, np.int64), np.array(weight, np.float32)


def _features(views: np.ndarray, marks: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Centred views (2, n, dim) and marks (n, m) side by side. Shape: (n, 2 · dim + m) float32"""
    centred = (views - centres[:, None]) / np.sqrt(len(views))
    return np.concatenate([*centred, _SPREAD * marks.astype(np.float32)], axis=1).astype(np.float32)


def slot_values(catalogue: Catalogue) -> dict[str, list[str]]:
    """What may stand in each slot of a wording, as it stands inside a sentence; names of any kind where the catalogue has none of its kind."""
    categories = [name.category for name in catalogue.names if name.category]
    queries = [name.query for name in catalogue.names if name.query]
    names = [name.text for name in catalogue.names]
    occasions = [word for word in calendar.words() if word not in calendar.SEASONS]
    return {
        "category": [in_sentence(name) for name in categories or names],
        "query": [in_sentence(name) for name in queries or names],
        "items": [in_sentence(name) for name in queries or names],
        "season": list(calendar.SEASONS),
        "holiday": occasions,
        "price": [dollars(price) for price in PRICES],
        "total": [dollars(total) for total in TOTALS],
    }


def heard(texts: Sequence[str], catalogue: Catalogue) -> tuple[list[str], np.ndarray]:
    """Texts with a placeholder for each name of the catalogue, and what each says.

    Shape:
        returns: n texts, and (n, len(MARKS)) uint8, 0 or 1.
    """
    themed = bool({"Season", "Holiday"} & set(catalogue.tasks))
    masked, marks = [], np.zeros((len(texts), len(MARKS)), np.uint8)
    for row, text in enumerate(texts):
        said = words(text)
        # "Halloween" is no "Halloween items" where an occasion can be asked for
        found = [one for one in catalogue.find(said) if not (themed and occasion(one.name.text))]
        spans = [(said[one.first].start, said[one.last - 1].stop) for one in found]
        told = phrases(text, spans)
        themes = {phrase.theme for phrase in told if phrase.theme}
        marks[row] = [
            any(one.name.category for one in found),
            any(one.name.query for one in found),
            bool(themes & set(calendar.SEASONS)),
            bool(themes - set(calendar.SEASONS)),
            says_money(text),
            any(phrase.kind == "deals" for phrase in told),
            bool(found) and sum(one.last - one.first for one in found) >= len(said) - 1,
        ]
        for start, stop in reversed(spans):
            text = text[:start] + PLACEHOLDER + text[stop:]
        masked.append(text)
    return masked, marks


class DemandReader:
    """Reads demands.

    Args:
        fitted: as `fit_demand` gives it.
        tasks: the tasks that the model was trained on, in its order.
        catalogue: the names that may be said.

    Raises:
        WorkspaceError: what was kept is of an older version.
    """

    def __init__(self, fitted: Mapping[str, np.ndarray], tasks: Sequence[str], catalogue: Catalogue) -> None:
        if "basis" not in fitted:
            raise WorkspaceError(
                "this model was trained by an older version, whose reading is no longer known", mend="train again"
            )
        self.tasks, self.catalogue = tuple(tasks), catalogue
        self._fitted = {name: value.astype(np.float32) for name, value in fitted.items() if not name.startswith("phrasing")}
        self._phrasing = Phrasing(fitted)
        self._last: tuple[str | None, dict[str, float]] = None, {}

    def read(self, texts: Sequence[str], vectors: np.ndarray) -> np.ndarray:
        """Probability of each task. Shape: vectors (n, dim) unit norm → (n, tasks) float32."""
        if not len(texts) or len(self.tasks) == 1:
            return np.ones((len(texts), len(self.tasks)), np.float32)
        masked, marks = heard(texts, self.catalogue)
        # the geometric mean: of all powers of the product, the best log-loss on left-out wordings, so it is as sure as it is right
        out = np.sqrt(self._by_meaning(vectors, masked, marks) * self._phrasing.read(masked, marks))
        return np.asarray(out / out.sum(1, keepdims=True), np.float32)

    def of(self, text: str) -> dict[str, float]:
        """Probability of each task for one text."""
        last, told = self._last  # reading asks several times about the same text
        if text != last:
            found = self.read([text], self.catalogue.encode([text]))[0]
            told = dict(zip(self.tasks, found.tolist(), strict=True))
            self._last = text, told
        return told

    def _by_meaning(self, vectors: np.ndarray, masked: Sequence[str], marks: np.ndarray) -> np.ndarray:
        """The kernel's opinion. Shape: (n, tasks)"""
        views = np.stack([vectors, self.catalogue.encode(list(masked))])
        features = _features(views, marks, self._fitted["centres"])
        near = np.exp(-_KERNEL["gamma"] * cdist(features, self._fitted["basis"], "sqeuclidean"))
        return np.asarray(softmax(near @ self._fitted["kernel"] + self._fitted["kernel_bias"], axis=1), np.float32)
