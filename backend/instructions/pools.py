"""Which items an instruction asks for at all: the pool of each demand's constraint, read off the text (ours).

- What a shelf holds, what sells before Halloween and what goes with spaghetti is counted, not learned: the ranking inside the pool is the
  model's work, and how much it counts to be inside is learned too (`model.instruction`).
- A pool is read the same way in training, in evaluation and for a request, so training meets the reading's own mistakes. Where a text does
  not say what a demand needs ("something in cheese" names no occasion), there is no pool: nothing is known, nothing is held against an item.
- Discover, Deals and Replenish hang on the household and on the week: their pools come with the household's record (`data.record`).
- What is counted on the training period is kept with the model (`gather`), names and prices are those of the catalogue at hand: an
  item that joins later is found by its shelf and its price.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np

from backend.data import calendar
from backend.data import schema as c
from backend.data.schema import Dataset
from backend.instructions.catalogue import Catalogue, Name
from backend.instructions.facts import Facts
from backend.instructions.hearing import Heard, hear, meant
from backend.instructions.index import ItemIndex

NAMED = ("Category", "Query", "Complement")  # demands whose pool hangs on the names that are said
OF_TEXT = (*NAMED, "Longtail", "Season", "Holiday", "Budget")


def gather(facts: Facts, tasks: Collection[str]) -> dict[str, np.ndarray]:
    """What has to be counted on the training period for the pools of some tasks, to be kept with the model.

    Shape:
        returns: themes (words of the calendar, n_items) uint8; tail (n_items,) uint8; partners (pairs, 2) int32, an item and one that goes
        with it, rising. Nothing of what no task needs.
    """
    n = facts.dataset.n_items
    out: dict[str, np.ndarray] = {
        "themes": np.zeros((len(calendar.words()), n), np.uint8),
        "tail": np.ones(n, np.uint8),
        "partners": np.zeros((0, 2), np.int32),
    }
    if {"Season", "Holiday"} & set(tasks):
        out["themes"] = np.stack([facts.pool(word) for word in calendar.words()]).astype(np.uint8)
    if "Longtail" in tasks:
        out["tail"] = facts.tail.astype(np.uint8)
    if "Complement" in tasks:
        out["partners"] = np.stack(facts.partners.nonzero(), axis=1).astype(np.int32)
    return out


class Pools:
    """Reads pools.

    Args:
        kept: as `gather` gives it.
        catalogue: the names that may be said.
        dataset: the catalogue at hand; may hold items that joined behind those that were counted.
    """

    def __init__(self, kept: Mapping[str, np.ndarray], catalogue: Catalogue, dataset: Dataset) -> None:
        self.catalogue, self.index, self.n_items = catalogue, ItemIndex(dataset), dataset.n_items
        self.price = dataset.items[c.PRICE].to_numpy(float)
        new = self.n_items - len(kept["tail"])
        self._themes = dict(zip(calendar.words(), np.pad(kept["themes"].astype(bool), ((0, 0), (0, new))), strict=True))
        self._tail = np.pad(kept["tail"].astype(bool), (0, new), constant_values=True)
        self._partners = kept["partners"]
        self._first = np.searchsorted(self._partners[:, 0], np.arange(self.n_items + 1))

    def of(self, text: str, tasks: Iterable[str]) -> dict[str, np.ndarray]:
        """The pools of a text for some demands; those that it does not say are left out.

        Shape:
            returns: (n_items,) bool each, never all False.

        Raises:
            RequestError: a price that is no price.
        """
        asked = [task for task in tasks if task in OF_TEXT]
        if not asked:
            return {}
        heard = hear(text, self.catalogue)
        names = self._names(heard) if set(asked) & set(NAMED) else []
        found = {task: self._pool(task, heard, names) for task in asked}
        pools = {task: pool for task, pool in found.items() if pool is not None and pool.any()}
        wanted = [one.name for one in heard.wanted]
        if wanted:  # "cheese for Halloween": of what is named, what belongs to Halloween; where nothing does, what is named
            said = self._any(wanted, as_query=True) | self._any(wanted, as_query=False)
            both = {task: pool & said for task, pool in pools.items() if task not in NAMED}
            pools |= {task: pool if pool.any() else said for task, pool in both.items()}
        return pools

    def _names(self, heard: Heard) -> list[Name]:
        """The names that are wanted; where none is said, those that are meant."""
        found = [one.name for one in heard.wanted]
        return found if found or heard.theme else meant(heard.words, heard.left, self.catalogue)[0]

    def _pool(self, task: str, heard: Heard, names: list[Name]) -> np.ndarray | None:
        if task in NAMED:
            return None if not names else self._beside(names) if task == "Complement" else self._any(names, task == "Query")
        if task == "Longtail":
            return self._tail
        if task == "Budget":
            return self._affordable(heard)
        theme = heard.theme
        return self._themes[theme] if theme and (theme in calendar.SEASONS) == (task == "Season") else None

    def _any(self, names: list[Name], as_query: bool) -> np.ndarray:
        """Items that any of the names means."""
        out = np.zeros(self.n_items, bool)
        for name in names:
            if name.query and (as_query or not name.category):
                out[self.index.answering(name.query)] = True
            elif name.category:
                out |= self.index.named(name.category)
        return out

    def _beside(self, names: list[Name]) -> np.ndarray:
        """Items that go with any that the names mean, and are of no category of theirs."""
        anchors = self._any(names, as_query=True)
        rows = [self._partners[self._first[item] : self._first[item + 1], 1] for item in np.flatnonzero(anchors)]
        out = np.zeros(self.n_items, bool)
        out[np.concatenate([np.zeros(0, np.int32), *rows])] = True
        category = self.index.category_of
        return out & ~np.isin(category, np.unique(category[anchors]))

    def _affordable(self, heard: Heard) -> np.ndarray | None:
        limits = heard.limits
        most = limits.max_price if limits.max_price is not None else limits.max_total
        return None if most is None else self.price <= most
