"""What belongs to what is asked: read off a text, it is what the label rule allowed when the text was made."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from backend.data import calendar
from backend.data import schema as c
from backend.data.record import Records, basket_ordinals
from backend.data.schema import Dataset
from backend.data.split import split
from backend.errors import RequestError
from backend.instructions import facts as facts_module
from backend.instructions.catalogue import Catalogue, prepare
from backend.instructions.facts import Facts
from backend.instructions.hearing import hear
from backend.instructions.index import ItemIndex
from backend.instructions.pools import Pools, gather
from backend.instructions.tasks import registry, task_classes
from backend.instructions.templates import fill, wordings
from backend.settings import DataSettings
from tests.instructions.conftest import fake_encode
from tests.instructions.test_counted_tasks import contexts, facts, offers  # noqa: F401 (fixtures)

EVERY = tuple(task.name for task in task_classes())


@pytest.fixture(scope="module")
def catalogue(offers: Dataset) -> Catalogue:  # noqa: F811
    return prepare(offers, fake_encode, tasks=EVERY)


@pytest.fixture(scope="module")
def pools(offers: Dataset, facts: Facts, catalogue: Catalogue) -> Pools:  # noqa: F811
    return Pools(gather(facts, EVERY), catalogue, offers)


def test_a_pool_is_what_the_label_rule_allowed(
    offers: Dataset, facts: Facts, catalogue: Catalogue, pools: Pools  # noqa: F811
) -> None:  # fmt: skip
    rng, found = np.random.default_rng(3), dict.fromkeys(("Category", "Query", "Longtail", "Season", "Holiday", "Budget"), 0)
    rules, unread = registry(offers, facts=facts), []
    for context in contexts(offers, 60):
        for task in found:
            label = rules[task].label(context, rng)
            if label is None:
                continue
            assert label.allowed is not None
            texts = [text for held_out in (False, True) for text in wordings(task, held_out) if fits(text, label.slots)]
            for text in rng.choice(texts, 3):
                asked = fill(str(text), label.slots)
                read = pools.of(asked, [task])
                if task in ("Category", "Query"):  # a wording may hold a word that happens to be a name of so small a shop
                    assert read[task][label.targets].all(), (text, label.slots)
                    found[task] += np.array_equal(read[task], label.allowed)
                elif task in read:
                    expected = label.allowed
                    if hear(asked, catalogue).wanted:  # such a word narrows the other pools: "some snacks that don't go above $5"
                        said = np.any(list(pools.of(asked, ["Category", "Query"]).values()), axis=0)
                        expected = expected & said if (expected & said).any() else said
                    np.testing.assert_array_equal(read[task], expected, err_msg=asked)
                    found[task] += 1
                else:
                    unread.append(str(text))
    assert min(found.values()) > 15, found  # few baskets of the tiny shop lead up to an occasion
    assert len(unread) < 0.02 * sum(found.values()), unread


def fits(text: str, slots: object) -> bool:
    try:
        fill(text, slots)  # type: ignore[arg-type]
    except Exception:  # of the task's other set of slots
        return False
    return True


def test_the_households_own_pools_are_what_the_label_rules_allow(offers: Dataset, facts: Facts) -> None:  # noqa: F811
    records, rules, rng = Records(offers), registry(offers, facts=facts), np.random.default_rng(0)
    times = offers.events[c.TIME].to_numpy("datetime64[s]").astype(np.int64)
    found = dict.fromkeys(("Discover", "Replenish", "Deals"), 0)
    for context in contexts(offers):
        start = facts.start(context)
        ages = (times[start] - times[start - len(context.history) : start]) / 86_400
        record = records.of(context.history, ages, basket_ordinals(ages), deals=records.deals_at(context.user, start))
        own = {"Discover": record.lately == 0, "Replenish": record.due, "Deals": record.deals}
        for task in found:
            label = rules[task].label(context, rng)
            if label is not None:
                np.testing.assert_array_equal(own[task], label.allowed)
                found[task] += 1
    assert min(found.values()) > 10, found


def test_what_goes_with_names_is_counted_and_of_other_categories(
    offers: Dataset, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    monkeypatch.setattr(facts_module, "MIN_SHARED", 5)  # the shop is tiny
    monkeypatch.setattr(facts_module, "MIN_TOGETHER", 1.2)
    facts = Facts(offers, split(offers, DataSettings(min_users=1)).train_events)  # noqa: F811
    pools = Pools(gather(facts, EVERY), catalogue, offers)
    index, category, found = ItemIndex(offers), offers.items[c.CATEGORY].to_numpy(str), 0
    for name in catalogue.names:
        read = pools.of(f"what goes with {name.text}?", ["Complement"]).get("Complement")
        own = set(
            index.answering(name.query).tolist() if name.query else np.flatnonzero(index.named(name.category or "")).tolist()
        )
        beside = {int(other) for item in own for other in facts.partners[item].indices}
        beside = {item for item in beside if category[item] not in {category[each] for each in own}}
        if read is None:
            assert not beside
        else:
            assert set(np.flatnonzero(read).tolist()) == beside
            found += 1
    assert found > 3


def test_what_is_not_said_has_no_pool(pools: Pools, catalogue: Catalogue) -> None:
    name = catalogue.names[0].text
    assert pools.of("what should I put in my cart next?", ["Category", "Holiday", "Season", "Budget", "Complement"]) == {}
    assert set(pools.of(f"something in {name} for Halloween", EVERY)) == {"Category", "Query", "Longtail", "Holiday"}
    assert pools.of(f"something in {name}", ["JustForYou", "Discover", "Deals", "Replenish"]) == {}
    only, refused = (pools.of(text, ["Category"]) for text in (f"something in {name}", f"anything, but no {name}"))
    assert only["Category"].any()
    assert not refused
    with pytest.raises(RequestError, match="price"):
        pools.of("snacks under $-3", ["Budget"])


def test_a_name_beside_another_wish_narrows_its_pool(pools: Pools, catalogue: Catalogue) -> None:
    autumn, narrowed = pools.of("treats for the fall", ["Season"])["Season"], 0
    for name in [name.text for name in catalogue.names if name.category]:
        shelf = pools.of(f"something in {name}", ["Category"])["Category"]
        own = pools.of(f"something in {name} for the fall", ["Season"])["Season"]
        both = autumn & shelf
        np.testing.assert_array_equal(own, both if both.any() else shelf, err_msg=name)
        narrowed += bool(both.any()) and not both[shelf].all()
    assert narrowed


def test_several_names_are_all_asked_for(pools: Pools, catalogue: Catalogue) -> None:
    first, second = [name for name in catalogue.names if name.category][:2]
    one, two = (pools.of(f"something in {name.text}", ["Category"])["Category"] for name in (first, second))
    both = pools.of(f"something in {first.text} or {second.text}", ["Category"])["Category"]
    np.testing.assert_array_equal(both, one | two)


def test_a_price_is_inclusive(offers: Dataset, pools: Pools) -> None:  # noqa: F811
    price = offers.items[c.PRICE].to_numpy(float)
    limit = float(np.sort(price)[len(price) // 2])
    np.testing.assert_array_equal(pools.of(f"anything under ${limit:.2f}", ["Budget"])["Budget"], price <= round(limit, 2))


def test_an_item_that_joins_is_found_by_shelf_and_price_and_is_little_known(
    offers: Dataset, facts: Facts, catalogue: Catalogue  # noqa: F811
) -> None:  # fmt: skip
    n = offers.n_items
    new = offers.items.iloc[[0]].assign(**{c.ITEM: "new", c.PRICE: 0.01})
    joined = replace(offers, items=pd.concat([offers.items, new], ignore_index=True))
    read = Pools(gather(facts, EVERY), catalogue, joined)
    shelf = offers.items[c.CATEGORY].iloc[0]
    said = read.of(f"something in {shelf} under $1", EVERY) | read.of("treats for Halloween", ["Holiday"])
    assert said["Category"][n]
    assert said["Budget"][n]
    assert said["Longtail"][n]
    assert not said.get("Holiday", np.zeros(n + 1))[n]


def test_only_what_is_needed_is_counted(facts: Facts) -> None:  # noqa: F811
    none = gather(facts, ("JustForYou", "Category"))
    assert not none["themes"].any()
    assert none["tail"].all()
    assert not len(none["partners"])
    kept = gather(facts, EVERY)
    for row, word in enumerate(calendar.words()):
        np.testing.assert_array_equal(kept["themes"][row], facts.pool(word))
