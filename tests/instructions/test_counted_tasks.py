"""Label rules that count on the training period, each recomputed naively from the tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from backend.data import calendar, deals
from backend.data import schema as c
from backend.data.schema import Dataset
from backend.data.split import baskets, split
from backend.instructions import facts as facts_module
from backend.instructions.catalogue import prepare
from backend.instructions.facts import Facts
from backend.instructions.index import ItemIndex
from backend.instructions.shop import PRICES, TOTALS, dollars
from backend.instructions.task import Context, Labelled
from backend.instructions.tasks import registry, task_classes
from backend.instructions.templates import in_sentence
from backend.instructions.themed import by_meaning
from backend.settings import DataSettings
from tests.instructions.conftest import fake_encode


@pytest.fixture(scope="module")
def offers(tiny_dataset: Dataset) -> Dataset:
    """The tiny shop with offers: an item on discount in a week is so on most of its lines; and some coupons."""
    rng = np.random.default_rng(5)
    events = tiny_dataset.events.copy()
    week = (events[c.TIME].dt.normalize() - events[c.TIME].min().normalize()).dt.days // 7
    offered = rng.random((60, tiny_dataset.n_items)) < 0.3
    cut = offered[week, events[c.EVENT_ITEM]] & (rng.random(len(events)) < 0.8)
    events[c.DISCOUNT] = np.where(cut, 0.5, 0.0)
    events[c.COUPON] = np.where(rng.random(len(events)) < 0.1, 0.25, 0.0)
    return replace(tiny_dataset, events=events)


@pytest.fixture(scope="module")
def facts(offers: Dataset) -> Facts:
    return Facts(offers, split(offers, DataSettings(min_users=1)).train_events)


def contexts(dataset: Dataset, n: int = 90) -> Iterator[Context]:
    """Baskets of all windows of time, with all that went before; half of them without saying where they start."""
    items, steps = dataset.events[c.EVENT_ITEM].to_numpy(), dataset.events[c.STEP].to_numpy()
    first = np.searchsorted(dataset.events[c.EVENT_USER].to_numpy(), np.arange(len(dataset.users)))
    frame = baskets(dataset)
    for row in frame.sample(min(n, len(frame)), random_state=3).itertuples():
        past = slice(first[row.user], row.start)
        basket = np.unique(items[row.start : row.stop])
        yield Context(row.user, items[past], steps[past], basket, row.start if row.start % 2 else None)


def labels(dataset: Dataset, facts: Facts, task: str) -> Iterator[tuple[Context, pd.DataFrame, Labelled | None]]:
    """Context, the lines of its basket, and the label."""
    rule, rng = registry(dataset, facts=facts)[task], np.random.default_rng(1)
    for context in contexts(dataset):
        yield context, dataset.events.iloc[facts.start(context) :].head(len(context.basket)), rule.label(context, rng)


def check(context: Context, label: Labelled | None, allowed: set[int]) -> bool:
    """The label is the basket's part of what is allowed. Returns whether there was one."""
    targets = set(context.basket.tolist()) & allowed
    if not targets:
        assert label is None
        return False
    assert label is not None
    assert label.allowed is not None
    assert not label.allowed.flags.writeable
    assert set(label.targets.tolist()) == targets
    assert set(np.flatnonzero(label.allowed).tolist()) == allowed
    return True


def train_lines(dataset: Dataset) -> pd.DataFrame:
    return dataset.events[dataset.events[c.TIME] < DataSettings().validation_start]


def test_longtail(offers: Dataset, facts: Facts) -> None:
    sold = train_lines(offers)[c.EVENT_ITEM].value_counts().reindex(range(offers.n_items), fill_value=0)
    order = sorted(range(offers.n_items), key=lambda item: (-sold[item], item))
    head, total = [], 0
    for item in order:
        if total >= 0.8 * sold.sum():
            break
        head.append(item)
        total += sold[item]
    tail = set(order) - set(head)
    assert 0 < len(tail) < offers.n_items
    assert sum(check(context, label, tail) for context, _, label in labels(offers, facts, "Longtail")) > 30


def themed_items(dataset: Dataset, word: str) -> set[int]:
    """The pool of a word, item by item."""
    lines = train_lines(dataset)
    inside = pd.Series(False, index=lines.index)
    for window in calendar.windows(2017).itertuples():
        if window.word == word:
            inside |= (lines[c.TIME] >= window.start) & (lines[c.TIME] < window.end + pd.Timedelta(days=1))
    share = inside.mean()

    def stands_out(these: pd.Series, least: float) -> bool:
        n, m = int(these.sum()), int((these & inside).sum())
        if not share or n < calendar.MIN_SALES or m < calendar.MIN_INSIDE:
            return False
        lift = (m + 10 * share) / ((n + 10) * share)
        return lift >= least and (lift - 1) * (n * share) ** 0.5 >= 3

    kinds = dataset.items[c.TYPE]
    of_line = lines[c.EVENT_ITEM].map(kinds)
    return {
        item
        for item in range(dataset.n_items)
        if stands_out(lines[c.EVENT_ITEM] == item, 1.5) and stands_out(of_line == kinds.iloc[item], 1.3)
    }


def test_season(offers: Dataset, facts: Facts) -> None:
    of_month = dict.fromkeys((12, 1, 2), "winter") | dict.fromkeys((3, 4, 5), "spring")
    of_month |= dict.fromkeys((6, 7, 8), "summer") | dict.fromkeys((9, 10, 11), "fall")
    found, pools = 0, {}
    for context, lines, label in labels(offers, facts, "Season"):
        word = of_month[lines[c.TIME].iloc[0].month]
        if word not in pools:
            pools[word] = themed_items(offers, word)
        if check(context, label, pools[word]):
            assert label is not None
            assert dict(label.slots) == {"season": word}
            found += 1
    assert found > 2  # pumpkins in fall


def test_holiday(offers: Dataset, facts: Facts) -> None:
    windows = calendar.windows(2017)
    windows = windows[~windows["word"].isin(calendar.SEASONS)]
    found, pools = 0, {}
    for context, lines, label in labels(offers, facts, "Holiday"):
        day = lines[c.TIME].iloc[0].normalize()
        holding = windows[(windows["start"] <= day) & (day <= windows["end"])]
        if holding.empty:
            assert label is None
            continue
        word = min(holding.itertuples(), key=lambda window: (window.end - window.start, window.end)).word
        if word not in pools:
            pools[word] = themed_items(offers, word)
        if check(context, label, pools[word]):
            assert label is not None
            assert dict(label.slots) == {"holiday": word}
            found += 1
    assert found > 0


def test_pools_by_meaning(shop: Dataset) -> None:
    items = shop.items.copy()
    items.loc[8, c.CATEGORY] = "Halloween items"
    decorated = replace(shop, items=items)
    pools = by_meaning(prepare(decorated, fake_encode), ItemIndex(decorated))
    assert {word: set(np.flatnonzero(pool)) for word, pool in pools.items()} == {"Halloween": {8}}


def test_deals(offers: Dataset, facts: Facts) -> None:
    events = offers.events
    week = (events[c.TIME].dt.normalize() - events[c.TIME].min().normalize()).dt.days // 7
    found = 0
    for context, lines, label in labels(offers, facts, "Deals"):
        others = events[(week == week[lines.index[0]]) & (events[c.EVENT_USER] != context.user)]
        allowed = set()
        for item, own in others.groupby(c.EVENT_ITEM):
            dealt = ((own[c.DISCOUNT] > 0) | (own[c.COUPON] > 0)).sum()
            if len(own) >= deals.MIN_LINES and dealt >= len(own) / 2:
                allowed.add(item)
        found += check(context, label, allowed)
    assert found > 5


def test_deals_now(offers: Dataset) -> None:
    last = offers.events[offers.events[c.TIME] >= offers.events[c.TIME].max().normalize() - pd.Timedelta(days=6)]
    expected = {
        item
        for item, own in last.groupby(c.EVENT_ITEM)
        if len(own) >= deals.MIN_LINES and ((own[c.DISCOUNT] > 0) | (own[c.COUPON] > 0)).mean() >= 0.5
    }
    assert set(np.flatnonzero(deals.current(offers))) == expected
    assert expected
    assert not deals.current(replace(offers, events=offers.events.iloc[:0])).any()


def test_budget(offers: Dataset, facts: Facts) -> None:
    price, asked = offers.items[c.PRICE], Counter()
    for context, _, label in labels(offers, facts, "Budget"):
        own = price[context.basket]
        fitting = [limit for limit in TOTALS if own.sum() <= limit]
        if label is None:
            assert not fitting
            continue
        ((kind, said),) = label.slots.items()
        asked[kind] += 1
        limit = float(said[1:])
        assert check(context, label, set(price.index[price <= limit]))
        if kind == "total":
            assert said == dollars(fitting[0])
            assert set(label.targets) == set(context.basket)
        else:
            assert limit in PRICES
            assert 0 < len(label.targets) < len(context.basket)
    assert min(asked["price"], asked["total"]) > 15


def test_dollars() -> None:
    assert [dollars(amount) for amount in (1.0, 2.5, 75.0)] == ["$1", "$2.50", "$75"]


def test_complement(offers: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts_module, "MIN_SHARED", 6)
    monkeypatch.setattr(facts_module, "MIN_TOGETHER", 1.5)
    facts = Facts(offers, split(offers, DataSettings(min_users=1)).train_events)
    held = [set(own) for _, own in train_lines(offers).groupby(c.STEP)[c.EVENT_ITEM]]
    alone = Counter(item for basket in held for item in basket)
    both = Counter((one, two) for basket in held for one in basket for two in basket if one != two)
    category, kinds = offers.items[c.CATEGORY], offers.items[c.TYPE]
    together: dict[int, set[int]] = {item: set() for item in range(offers.n_items)}
    for (one, two), n in both.items():
        if n >= 6 and n * len(held) >= 1.5 * alone[one] * alone[two] and category[one] != category[two]:
            together[one].add(two)
    found = 0
    for context, _, label in labels(offers, facts, "Complement"):
        basket = set(context.basket.tolist())
        possible = [item for item in basket if together[item] & basket]
        if label is None:  # nothing goes with anything, or two anchors of the basket exclude each other's partners
            alike = {item for item in range(offers.n_items) if set(kinds[[item]]) & set(kinds[possible])}
            assert all(category[two] in set(category[list(alike)]) for one in possible for two in together[one] & basket)
            continue
        said = label.slots["items"].split(" and ")
        assert len(said) in (1, 2)
        found += 1
        alike = {item for item, kind in enumerate(kinds) if in_sentence(kind.split(",")[0]) in said}
        assert alike & set(possible)
        allowed = {other for item in alike for other in together[item]}
        allowed = {other for other in allowed if category[other] not in set(category[list(alike)])}
        assert check(context, label, allowed)
    assert found > 8


def test_replenish(offers: Dataset, facts: Facts) -> None:
    found = 0
    for context, lines, label in labels(offers, facts, "Replenish"):
        start = lines.index[0]
        past = offers.events.iloc[start - len(context.history) : start]
        now = lines[c.TIME].iloc[0]
        allowed = set()
        for item, own in past.groupby(c.EVENT_ITEM):
            if len(own) < 3:
                continue
            times = list(own[c.TIME])
            pauses = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
            if 0.75 <= (now - times[-1]).total_seconds() / np.mean(pauses) <= 3:
                allowed.add(item)
        found += check(context, label, allowed)
    assert found > 15


def test_labels_count_no_later_events(offers: Dataset, facts: Facts) -> None:
    """What is bought after the training period changes neither tail, pools nor pairs."""
    late = ~facts.counted
    events = offers.events.copy()
    events.loc[late, c.EVENT_ITEM] = 0
    other = Facts(replace(offers, events=events), facts.counted)
    np.testing.assert_array_equal(other.tail, facts.tail)
    np.testing.assert_array_equal(other.pool("fall"), facts.pool("fall"))
    assert (other.partners != facts.partners).nnz == 0


def test_without_facts_only_the_first_four(offers: Dataset, facts: Facts) -> None:
    assert list(registry(offers)) == ["JustForYou", "Category", "Query", "Discover"]
    assert list(registry(offers, facts=facts)) == [task.name for task in task_classes()]


def test_a_shop_without_offers_has_no_deals(tiny_dataset: Dataset) -> None:
    bare = Facts(tiny_dataset, np.ones(len(tiny_dataset.events), bool))
    assert all(label is None for _, _, label in labels(tiny_dataset, bare, "Deals"))
