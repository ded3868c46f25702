"""Label rules, recomputed naively."""

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from backend.data import schema
from backend.data.schema import Dataset
from backend.errors import RequestError
from backend.instructions.index import ItemIndex
from backend.instructions.tasks import Context, Labelled, registry
from backend.instructions.templates import slots_of, wordings

from .conftest import QUERIES


def contexts(n_items: int, n: int = 150) -> list[Context]:
    rng = np.random.default_rng(0)
    made = []
    for _ in range(n):
        n_baskets = int(rng.integers(0, 16))
        sizes = rng.integers(1, 4, n_baskets)
        steps = np.repeat(np.sort(rng.choice(40, n_baskets, replace=False)), sizes)  # gaps: ordinals need not be dense
        history = rng.integers(0, n_items, int(sizes.sum()))
        basket = rng.choice(n_items, int(rng.integers(0, 6)), replace=False)
        made.append(Context(0, history, steps, basket))
    return made


def labels(shop: Dataset, task: str) -> list[tuple[Context, Labelled | None]]:
    rule, rng = registry(shop)[task], np.random.default_rng(1)
    return [(context, rule.label(context, rng)) for context in contexts(shop.n_items)]


def rows(mask_or_rows: np.ndarray) -> set[int]:
    values = np.flatnonzero(mask_or_rows) if mask_or_rows.dtype == bool else mask_or_rows
    return set(values.tolist())


def check(context: Context, label: Labelled | None, allowed: set[int] | None) -> None:
    targets = set(context.basket.tolist()) & (allowed if allowed is not None else set(context.basket.tolist()))
    if not targets:
        assert label is None
        return
    assert label is not None
    assert rows(label.targets) == targets
    assert len(label.targets) == len(targets)
    if allowed is None:
        assert label.allowed is None
    else:
        assert rows(label.allowed) == allowed
        assert not label.allowed.flags.writeable


def test_just_for_you(shop: Dataset) -> None:
    for context, label in labels(shop, "JustForYou"):
        check(context, label, None)


def test_category(shop: Dataset) -> None:
    items, seen = shop.items, []
    for context, label in labels(shop, "Category"):
        if label is None:
            assert all(items[schema.CATEGORY][row] == "" for row in context.basket)
            continue
        name = label.slots["category"]
        seen.append(name)
        named = (items[schema.CATEGORY] == name) | (items[schema.DEPARTMENT] == name)
        check(context, label, set(items.index[named]))
    departments = [name for name in seen if name not in set(items[schema.CATEGORY])]
    assert 0.05 < len(departments) / len(seen) < 0.4  # about a quarter, less those that share a category's name


def test_category_and_department_of_one_name_are_one_set(shop: Dataset) -> None:
    assert rows(ItemIndex(shop).named("toys")) == {8, 9, 10}


def test_unknown_names(shop: Dataset) -> None:
    index = ItemIndex(shop)
    with pytest.raises(RequestError, match=r"Did you mean: Frozen pizzas"):
        index.named("Frozen piza")
    with pytest.raises(RequestError):
        index.named("")
    with pytest.raises(RequestError):
        index.answering("submarine")


def test_query(shop: Dataset) -> None:
    asked = []
    for context, label in labels(shop, "Query"):
        possible = {query for query, answers in QUERIES.items() if set(answers) & set(context.basket.tolist())}
        if label is None:
            assert not possible
            continue
        query = label.slots["query"]
        asked.append((query, possible))
        assert query in possible
        assert rows(ItemIndex(shop).answering(query)) == set(QUERIES[query])
        check(context, label, set(QUERIES[query]))
    both = [query for query, possible in asked if {"milk", "whole milk"} <= possible]
    assert both.count("whole milk") > both.count("milk") > 0  # the specific one more often, never only it


def test_discover(shop: Dataset) -> None:
    categories = shop.items[schema.CATEGORY]
    for context, label in labels(shop, "Discover"):
        recent = sorted(set(context.history_steps.tolist()))[-10:]
        known = {categories[row] for row, step in zip(context.history, context.history_steps, strict=True) if step in recent}
        check(context, label, {row for row in range(shop.n_items) if categories[row] not in known})


def test_labels_are_reproducible(shop: Dataset) -> None:
    for task in registry(shop):
        for (_, one), (_, two) in zip(labels(shop, task), labels(shop, task), strict=True):
            assert (one is None) == (two is None)
            assert one is None or (one.slots == two.slots and np.array_equal(one.targets, two.targets))


def test_registry_is_complete(shop: Dataset) -> None:
    for name, task in registry(shop).items():
        assert task.name == name
        assert task.group
        assert task.description.endswith(".")
        assert task.example
        assert {slots_of(wording) for wording in wordings(name)} == {task.slots, *task.variants}


def test_without_queries_there_is_no_query_task(shop: Dataset) -> None:
    bare = replace(shop, queries=shop.queries.iloc[:0])
    assert all(label is None for _, label in labels(bare, "Query"))


def test_labels_are_fast() -> None:
    """≤ 50 µs typical at the size of the benchmark; the bound here leaves room for a busy machine."""
    rng = np.random.default_rng(0)
    n = 6_000
    names = [f"c{code}" for code in rng.integers(0, 250, n)]
    items = pd.DataFrame({schema.CATEGORY: names, schema.DEPARTMENT: [f"d{code}" for code in rng.integers(0, 25, n)]})
    pairs = {schema.QUERY: [f"q{code}" for code in rng.integers(0, 1500, 40_000)], schema.QUERY_ITEM: rng.integers(0, n, 40_000)}
    tasks = registry(Dataset("big", items, items, items, pd.DataFrame(pairs)))
    steps = np.repeat(np.arange(200), 10)
    context = Context(0, rng.integers(0, n, 2_000), steps, rng.choice(n, 12, replace=False))
    for task in tasks.values():
        taken = []
        for _ in range(300):
            start = time.perf_counter()
            task.label(context, rng)
            taken.append(time.perf_counter() - start)
        assert np.median(taken) < 300e-6, task.name
        print(task.name, f"{np.median(taken) * 1e6:.1f} µs")
