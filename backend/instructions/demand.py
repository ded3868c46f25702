"""Which of the trained tasks an instruction asks for: probabilities, read off its sentence vector.

- Kernel logistic regression (scikit-learn: Nyström features, then a logistic regression) over the sentence vectors of the training
  wordings, filled with names of the catalogue. Wordings are few; a kernel over a good sentence encoder told unseen ones apart better
  than anything that learnt to read them through the recommendation loss (README, experiment log).
- A sentence is looked at twice, as it stands and with its names masked (`heard`): what is asked for a thing does not hang on the thing.
- What needs no sentence encoder is told beside it (`MARKS`): which kinds of names, occasions, money and offers are said.
- Its examples are kept with the model, so that a model is read as it was trained, whatever wordings.toml says later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from backend.data import calendar
from backend.instructions.catalogue import PLACEHOLDER, Catalogue, Encode
from backend.instructions.phrases import occasion, phrases
from backend.instructions.prices import says_money
from backend.instructions.shop import PRICES, TOTALS, dollars
from backend.instructions.templates import in_sentence, slots_of, wordings
from backend.instructions.words import words

_FILLED = 4  # names that each wording with a slot is filled with
# chosen by the log-loss of left-out wordings: a support vector classifier is right as often, but sure of itself where it is wrong
_KERNEL = {"gamma": 0.7, "n_components": 700, "random_state": 0}
_PENALTY = 30.0  # C of the logistic regression
MARKS = ("category", "query", "season", "occasion", "money", "offer", "bare name")  # what a text says or does not say
_SPREAD = 0.6  # what a mark weighs beside the unit vectors, whose two views share one length
_IN_DOUBT, _TIMES = "JustForYou", 2.0  # a next basket that is taken for something else costs twice what the opposite does


def demand_examples(tasks: Sequence[str], catalogue: Catalogue, encode: Encode, seed: int) -> dict[str, np.ndarray]:
    """What a `DemandReader` is fitted on.

    Shape:
        returns: vectors and masked (n, dim) float16, marks (n, 7) uint8, demand (n,) place among the tasks, weight (n,).
    """
    rng, values = np.random.default_rng(seed), slot_values(catalogue)
    texts, demand, weight = [], [], []
    for place, task in enumerate(tasks):
        for wording in wordings(task, held_out=False):
            slots = slots_of(wording)
            times = _FILLED if slots else 1
            texts += [wording.format_map({slot: str(rng.choice(values[slot])) for slot in slots}) for _ in range(times)]
            demand += [place] * times
            weight += [(_TIMES if task == _IN_DOUBT else 1.0) / times] * times
    masked, marks = heard(texts, catalogue)
    return {
        "vectors": np.asarray(encode(texts), np.float16),
        "masked": np.asarray(encode(masked), np.float16),
        "marks": marks,
        "demand": np.array(demand, np.int64),
        "weight": np.array(weight, np.float32),
    }


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
    masked, marks = [], np.zeros((len(texts), len(MARKS)), np.uint8)
    for row, text in enumerate(texts):
        said = words(text)
        found = [one for one in catalogue.find(said) if occasion(one.name.text) is None]  # "Halloween" is no "Halloween items"
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
        examples: as `demand_examples` gives them.
        tasks: the tasks that the model was trained on, in its order.
        catalogue: the names that may be said.
    """

    def __init__(self, examples: Mapping[str, np.ndarray], tasks: Sequence[str], catalogue: Catalogue) -> None:
        self.tasks, self.catalogue = tuple(tasks), catalogue
        self._older = "names" in examples  # of a model from before names were masked: one view and one mark
        views = [examples[name].astype(np.float32) for name in (("vectors",) if self._older else ("vectors", "masked"))]
        marks = examples["names"][:, None] if self._older else examples["marks"]
        self._centres = [view.mean(0) for view in views]
        own = np.unique(examples["demand"])
        self._only = int(own[0]) if len(own) == 1 else None
        if self._only is None:
            kernel = Nystroem(**{**_KERNEL, "n_components": min(int(_KERNEL["n_components"]), len(marks))})
            self._classifier = make_pipeline(kernel, LogisticRegression(C=_PENALTY, max_iter=1000))
            features, weight = self._features(views, marks), examples["weight"]
            with threadpool_limits(1, user_api="blas"):  # many small products: more threads only wait for each other
                self._classifier.fit(features, examples["demand"], logisticregression__sample_weight=weight)

    def _features(self, views: Sequence[np.ndarray], marks: np.ndarray) -> np.ndarray:
        """Views (n, dim) and marks (n, m) side by side. Shape: (n, views · dim + m) float32"""
        centred = [(view - centre) / np.sqrt(len(views)) for view, centre in zip(views, self._centres, strict=True)]
        return np.concatenate([*centred, np.float32(1 if self._older else _SPREAD) * marks.astype(np.float32)], axis=1)

    def read(self, texts: Sequence[str], vectors: np.ndarray) -> np.ndarray:
        """Probability of each task. Shape: vectors (n, dim) unit norm → (n, tasks) float32."""
        out = np.zeros((len(texts), len(self.tasks)), np.float32)
        if self._only is not None:
            out[:, self._only] = 1.0
        elif len(texts):
            if self._older:  # heard as it was fitted
                said = np.array([[bool(self.catalogue.find(words(text)))] for text in texts])
                features = self._features([vectors], said)
            else:
                masked, marks = heard(texts, self.catalogue)
                features = self._features([vectors, self.catalogue.encode(masked)], marks)
            out[:, self._classifier.classes_] = self._classifier.predict_proba(features)
        return out
