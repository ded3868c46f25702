"""The one schema of every source: items, users, events, queries.

Column names live here and nowhere else. `validate` checks a table and names file, row and column of the first fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from backend.errors import TableError

# items: one row an item; the row number is the item's index everywhere else (SIDs, item store, traces)
ITEM, TITLE, DEPARTMENT, CATEGORY, TYPE = "item_id", "title", "department", "category", "type"
BRAND, SIZE, PRICE, TEXT = "brand", "size", "price", "text"
SOURCE_DEPARTMENT, SOURCE_CATEGORY, SOURCE_TYPE = "source_department", "source_category", "source_type"  # as the data has them
# users
USER, PROFILE = "user_id", "profile"  # profile: one English sentence; the attributes are further columns
# events: one row a (user, step, item); `item`/`user` hold row numbers of the other tables; step = number of the basket, unique
# in the whole dataset and ascending with (user, time)
EVENT_USER, EVENT_ITEM, TIME, STEP = "user", "item", "time", "step"
QUANTITY, PAID, DISCOUNT, COUPON = "quantity", "paid", "discount", "coupon"
# queries: text and the rows of the items that answer it (long format)
QUERY, QUERY_ITEM, SYNTHETIC = "query", "item", "synthetic"

_TEXT, _NUMBER, _INDEX, _TIME, _FLAG = "text", "number", "index", "time", "flag"
TABLES: Mapping[str, Mapping[str, str]] = {
    "items": {
        ITEM: _TEXT, TITLE: _TEXT, DEPARTMENT: _TEXT, CATEGORY: _TEXT, TYPE: _TEXT, BRAND: _TEXT, SIZE: _TEXT, PRICE: _NUMBER,
        TEXT: _TEXT, SOURCE_DEPARTMENT: _TEXT, SOURCE_CATEGORY: _TEXT, SOURCE_TYPE: _TEXT,
    },
    "users": {USER: _TEXT, PROFILE: _TEXT},
    "events": {
        EVENT_USER: _INDEX, EVENT_ITEM: _INDEX, TIME: _TIME, STEP: _INDEX, QUANTITY: _NUMBER, PAID: _NUMBER, DISCOUNT: _NUMBER,
        COUPON: _NUMBER,
    },
    "queries": {QUERY: _TEXT, QUERY_ITEM: _INDEX, SYNTHETIC: _FLAG},
}  # fmt: skip


@dataclass(frozen=True)
class Dataset:
    """The four tables, validated; `events` is sorted by user, time, step.

    `name` is shown in the app; `fingerprint` identifies the content (item order included).
    """

    name: str
    items: pd.DataFrame
    users: pd.DataFrame
    events: pd.DataFrame
    queries: pd.DataFrame
    fingerprint: str = ""

    @property
    def n_items(self) -> int:
        """Number of items; indices run from 0 to n_items - 1."""
        return len(self.items)


def validate(name: str, frame: pd.DataFrame, file: str, sizes: Mapping[str, int] | None = None) -> None:
    """Check a table against the schema.

    Args:
        name: "items", "users", "events" or "queries".
        frame: the table.
        file: its file name, for the message.
        sizes: for index columns, the number of rows of the table they point into (keys "user" and "item").

    Raises:
        TableError: names file, row (counted from 1, below the header) and column of the first fault.
    """
    for column, kind in TABLES[name].items():
        if column not in frame.columns:
            raise TableError(f"column {column!r} is missing", file, f"it must hold a {kind}")
        values = frame[column]
        bad = _bad_rows(values, kind, (sizes or {}).get(column))
        if bad.any():
            row = int(np.flatnonzero(bad.to_numpy())[0])
            raise TableError(f"{values.iloc[row]!r} is no valid {kind}", f"{file}, row {row + 1}, column {column!r}")
    for key in {"items": [ITEM], "users": [USER]}.get(name, []):
        repeated = frame[key].duplicated()
        if repeated.any():
            row = int(np.flatnonzero(repeated.to_numpy())[0])
            raise TableError(f"{frame[key].iloc[row]!r} stands twice", f"{file}, row {row + 1}, column {key!r}")


def _bad_rows(values: pd.Series, kind: str, size: int | None) -> pd.Series:
    if kind == _TEXT:
        return values.isna() | ~values.map(lambda value: isinstance(value, str))
    if kind == _FLAG:
        return ~values.isin([True, False])
    if kind == _TIME:
        return pd.to_datetime(values, errors="coerce").isna()
    numbers = pd.to_numeric(values, errors="coerce")
    if kind == _NUMBER:
        return numbers.isna() | ~np.isfinite(numbers.astype(float)) | (numbers < 0)
    top = np.inf if size is None else size
    return numbers.isna() | (numbers < 0) | (numbers % 1 != 0) | (numbers >= top)
