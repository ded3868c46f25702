"""The last step of every loader: four loose tables become one validated `Dataset`.

- Columns are put into the schema's order with fixed types, events into the order (user, time, step, item).
- A source may number its baskets as it likes; afterwards `step` is the basket's number in the whole dataset.
- The fingerprint hashes the values, not the file or the pandas version: one content, one fingerprint, on every machine.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd

from backend.data import schema
from backend.data.schema import Dataset, validate

_EVENT_TYPES = {
    schema.EVENT_USER: "int32", schema.EVENT_ITEM: "int32", schema.TIME: "datetime64[s]", schema.STEP: "int32",
    schema.QUANTITY: "float32", schema.PAID: "float64", schema.DISCOUNT: "float64", schema.COUPON: "float64",
}  # fmt: skip
_QUERY_TYPES = {schema.QUERY: "str", schema.QUERY_ITEM: "int32", schema.SYNTHETIC: "bool"}
_TYPES = {"events": _EVENT_TYPES, "queries": _QUERY_TYPES}


def empty_queries() -> pd.DataFrame:
    """A query table without rows."""
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in _QUERY_TYPES.items()})


def assemble(
    name: str,
    items: pd.DataFrame,
    users: pd.DataFrame,
    events: pd.DataFrame,
    queries: pd.DataFrame | None = None,
    files: dict[str, str] | None = None,
) -> Dataset:
    """Validate the four tables and make them one dataset.

    Args:
        name: shown in the app.
        items, users, events, queries: tables with at least the columns of `schema.TABLES`; further columns are kept.
        files: file name of each table, for messages.

    Raises:
        TableError: names file, row and column of the first fault.
    """
    queries = empty_queries() if queries is None else queries
    files = files or {}
    sizes = {"user": len(users), "item": len(items)}
    tables = {"items": items, "users": users, "events": events, "queries": queries}
    for table, frame in tables.items():
        pointers = {"item": sizes["item"], **({"user": sizes["user"]} if table == "events" else {})}
        validate(table, frame, files.get(table, table), pointers)
    keys = [schema.EVENT_USER, schema.TIME, schema.STEP, schema.EVENT_ITEM]
    events = typed("events", events).sort_values(keys, kind="stable", ignore_index=True)
    events[schema.STEP] = _basket_numbers(events)
    queries, items, users = typed("queries", queries), typed("items", items), typed("users", users)
    return Dataset(name, items, users, events, queries, content_fingerprint(items, users, events, queries))


def typed(table: str, frame: pd.DataFrame) -> pd.DataFrame:
    """A valid table with the schema's column order and types, rows numbered from 0."""
    types = _TYPES.get(table) or {
        column: "float64" if kind == "number" else "str" for column, kind in schema.TABLES[table].items()
    }
    first = list(schema.TABLES[table])
    further = [column for column in frame.columns if column not in first]
    types = {**types, **{column: "str" for column in further if frame[column].dtype == object}}
    return frame[[*first, *further]].astype(types).reset_index(drop=True)


def _basket_numbers(events: pd.DataFrame) -> np.ndarray:
    """Each line's basket, counted through the whole dataset: unique across users, ascending, the row in `split.baskets`."""
    user, step = events[schema.EVENT_USER].to_numpy(), events[schema.STEP].to_numpy()
    new = (user[1:] != user[:-1]) | (step[1:] != step[:-1])
    return np.concatenate([[0], np.cumsum(new)]).astype(np.int32) if len(events) else np.zeros(0, np.int32)


def content_fingerprint(*tables: pd.DataFrame) -> str:
    """Hash of the values of tables: column names, order and content; 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for frame in tables:
        for column in frame.columns:
            values = frame[column]
            digest.update(f"|{column}:{len(values)}|".encode())
            if pd.api.types.is_datetime64_any_dtype(values):
                digest.update(values.astype("datetime64[s]").astype("int64").to_numpy().astype("<i8").tobytes())
            elif pd.api.types.is_bool_dtype(values) or pd.api.types.is_integer_dtype(values):
                digest.update(values.to_numpy().astype("<i8").tobytes())
            elif pd.api.types.is_numeric_dtype(values):
                digest.update(np.round(values.to_numpy(dtype="<f8"), 4).tobytes())
            else:
                digest.update("\x1f".join(map(str, values)).encode())
    return digest.hexdigest()[:16]
