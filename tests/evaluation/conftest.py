from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from backend.data.schema import Dataset
from backend.data.split import Split, split
from backend.evaluation.cases import Case, build_cases
from backend.instructions.tasks import registry
from backend.settings import DataSettings

N_ITEMS, N_USERS, WEEKS = 40, 30, 20
SETTINGS = DataSettings(validation_start="2020-04-20", test_start="2020-05-04", min_targets=2)


def make_dataset(seed: int = 0) -> Dataset:
    """A small shop: 30 households, 40 items in 8 categories, a basket a week; households like some categories."""
    rng = np.random.default_rng(seed)
    rows = np.arange(N_ITEMS)
    category = rows % 8
    items = pd.DataFrame(
        {
            "item_id": [f"i{row}" for row in rows],
            "title": [f"Thing {row}" for row in rows],
            "department": [f"Department {code // 4}" for code in category],
            "category": [f"Category {code}" for code in category],
            "type": [f"Type {row // 4}" for row in rows],
            "brand": "store brand",
            "size": "1 oz",
            "price": 1.0 + rows / 10,
            "text": [f"Thing {row} of category {row % 8}" for row in rows],
        }
    )
    for column in ("department", "category", "type"):
        items[f"source_{column}"] = items[column].str.upper()
    users = pd.DataFrame({"user_id": [f"u{row}" for row in range(N_USERS)], "profile": "A household."})
    taste = rng.dirichlet(np.full(N_ITEMS, 0.3), N_USERS) * 0.7 + 0.3 * (1 / (rows + 1)) / (1 / (rows + 1)).sum()
    lines = []
    for user in range(N_USERS):
        step = 0
        for week in range(WEEKS):
            if rng.random() < 0.3 + 0.7 * user / N_USERS:
                basket = np.sort(rng.choice(N_ITEMS, int(rng.integers(2, 6)), replace=False, p=taste[user] / taste[user].sum()))
                day = pd.Timestamp("2020-01-06") + pd.Timedelta(days=7 * week + int(rng.integers(7)))
                lines += [(user, int(item), day, step) for item in basket]
                step += 1
    events = pd.DataFrame(lines, columns=["user", "item", "time", "step"])
    events = events.assign(quantity=1, paid=events["item"].map(items["price"]), discount=0.0, coupon=0.0)
    queries = pd.DataFrame(
        [(f"query {code}", int(item), True) for code in range(8) for item in rows[category == code]],
        columns=["query", "item", "synthetic"],
    )
    return Dataset("toy", items, users, events, queries)


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return make_dataset()


@pytest.fixture(scope="session")
def parts(dataset: Dataset) -> Split:
    return split(dataset, SETTINGS)


@pytest.fixture(scope="session")
def cases(dataset: Dataset, parts: Split) -> list[Case]:
    return build_cases(dataset, parts.test, registry(dataset), seed=3)
