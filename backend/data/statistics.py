"""Counts of a dataset: for the Overview page, the manifest and the data card.

`python -m backend.data.statistics` prints the data card's table for Complete Journey.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backend.data import schema
from backend.data.households import UNKNOWN
from backend.data.schema import Dataset
from backend.data.split import N_ITEMS, baskets, split
from backend.settings import DataSettings

LABELS = {
    "items": "items", "departments": "departments", "categories": "categories", "types": "product types",
    "store_brand_share": "share of items that are store brand", "price_median": "median price of an item, $",
    "users": "households", "users_with_profile": "households with demographics", "events": "basket lines",
    "baskets": "baskets", "baskets_per_user": "baskets per household, median", "items_per_basket": "items per basket, mean",
    "first_day": "first day", "last_day": "last day", "revenue": "value paid, $", "repeat_share": "basket lines bought before",
    "train_events": "basket lines before the validation window", "train_baskets": "baskets before the validation window",
    "validation_examples": "validation examples (one a household)", "test_examples": "test examples (one a household)",
    "test_targets": "items per test example, mean", "queries": "queries", "queries_synthetic": "of which synthetic",
}  # fmt: skip


def statistics(dataset: Dataset, settings: DataSettings) -> dict[str, Any]:
    """Counts by key; `LABELS` has their names in words. Money in dollars, shares between 0 and 1.

    Raises:
        RequestError: the settings' dates do not fit the data.
    """
    items, users, events, queries = dataset.items, dataset.users, dataset.events, dataset.queries
    frame, parts = baskets(dataset), split(dataset, settings)
    pairs = events[[schema.EVENT_USER, schema.EVENT_ITEM]]
    known = users[schema.PROFILE].ne(UNKNOWN)
    asked = queries.drop_duplicates(schema.QUERY)
    return {
        "items": len(items),
        "departments": items[schema.DEPARTMENT].nunique(),
        "categories": items[schema.CATEGORY].nunique(),
        "types": items[schema.TYPE].nunique(),
        "store_brand_share": round(float((items[schema.BRAND] == "Private").mean()), 4),
        "price_median": round(float(items[schema.PRICE].median()), 2),
        "users": len(users),
        "users_with_profile": int(known.sum()),
        "events": len(events),
        "baskets": len(frame),
        "baskets_per_user": float(np.median(frame.groupby(schema.EVENT_USER).size())),
        "items_per_basket": round(float(frame[N_ITEMS].mean()), 2),
        "first_day": f"{events[schema.TIME].min():%Y-%m-%d}",
        "last_day": f"{events[schema.TIME].max():%Y-%m-%d}",
        "revenue": round(float(events[schema.PAID].sum()), 2),
        "repeat_share": round(float(pairs.duplicated().mean()), 4),
        "train_events": int(parts.train_events.sum()),
        "train_baskets": len(parts.train),
        "validation_examples": len(parts.validation),
        "test_examples": len(parts.test),
        "test_targets": round(float(parts.test[N_ITEMS].mean()), 2) if len(parts.test) else 0.0,
        "queries": len(asked),
        "queries_synthetic": int(asked[schema.SYNTHETIC].sum()),
    }


def _show(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def main() -> None:
    """Print the table of the data card in Markdown."""
    from backend.data.complete_journey import load

    counts = statistics(load(DataSettings()), DataSettings())
    print("| figure | value |\n|---|---|")
    for key, label in LABELS.items():
        print(f"| {label} | {_show(counts[key])} |")


if __name__ == "__main__":
    main()
