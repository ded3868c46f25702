"""Bring your own tables: a folder of `items`, `events`, and optionally `users` and `queries`, each as .csv or .parquet.

- Files name items and users by their own ids; row numbers are made here. Columns beyond the required ones have defaults, so the
  smallest input is `items(item_id, title)` and `events(user_id, item_id, time)`.
- Every fault names file, row (counted from 1, below the header) and column. Sizes are checked before anything is read.
- Lines of the same basket and item are added up; without a `step` column a user's day is one basket.
- Items bought by fewer than `min_users` users are dropped, as everywhere.

Columns:
    items    item_id · title · department · category · type · brand · size · price · text
    users    user_id · profile · any attributes
    events   user_id · item_id · time (ISO 8601) · step · quantity · paid · discount · coupon
    queries  query · item_id · synthetic
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from backend.data import schema
from backend.data.assemble import assemble, empty_queries
from backend.data.households import UNKNOWN
from backend.data.schema import Dataset
from backend.errors import TableError
from backend.progress import Progress, Report, silent
from backend.settings import DataSettings

MAX_BYTES = 1 << 30  # of one file
MAX_ROWS = {"items": 500_000, "users": 2_000_000, "events": 30_000_000, "queries": 2_000_000}
MAX_TEXT = 2_000  # characters of one text
REQUIRED = {
    "items": (schema.ITEM, schema.TITLE), "users": (schema.USER,), "events": (schema.USER, schema.ITEM, schema.TIME),
    "queries": (schema.QUERY, schema.ITEM),
}  # fmt: skip
_OPTIONAL = ("users", "queries")
_MONEY = (schema.PAID, schema.DISCOUNT, schema.COUPON)


def load(settings: DataSettings, report: Report = silent) -> Dataset:
    """Read and validate the folder `settings.path`.

    Raises:
        TableError: names file, row and column of the first fault; or a file is missing, too large or unreadable.
    """
    if not settings.path:
        raise TableError("no folder of tables is named", "data.path", "name the folder that holds items and events")
    folder = Path(settings.path)
    if not folder.is_dir():
        raise TableError("no such folder", str(folder), "name the folder that holds items and events")
    tables: dict[str, _Table] = {}
    for done, name in enumerate(REQUIRED):
        report(Progress("dataset", done, len(REQUIRED), f"reading {name}"))
        path = _find(folder, name)
        if path is not None:
            tables[name] = _Table(name, path)
    events = _events(tables["events"], tables["items"], settings)
    items = _items(tables["items"], events)
    known = np.sort(events["item_row"].unique())  # rows of the file whose items are kept
    row = pd.Series(np.arange(len(known)), index=known)
    items = items.iloc[known].reset_index(drop=True)
    events[schema.EVENT_ITEM] = row.reindex(events["item_row"]).to_numpy()
    users = _users(tables.get("users"), events)
    user = pd.Series(np.arange(len(users)), index=users[schema.USER])
    events[schema.EVENT_USER] = user.reindex(events[schema.USER]).to_numpy()
    _fill_money(events, items)
    queries = _queries(tables["queries"], tables["items"], row) if "queries" in tables else None
    columns = list(schema.TABLES["events"])
    dataset = assemble(folder.name or "tables", items, users, events[columns], queries, {n: t.file for n, t in tables.items()})
    report(
        Progress("dataset", len(REQUIRED), len(REQUIRED), f"{len(items):,} items, {len(users):,} users, {len(events):,} lines")
    )
    return dataset


def _find(folder: Path, name: str) -> Path | None:
    found = [path for ending in (".csv", ".parquet") if (path := folder / f"{name}{ending}").is_file()]
    if len(found) > 1:
        raise TableError(f"there are both {found[0].name} and {found[1].name}", str(folder), "keep one of them")
    if not found and name not in _OPTIONAL:
        raise TableError(
            f"{name}.csv or {name}.parquet is missing", str(folder), f"it needs the columns {', '.join(REQUIRED[name])}"
        )
    return found[0] if found else None


class _Table:
    """One file, read whole; columns are taken out checked."""

    def __init__(self, name: str, path: Path) -> None:
        self.file = path.name
        if path.stat().st_size > MAX_BYTES:
            raise TableError(f"the file is larger than {MAX_BYTES >> 20} MiB", self.file, "split off what is not needed")
        self.frame = _read_csv(path, MAX_ROWS[name]) if path.suffix == ".csv" else _read_parquet(path, MAX_ROWS[name])
        for column in REQUIRED[name]:
            if column not in self.frame.columns:
                found = ", ".join(map(str, self.frame.columns))
                raise TableError(f"column {column!r} is missing", self.file, f"the file has: {found}")
        if self.frame.empty and name not in _OPTIONAL:
            raise TableError("the table has no rows", self.file)

    def refuse(self, bad: pd.Series | np.ndarray, column: str, why: str) -> None:
        """Raise for the first marked row."""
        rows = np.flatnonzero(np.asarray(bad))
        if len(rows):
            value = self.frame[column].iloc[rows[0]]
            shown = repr(value if not isinstance(value, str) else value[:80])
            raise TableError(f"{shown} {why}", f"{self.file}, row {rows[0] + 1}, column {column!r}")

    def text(self, column: str, default: pd.Series | str = "", empty: bool = True) -> pd.Series:
        """A text column; empty cells and an absent column take the default."""
        if column not in self.frame.columns:
            return pd.Series(default, index=self.frame.index, dtype="str")
        values = self.frame[column]
        texts = values.where(values.notna(), "").astype("str").str.strip()
        self.refuse(texts.str.len() > MAX_TEXT, column, f"is longer than {MAX_TEXT} characters")
        if not empty:
            self.refuse(texts.eq(""), column, "is no valid text")
        return texts.mask(texts.eq(""), default)

    def numbers(self, column: str) -> pd.Series:
        """A column of finite numbers ≥ 0; empty cells are NaN."""
        values = self.frame[column]
        empty = values.isna() | values.astype("str").str.strip().eq("")
        numbers = pd.to_numeric(values.where(~empty), errors="coerce").astype("float64")
        self.refuse(~empty & ~(np.isfinite(numbers) & (numbers >= 0)), column, "is no valid number (0 or more)")
        return numbers

    def times(self, column: str) -> pd.Series:
        """A column of times, without a time zone."""
        values = self.frame[column]
        kind: dict[str, Any] = {} if pd.api.types.is_datetime64_any_dtype(values) else {"format": "ISO8601"}
        times = pd.to_datetime(values, errors="coerce", utc=True, **kind).dt.tz_localize(None)
        self.refuse(times.isna(), column, "is no valid time (write 2017-12-31 or 2017-12-31T18:30:00)")
        return times


def _read_csv(path: Path, limit: int) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path, dtype="str", keep_default_na=False, encoding="utf-8-sig", nrows=limit + 1)
    except pd.errors.EmptyDataError as error:
        raise TableError("the file is empty", path.name) from error
    except pd.errors.ParserError as error:
        raise TableError(
            f"the file is no valid CSV: {str(error).strip().removeprefix('Error tokenizing data. C error: ')}", path.name
        ) from error
    except UnicodeDecodeError as error:
        raise TableError(f"byte {error.start} is not UTF-8", path.name, "save the file as UTF-8") from error
    except OSError as error:
        raise TableError(f"the file cannot be read: {error.strerror}", path.name) from error
    if len(frame) > limit:
        raise TableError(f"the table has more than {limit:,} rows", path.name)
    return frame


def _read_parquet(path: Path, limit: int) -> pd.DataFrame:
    try:
        rows = pq.read_metadata(path).num_rows  # before anything is unpacked
        if rows > limit:
            raise TableError(f"the table has {rows:,} rows, more than {limit:,}", path.name)
        return pd.read_parquet(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise TableError(f"the file is no valid parquet ({type(error).__name__})", path.name) from error


def _rows_of(table: _Table, keys: pd.Index, column: str, where: str) -> np.ndarray:
    """Row numbers of a table's references. Shape: (rows,) int64."""
    rows = keys.get_indexer(pd.Index(table.text(column, empty=False)))
    table.refuse(rows < 0, column, f"is not in {where}")
    return rows


def _keys(table: _Table, column: str) -> pd.Index:
    keys = table.text(column, empty=False)
    table.refuse(keys.duplicated(), column, "stands twice")
    return pd.Index(keys)


def _events(table: _Table, items: _Table, settings: DataSettings) -> pd.DataFrame:
    """Events by user id and row of the item file, one line a basket and item, of the items that enough users bought."""
    events = pd.DataFrame({schema.USER: table.text(schema.USER, empty=False)})
    events["item_row"] = _rows_of(table, _keys(items, schema.ITEM), schema.ITEM, items.file)
    events[schema.TIME] = table.times(schema.TIME)
    given = schema.STEP in table.frame.columns
    events["basket"] = table.text(schema.STEP, empty=False) if given else events[schema.TIME].dt.strftime("%Y-%m-%d")
    events[schema.QUANTITY] = table.numbers(schema.QUANTITY).fillna(1.0) if schema.QUANTITY in table.frame.columns else 1.0
    for column in _MONEY:
        events[column] = table.numbers(column) if column in table.frame.columns else np.nan
    events = events[events[schema.QUANTITY] > 0]
    buyers = events.drop_duplicates([schema.USER, "item_row"])["item_row"].value_counts()
    events = events[events["item_row"].isin(buyers.index[buyers >= settings.min_users])].copy()
    if events.empty:
        most = int(buyers.max()) if len(buyers) else 0
        raise TableError(
            f"no item was bought by {settings.min_users} users or more (the most is {most})", table.file, "lower data.min_users"
        )
    basket = events.groupby([schema.USER, "basket"], sort=False)
    events[schema.TIME] = basket[schema.TIME].transform("min")
    events = events.sort_values([schema.USER, schema.TIME, "basket"], kind="stable")
    events[schema.STEP] = events.groupby([schema.USER, "basket"], sort=False).ngroup()
    keys = [schema.USER, schema.STEP, schema.TIME, "item_row"]
    summed = events.groupby(keys, sort=False)[[schema.QUANTITY, *_MONEY]].sum(min_count=1)
    return summed.reset_index()


def _items(table: _Table, events: pd.DataFrame) -> pd.DataFrame:
    """All rows of the item file with their defaults filled in."""
    items = pd.DataFrame({schema.ITEM: table.text(schema.ITEM, empty=False), schema.TITLE: table.text(schema.TITLE, empty=False)})
    items[schema.DEPARTMENT] = table.text(schema.DEPARTMENT, "All items")
    items[schema.CATEGORY] = table.text(schema.CATEGORY, items[schema.DEPARTMENT])
    items[schema.TYPE] = table.text(schema.TYPE, items[schema.CATEGORY])
    items[schema.BRAND], items[schema.SIZE] = table.text(schema.BRAND), table.text(schema.SIZE)
    written = items[schema.TITLE] + ". " + items[schema.CATEGORY] + ". " + items[schema.DEPARTMENT]
    items[schema.TEXT] = table.text(schema.TEXT, written)
    price = table.numbers(schema.PRICE) if schema.PRICE in table.frame.columns else pd.Series(np.nan, index=items.index)
    unit = (events[schema.PAID] / events[schema.QUANTITY]).groupby(events["item_row"]).median()
    items[schema.PRICE] = price.fillna(unit.reindex(items.index)).fillna(0.0).round(2)
    for source, name in (
        (schema.SOURCE_DEPARTMENT, schema.DEPARTMENT),
        (schema.SOURCE_CATEGORY, schema.CATEGORY),
        (schema.SOURCE_TYPE, schema.TYPE),
    ):
        items[source] = table.text(source, items[name])
    return items


def _users(table: _Table | None, events: pd.DataFrame) -> pd.DataFrame:
    """Users with events, in the order of the user file; without one, in the order of their ids."""
    active = set(events[schema.USER])
    if table is None:
        return pd.DataFrame({schema.USER: sorted(active), schema.PROFILE: UNKNOWN})
    keys = _keys(table, schema.USER)
    strangers = sorted(active - set(keys))
    if strangers:
        raise TableError(f"user {strangers[0]!r} of the events is missing ({len(strangers)} in all)", table.file, "add the rows")
    attributes = [column for column in table.frame.columns if column not in (schema.USER, schema.PROFILE)]
    users = pd.DataFrame({schema.USER: keys, schema.PROFILE: table.text(schema.PROFILE, UNKNOWN)})
    users = pd.concat([users, *(table.text(column).rename(str(column)) for column in attributes)], axis=1)
    return users[users[schema.USER].isin(active)].reset_index(drop=True)


def _fill_money(events: pd.DataFrame, items: pd.DataFrame) -> None:
    """What the events do not say: paid is price × quantity, discounts are nothing."""
    listed = items[schema.PRICE].to_numpy()[events[schema.EVENT_ITEM].to_numpy()] * events[schema.QUANTITY]
    events[schema.PAID] = events[schema.PAID].fillna(listed).round(2)
    for column in (schema.DISCOUNT, schema.COUPON):
        events[column] = events[column].fillna(0.0).round(2)


def _queries(table: _Table, items: _Table, row: pd.Series) -> pd.DataFrame:
    """Queries of the kept items; `row` maps rows of the item file to rows of the dataset."""
    if table.frame.empty:
        return empty_queries()
    flags = {"true": True, "1": True, "false": False, "0": False}
    synthetic = table.text(schema.SYNTHETIC, "false").str.lower()
    if schema.SYNTHETIC in table.frame.columns:
        table.refuse(~synthetic.isin(list(flags)), schema.SYNTHETIC, "is no valid flag (true or false)")
    kept = row.reindex(_rows_of(table, _keys(items, schema.ITEM), schema.ITEM, items.file))
    queries = pd.DataFrame(
        {
            schema.QUERY: table.text(schema.QUERY, empty=False).to_numpy(),
            schema.QUERY_ITEM: kept.to_numpy(),
            schema.SYNTHETIC: synthetic.map(flags).to_numpy(),
        }
    )
    return queries.dropna(subset=[schema.QUERY_ITEM]).drop_duplicates([schema.QUERY, schema.QUERY_ITEM])
