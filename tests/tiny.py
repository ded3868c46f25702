"""A small shop made by seed: 60 items, 40 users, a year of baskets; a valid `Dataset` in milliseconds.

Users have two favourite categories and come back to a few favourite items, so that models have something to learn; pumpkins
sell in October only, so that the calendar has something to find.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from backend.data import schema
from backend.data.assemble import assemble
from backend.data.schema import Dataset

GOODS = {
    ("Grocery", "Yogurts"): ["Greek yogurt", "Fruit yogurt", "Plain yogurt", "Kids yogurt"],
    ("Grocery", "Cold cereals"): ["Kids cereal", "Adult cereal", "Granola", "Corn flakes"],
    ("Grocery", "Frozen pizzas"): ["Frozen cheese pizza", "Frozen pepperoni pizza", "Frozen snack pizza"],
    ("Grocery", "Soft drinks"): ["Cola", "Diet cola", "Lemon soda", "Ginger ale"],
    ("Grocery", "Snacks"): ["Potato chips", "Tortilla chips", "Pretzels"],
    ("Produce", "Apples"): ["Gala apples", "Fuji apples", "Red apples"],
    ("Produce", "Salads"): ["Salad mix", "Spinach", "Coleslaw mix"],
    ("Produce", "Squashes"): ["Pumpkins", "Zucchini"],
    ("Fresh meat", "Beef"): ["Ground beef", "Beef steak"],
    ("Fresh meat", "Chicken"): ["Chicken breast", "Chicken wings"],
}
SEASONAL = "Pumpkins"
N_USERS = 40


def make_tiny(seed: int = 7) -> Dataset:
    """The dataset."""
    rng = np.random.default_rng(seed)
    items = _items(rng)
    users = pd.DataFrame(
        {
            schema.USER: [f"u{number}" for number in range(N_USERS)],
            schema.PROFILE: [
                ["No demographics known", "Married couple with 2 children"][number % 2] for number in range(N_USERS)
            ],
            "age": ["", "35-44"] * (N_USERS // 2),
        }
    )
    return assemble("tiny", items, users, _events(items, rng), _queries(items))


def _items(rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    for (department, category), names in GOODS.items():
        for name in names:
            for brand, size in (("National", "16 oz"), ("Private", "16 oz")):
                rows.append((department, category, name, brand, size))
    frame = pd.DataFrame(rows, columns=[schema.DEPARTMENT, schema.CATEGORY, schema.TYPE, schema.BRAND, schema.SIZE])
    own = np.where(frame[schema.BRAND].eq("Private"), " (store brand)", "")
    frame[schema.TITLE] = frame[schema.TYPE] + ", " + frame[schema.SIZE] + own
    frame[schema.TEXT] = frame[schema.TITLE] + ". " + frame[schema.CATEGORY] + ". " + frame[schema.DEPARTMENT]
    frame[schema.ITEM] = [f"t-{number:03d}" for number in range(len(frame))]
    frame[schema.PRICE] = rng.uniform(0.5, 9.5, len(frame)).round(2)
    for readable, source in (
        (schema.DEPARTMENT, schema.SOURCE_DEPARTMENT),
        (schema.CATEGORY, schema.SOURCE_CATEGORY),
        (schema.TYPE, schema.SOURCE_TYPE),
    ):
        frame[source] = frame[readable].str.upper()
    return frame


def _events(items: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    categories = items[schema.CATEGORY].to_numpy()
    names = np.unique(categories)
    seasonal = items[schema.TYPE].eq(SEASONAL).to_numpy()
    rows: list[dict[str, object]] = []
    for user in range(N_USERS):
        weights = np.where(np.isin(categories, rng.choice(names, 2, replace=False)), 6.0, 0.5)
        weights[rng.choice(len(items), 4, replace=False)] += 12.0  # favourites that come back
        days = np.sort(rng.choice(364, size=int(rng.integers(16, 28)), replace=False))
        for step, day in enumerate(days):
            time = pd.Timestamp("2017-01-01 10:00") + pd.Timedelta(days=int(day))
            now = np.where(seasonal, 20.0 if time.month == 10 else 0.0, weights)
            size = int(rng.integers(3, 9))
            for item in rng.choice(len(items), size=size, replace=False, p=now / now.sum()):
                quantity = int(rng.integers(1, 3))
                rows.append(
                    {
                        schema.EVENT_USER: user, schema.EVENT_ITEM: int(item), schema.TIME: time, schema.STEP: step,
                        schema.QUANTITY: quantity, schema.PAID: round(quantity * float(items[schema.PRICE].iloc[item]), 2),
                        schema.DISCOUNT: 0.0, schema.COUPON: 0.0,
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)


def _queries(items: pd.DataFrame) -> pd.DataFrame:
    rows = [
        (name.lower(), row, True)
        for column in (schema.TYPE, schema.CATEGORY)
        for row, name in enumerate(items[column].astype(str))
    ]
    return pd.DataFrame(rows, columns=[schema.QUERY, schema.QUERY_ITEM, schema.SYNTHETIC])
