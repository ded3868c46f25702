"""The registry of recommendation tasks, and the label rules of SIGMA's general, constrained and exploratory ones (§1.3, figure 2).

- A task looks at one (household, basket) context and says which items of the basket are its targets, which words fill its
  instruction, and which items the instruction allows. The papers do not give the rules; these are ours, one place each.
- `label` returns None where the basket holds no target: that context has no example of the task.
- Deterministic for a given `rng`. Typical cost ≤ 50 µs, because training preparation labels ~100k times.
- A new task is a class here or in `themed`, `shop`, an entry in `_TASKS` or `_COUNTED`, and its wordings in wordings.toml.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from backend.data.schema import Dataset
from backend.instructions.facts import Facts
from backend.instructions.index import ItemIndex
from backend.instructions.shop import Budget, Complement, Deals, Replenish
from backend.instructions.task import Context, CountedTask, Labelled, Task, within
from backend.instructions.themed import Holiday, Season

__all__ = ["Context", "Labelled", "Task", "registry", "task_classes"]


class JustForYou(Task):
    """Targets: all items of the basket. No constraint."""

    name = "JustForYou"
    group = "General"
    description = "Whatever the household will put into its next basket."
    example = "What should I put in my cart next?"

    def label(self, context: Context, rng: np.random.Generator) -> Labelled | None:
        """All items of the basket."""
        return Labelled(self.name, {}, context.basket) if len(context.basket) else None


class Category(Task):
    """Targets: the basket's items in one category (in one case of four: department) drawn from the basket."""

    name = "Category"
    group = "Constrained"
    description = "The next items inside a named category or department."
    example = "I'm looking for something in frozen pizzas"
    slots = ("category",)
    department_share: ClassVar[float] = 0.25

    def label(self, context: Context, rng: np.random.Generator) -> Labelled | None:
        """The items that bear one of the basket's category (or department) names, each name equally likely."""
        index = self.index
        by_department = rng.random() < self.department_share
        codes, names = (index.department_of, index.departments) if by_department else (index.category_of, index.categories)
        present = [code for code in sorted(set(codes[context.basket].tolist())) if names[code]]
        if not present:
            return None
        name = names[present[int(rng.integers(len(present)))]]
        allowed = index.named(name)
        return Labelled(self.name, {"category": name}, context.basket[allowed[context.basket]], allowed)


class Query(Task):
    """Targets: the basket's items that answer a synthetic query; specific queries are drawn more often."""

    name = "Query"
    group = "Constrained"
    description = "The next items that answer a search query (synthetic in this data)."
    example = "do you have whole milk?"
    slots = ("query",)

    def label(self, context: Context, rng: np.random.Generator) -> Labelled | None:
        """The items that answer one query, drawn with weight 1/√(number of answering items).

        1/n would hardly ever ask for "milk", equal weights hardly ever for anything precise.
        """
        index = self.index
        codes = index.queries_of(context.basket.tolist())
        if not len(codes):
            return None
        edges = np.cumsum(1.0 / np.sqrt(index.query_sizes[codes]))
        code = int(codes[min(int(np.searchsorted(edges, rng.random() * edges[-1], "right")), len(codes) - 1)])
        allowed = np.zeros(index.n_items, bool)
        allowed[index.answer_rows(code)] = True
        allowed.setflags(write=False)
        return Labelled(self.name, {"query": index.queries[code]}, context.basket[allowed[context.basket]], allowed)


class Discover(Task):
    """Targets: the basket's items of categories that the household's last ten baskets lack."""

    name = "Discover"
    group = "Exploratory"
    description = "Items from categories that the household has not bought from in its last ten baskets."
    example = "surprise me with something I haven't been buying"
    recent_baskets: ClassVar[int] = 10

    def label(self, context: Context, rng: np.random.Generator) -> Labelled | None:
        """Items of categories absent from the recent baskets; all of them where there is no history."""
        index = self.index
        steps = context.history_steps
        starts = np.flatnonzero(np.diff(steps)) + 1  # where every basket but the first starts
        first = int(starts[-self.recent_baskets]) if len(starts) >= self.recent_baskets else 0
        absent = np.ones(len(index.categories), bool)
        absent[index.category_of[context.history[first:]]] = False
        return within(self.name, {}, context, absent[index.category_of])


class Longtail(CountedTask):
    """Targets: the basket's items outside the head of best sellers."""

    name = "Longtail"
    group = "Exploratory"
    description = "Less known items: outside the best sellers that make 80 % of the training purchases."
    example = "show me hidden gems that few people buy"

    def label(self, context: Context, rng: np.random.Generator) -> Labelled | None:
        """Items of the tail, as `data.tail` draws the line for the tail metric too."""
        return within(self.name, {}, context, self.facts.tail)


_TASKS: tuple[type[Task], ...] = (JustForYou, Category, Query, Discover)
_COUNTED: tuple[type[CountedTask], ...] = (Longtail, Season, Holiday, Deals, Budget, Complement, Replenish)


def task_classes() -> tuple[type[Task], ...]:
    """Every task there is, in the order in which they are shown."""
    return (*_TASKS, *_COUNTED)


def registry(dataset: Dataset, index: ItemIndex | None = None, facts: Facts | None = None) -> dict[str, Task]:
    """All tasks by name, in the order in which they are shown.

    Args:
        dataset: the tables that labels refer to.
        index: its prepared index, where one is at hand.
        facts: what the training period shows; without it, the tasks that count on it are left out.
    """
    index = index or ItemIndex(dataset)
    tasks = {task.name: task(index) for task in _TASKS}
    return tasks if facts is None else tasks | {task.name: task(index, facts) for task in _COUNTED}
