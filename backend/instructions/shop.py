"""Four demands that shops meet and SIGMA lacks (ours): offers, prices, what goes together, what runs out."""

from __future__ import annotations

import numpy as np

from backend.data.schema import TYPE
from backend.instructions.facts import Facts
from backend.instructions.index import ItemIndex
from backend.instructions.task import Context, CountedTask, Labelled, within
from backend.instructions.templates import in_sentence

PRICES = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)  # prices that an item may be asked under, in dollars
TOTALS = (5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0, 75.0, 100.0)  # … and a whole basket


class Deals(CountedTask):
    """Targets: the basket's items that were on discount or with a coupon in its week."""

    name = "Deals"
    group = "Shop"
    description = "Items on discount or with a coupon now."
    example = "what's on offer this week that I would like?"

    def label(self, context: Context, rng: np.random.Generator) -> Labelled | None:
        """Items on deal in the basket's week by the receipts of the other households."""
        facts = self.facts
        own = slice(int(facts.first[context.user]), int(facts.first[context.user + 1]))
        return within(self.name, {}, context, facts.deals.for_others(facts.start(context), own))


class Budget(CountedTask):
    """Targets: the basket's items under a price; or the whole basket, where a total is asked for that it fits under."""

    name = "Budget"
    group = "Shop"
    description = "Items under a price, or a basket that stays under a total."
    example = "snacks for under $3 each"
    slots = ("price",)
    variants = (("total",),)

    def label(self, context: Context, rng: np.random.Generator) -> Labelled | None:
        """Half of the time a price, drawn from those that leave some of the basket's items and not all; else the next round total.

        A total allows every item that costs no more than it; that the list as a whole stays under it is the filter's part.
        """
        price = self.facts.price
        own = price[context.basket]
        limits = [limit for limit in PRICES if (own <= limit).any() and (own > limit).any()]
        total = next((limit for limit in TOTALS if own.sum() <= limit), None)
        if limits and (total is None or rng.random() < 0.5):
            limit = limits[int(rng.integers(len(limits)))]
            return within(self.name, {"price": dollars(limit)}, context, price <= limit)
        return None if total is None else within(self.name, {"total": dollars(total)}, context, price <= total)


class Complement(CountedTask):
    """Targets: the basket's items that go with what one or two others of it are.

    The instruction says what the anchors are ("spaghetti"), not which of them was bought, so whatever goes with any of their kind is allowed.
    """

    name = "Complement"
    group = "Shop"
    description = "What goes with the items at hand."
    example = "what goes with spaghetti?"
    slots = ("items",)

    def __init__(self, index: ItemIndex, facts: Facts) -> None:
        super().__init__(index, facts)
        self._type = np.array([in_sentence(name.split(",")[0]) for name in facts.dataset.items[TYPE]], dtype=str)

    def label(self, context: Context, rng: np.random.Generator) -> Labelled | None:
        """Anchors are one or two items drawn from the basket; what goes with any of their type, in baskets of the training period, is allowed.

        Nothing of these items' own categories: that would be more of the same.
        """
        pairs = self.facts.partners
        here = np.zeros(self.index.n_items, bool)
        here[context.basket] = True
        drawn = rng.permutation(context.basket).tolist()
        wanted = int(rng.integers(1, 3))
        anchors = [
            item for item in drawn[:8] if here[pairs.indices[pairs.indptr[item] : pairs.indptr[item + 1]]].any()
        ][:wanted]  # fmt: skip
        if not anchors:
            return None
        names = list(dict.fromkeys(str(self._type[item]) for item in anchors))
        alike = np.flatnonzero(np.isin(self._type, names))
        allowed = np.zeros(self.index.n_items, bool)
        allowed[np.concatenate([pairs.indices[pairs.indptr[item] : pairs.indptr[item + 1]] for item in alike])] = True
        category = self.index.category_of
        allowed &= ~np.isin(category, category[alike])
        return within(self.name, {"items": " and ".join(names)}, context, allowed)


class Replenish(CountedTask):
    """Targets: the basket's items that were due to be bought again."""

    name = "Replenish"
    group = "Shop"
    description = "What the household is due to buy again, by the pauses between its purchases."
    example = "what are we about to run out of?"

    def label(self, context: Context, rng: np.random.Generator) -> Labelled | None:
        """Items bought three times or more whose last purchase is ¾ to 3 mean pauses ago: sooner is stocked, later is given up."""
        return within(self.name, {}, context, self.facts.due(context))


def dollars(amount: float) -> str:
    """A price as people write it: $5, $2.50."""
    return f"${amount:g}" if amount == int(amount) else f"${amount:.2f}"
