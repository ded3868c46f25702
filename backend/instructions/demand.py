"""Which of the trained tasks an instruction asks for: probabilities, read off its sentence vector.

- Kernel logistic regression (scikit-learn: Nyström features, then a logistic regression) over the sentence vectors of the training
  wordings, filled with names of the catalogue, and one more column: whether the text says a name. Wordings are few; a kernel over a good
  sentence encoder told unseen ones apart better than anything that learnt to read them through the recommendation loss (README,
  experiment log).
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
from backend.instructions.catalogue import Catalogue, Encode
from backend.instructions.shop import PRICES, TOTALS, dollars
from backend.instructions.templates import in_sentence, slots_of, wordings
from backend.instructions.words import words

_FILLED = 4  # names that each wording with a slot is filled with
# chosen by the log-loss of left-out wordings: a support vector classifier is right as often, but sure of itself where it is wrong
_KERNEL = {"gamma": 0.7, "n_components": 700, "random_state": 0}
_PENALTY = 30.0  # C of the logistic regression
_IN_DOUBT, _TIMES = "JustForYou", 2.0  # a next basket that is taken for something else costs twice what the opposite does


def demand_examples(tasks: Sequence[str], catalogue: Catalogue, encode: Encode, seed: int) -> dict[str, np.ndarray]:
    """What a `DemandReader` is fitted on.

    Shape:
        returns: vectors (n, dim) float16, names (n,) whether a name is said, demand (n,) place among the tasks, weight (n,).
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
    return {
        "vectors": np.asarray(encode(texts), np.float16),
        "names": says_name(texts, catalogue),
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


def says_name(texts: Sequence[str], catalogue: Catalogue) -> np.ndarray:
    """Whether each text says a name of the catalogue. Shape: (n,) float32, 0 or 1."""
    return np.array([bool(catalogue.find(words(text))) for text in texts], np.float32)


class DemandReader:
    """Reads demands.

    Args:
        examples: as `demand_examples` gives them.
        tasks: the tasks that the model was trained on, in its order.
        catalogue: the names that may be said.
    """

    def __init__(self, examples: Mapping[str, np.ndarray], tasks: Sequence[str], catalogue: Catalogue) -> None:
        self.tasks, self.catalogue = tuple(tasks), catalogue
        vectors = examples["vectors"].astype(np.float32)
        self._centre = vectors.mean(0)
        own = np.unique(examples["demand"])
        self._only = int(own[0]) if len(own) == 1 else None
        if self._only is None:
            kernel = Nystroem(**{**_KERNEL, "n_components": min(int(_KERNEL["n_components"]), len(vectors))})
            self._classifier = make_pipeline(kernel, LogisticRegression(C=_PENALTY, max_iter=1000))
            features, weight = self._features(vectors, examples["names"]), examples["weight"]
            with threadpool_limits(1, user_api="blas"):  # many small products: more threads only wait for each other
                self._classifier.fit(features, examples["demand"], logisticregression__sample_weight=weight)

    def _features(self, vectors: np.ndarray, names: np.ndarray) -> np.ndarray:
        return np.concatenate([vectors - self._centre, names[:, None]], axis=1)

    def read(self, texts: Sequence[str], vectors: np.ndarray) -> np.ndarray:
        """Probability of each task. Shape: vectors (n, dim) unit norm → (n, tasks) float32."""
        out = np.zeros((len(texts), len(self.tasks)), np.float32)
        if self._only is not None:
            out[:, self._only] = 1.0
        elif len(texts):
            features = self._features(vectors, says_name(texts, self.catalogue))
            out[:, self._classifier.classes_] = self._classifier.predict_proba(features)
        return out
