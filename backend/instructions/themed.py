"""The tasks of common sense (SIGMA §1.3): what belongs to a season or to an occasion, at the time when people shop for it.

- The word is the calendar's for the day of the basket, the pool is the word's themed items; both in `data.calendar`.
- With one year of data the same occasion does not come twice, so an evaluation in the year's last weeks has little to ask. The fair
  one holds out households: see `data.seasons`.
"""

from __future__ import annotations

import numpy as np

from backend.data import calendar
from backend.instructions.catalogue import Catalogue, unit
from backend.instructions.index import ItemIndex
from backend.instructions.task import Context, CountedTask, Labelled, within

# cosine from which a name of the catalogue belongs to an occasion ("whole turkey" – Thanksgiving .56, "dinners" – Thanksgiving .55)
SAME_THEME = 0.56


class Season(CountedTask):
    """Targets: the basket's items of the season's pool."""

    name = "Season"
    group = "Common sense"
    description = "What belongs to the season of the year."
    example = "fresh ideas for summer"
    slots = ("season",)

    def label(self, context: Context, rng: np.random.Generator) -> Labelled | None:
        """Items that stand out in the season of the basket's day."""
        word = calendar.season_of(self.facts.day(context))
        return within(self.name, {"season": word}, context, self.facts.pool(word))


class Holiday(CountedTask):
    """Targets: the basket's items of the occasion's pool."""

    name = "Holiday"
    group = "Common sense"
    description = "What belongs to the holiday or occasion that people are shopping for."
    example = "what do we need for Halloween?"
    slots = ("holiday",)

    def label(self, context: Context, rng: np.random.Generator) -> Labelled | None:
        """Items that stand out before the occasion that the basket's day leads up to; None on other days."""
        word = calendar.holiday_of(self.facts.day(context))
        return None if word is None else within(self.name, {"holiday": word}, context, self.facts.pool(word))


def by_meaning(catalogue: Catalogue, index: ItemIndex) -> dict[str, np.ndarray]:
    """Items of each occasion by meaning: those that bear or answer a name which is nearer to this occasion than to any other.

    Seasons are left to lift: their words mean too much else ("spring water", "fall" – "drops").

    Shape:
        returns: (n_items,) bool for each occasion that has any.
    """
    words = [word for word in calendar.words() if word not in calendar.SEASONS]
    if not catalogue.names:
        return {}
    cosine = unit(catalogue.encode(words)) @ catalogue.name_vectors().T  # (words, names)
    pools: dict[str, np.ndarray] = {}
    for name, best in enumerate(cosine.argmax(0)):
        if cosine[best, name] < SAME_THEME:
            continue
        pool = pools.setdefault(words[best], np.zeros(index.n_items, bool))
        said = catalogue.names[name]
        if said.category:
            pool |= index.named(said.category)
        if said.query:
            pool[index.answering(said.query)] = True
    return pools
