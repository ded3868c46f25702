"""The Complete Journey loader."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from backend.data import complete_journey, schema
from backend.data.complete_journey import load, package_folder
from backend.data.households import UNKNOWN, sentence
from backend.data.schema import Dataset
from backend.errors import TableError
from backend.settings import DataSettings


def test_counts(dataset: Dataset) -> None:
    assert 5_500 <= dataset.n_items <= 5_900
    assert len(dataset.users) == 2_466
    assert 1_200_000 <= len(dataset.events) <= 1_300_000
    assert (dataset.users[schema.PROFILE] != UNKNOWN).sum() == 801


def test_titles_and_ids_are_unique_and_rows_sorted(dataset: Dataset) -> None:
    items = dataset.items
    assert items[schema.TITLE].is_unique
    assert items[schema.ITEM].tolist() == [f"cj-{row:05d}" for row in range(len(items))]
    columns = [schema.SOURCE_DEPARTMENT, schema.SOURCE_CATEGORY, schema.SOURCE_TYPE, schema.BRAND, schema.SIZE]
    pd.testing.assert_frame_equal(items[columns], items[columns].sort_values(columns, ignore_index=True))
    assert "Frozen plain vegetables, 16 oz (store brand)" in set(items[schema.TITLE])
    assert items[schema.PRICE].between(0.01, 200).all()


def test_dropped_things_are_gone(dataset: Dataset) -> None:
    assert not dataset.items[schema.SOURCE_DEPARTMENT].isin(complete_journey.DROPPED_DEPARTMENTS).any()
    assert not dataset.items[schema.SOURCE_CATEGORY].isin(complete_journey.DROPPED_CATEGORIES).any()
    assert not dataset.items[schema.SOURCE_TYPE].isin(["", *complete_journey.NOT_GOODS]).any()


def test_every_item_has_enough_buyers(dataset: Dataset) -> None:
    buyers = dataset.events.drop_duplicates([schema.EVENT_USER, schema.EVENT_ITEM])[schema.EVENT_ITEM].value_counts()
    assert len(buyers) == dataset.n_items
    assert buyers.min() >= DataSettings().min_users


def test_events_are_one_row_a_basket_and_item_in_order(dataset: Dataset) -> None:
    events = dataset.events
    assert not events.duplicated([schema.STEP, schema.EVENT_ITEM]).any()
    keys = [schema.EVENT_USER, schema.TIME, schema.STEP, schema.EVENT_ITEM]
    assert (np.lexsort([events[key].to_numpy() for key in reversed(keys)]) == np.arange(len(events))).all()
    assert (events.groupby(schema.STEP)[schema.TIME].nunique() == 1).all()
    assert (events.groupby(schema.STEP)[schema.EVENT_USER].nunique() == 1).all()
    assert events[schema.STEP].is_monotonic_increasing
    assert (events[schema.QUANTITY] > 0).all()


def test_one_household_matches_the_package(dataset: Dataset) -> None:
    """Naive sums over the raw lines of one household."""
    row = 100
    household = int(dataset.users[schema.USER].iloc[row])
    lines = pd.read_parquet(package_folder() / "transactions.parquet", filters=[("household_id", "==", household)])
    products = pd.read_parquet(package_folder() / "products.parquet")
    lines = lines[lines["quantity"] > 0].merge(products, on="product_id")
    lines = lines[~lines["department"].isin(complete_journey.DROPPED_DEPARTMENTS)]
    mine = dataset.events[dataset.events[schema.EVENT_USER] == row]
    assert set(mine[schema.TIME]) <= set(lines["transaction_timestamp"].astype("datetime64[s]"))
    assert 0.8 * lines["sales_value"].sum() <= mine[schema.PAID].sum() <= lines["sales_value"].sum() + 0.01
    title = "Milk, 1 gallon (store brand)"
    milk = lines[lines["product_type"].eq("FLUID MILK WHITE ONLY") & lines["brand"].eq("Private")]
    milk = milk[milk["package_size"].isin(["1 GA", "1 GAL", "GAL", "1 GALON"])]
    bought = mine[mine[schema.EVENT_ITEM] == dataset.items.index[dataset.items[schema.TITLE] == title].item()]
    assert bought[schema.QUANTITY].sum() == milk["quantity"].sum() > 0
    assert bought[schema.PAID].sum() == pytest.approx(milk["sales_value"].sum())
    assert bought[schema.DISCOUNT].sum() == pytest.approx(milk["retail_disc"].sum())


def test_price_is_the_median_regular_price_before_the_split(dataset: Dataset) -> None:
    """Recomputed for items whose type occurs in one form only, from the raw lines."""
    products = pd.read_parquet(package_folder() / "products.parquet")
    lines = pd.read_parquet(package_folder() / "transactions.parquet").merge(products, on="product_id")
    start = pd.Timestamp(DataSettings().validation_start)
    lines = lines[(lines["quantity"] > 0) & (lines["transaction_timestamp"] < start) & (lines["product_type"] == "CREAM CHEESE")]
    lines = lines[(lines["brand"] == "National") & (lines["package_size"] == "12 OZ")]
    expected = ((lines["sales_value"] + lines["retail_disc"] + lines["coupon_match_disc"]) / lines["quantity"]).median()
    item = dataset.items[dataset.items[schema.TITLE] == "Cream cheese, 12 oz"]
    assert item[schema.PRICE].item() == pytest.approx(expected, abs=0.006)


def test_the_loader_is_deterministic(dataset: Dataset) -> None:
    again = load(DataSettings())
    assert again.fingerprint == dataset.fingerprint
    pd.testing.assert_frame_equal(again.items, dataset.items)


def test_a_missing_package_is_a_users_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(complete_journey, "PACKAGE", "completejourney_not_installed")
    with pytest.raises(TableError, match="not installed"):
        load(DataSettings())


def test_profiles_read_like_sentences() -> None:
    facts = {
        "age": "65+",
        "income": "250K+",
        "home": "Renter",
        "marital": "Unmarried",
        "composition": "1 Adult No Kids",
        "kids": "0",
    }
    assert sentence(facts) == "Single adult without children, aged 65 or older, income over 250K, renter"
    facts = {"age": "35-44", "income": "50-74K", "home": "", "marital": "Married", "composition": "2 Adults Kids", "kids": "3+"}
    assert sentence(facts) == "Married couple with 3 or more children, aged 35-44, income 50-74K"
    assert sentence({}) == UNKNOWN


def test_queries_answer_and_say_that_they_are_synthetic(dataset: Dataset) -> None:
    queries = dataset.queries
    sizes = queries.groupby(schema.QUERY).size()
    assert 500 <= len(sizes) <= 3_000
    assert sizes.max() <= 0.15 * dataset.n_items
    assert sizes.min() >= 2
    assert queries[schema.SYNTHETIC].all()
    assert not queries.duplicated([schema.QUERY, schema.QUERY_ITEM]).any()

    def types(text: str) -> set[str]:
        return set(dataset.items[schema.TYPE].iloc[queries.loc[queries[schema.QUERY] == text, schema.QUERY_ITEM]])

    assert types("kids cereal") == {"Boxed cereal for kids"}
    assert types("butter") == {"Butter"}  # no peanut butter
    assert "Natural yogurt" in types("yogurt")
    assert all("pizza" in name.lower() for name in types("frozen pizza"))
