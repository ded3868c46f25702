"""The schema's checks name file, row and column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from backend.data import schema
from backend.data.assemble import assemble, content_fingerprint
from backend.data.schema import Dataset
from backend.errors import TableError


@pytest.mark.parametrize(
    ("table", "column", "row", "value"),
    [
        ("items", schema.PRICE, 3, float("nan")),
        ("items", schema.PRICE, 0, -1.0),
        ("events", schema.QUANTITY, 9, float("inf")),
        ("events", schema.EVENT_ITEM, 5, 60),
        ("events", schema.EVENT_USER, 7, 4_000),
        ("events", schema.TIME, 2, None),
        ("queries", schema.QUERY_ITEM, 1, 10_000),
    ],
)
def test_the_first_fault_is_named(tiny_dataset: Dataset, table: str, column: str, row: int, value: Any) -> None:
    tables = {name: getattr(tiny_dataset, name).copy() for name in schema.TABLES}
    values = tables[table][column].astype(object)
    values.iloc[row] = value
    tables[table][column] = values
    with pytest.raises(TableError, match=rf"{table}.csv, row {row + 1}, column '{column}'"):
        assemble("x", **tables, files={name: f"{name}.csv" for name in tables})


def test_a_missing_column_and_a_repeated_id_are_named(tiny_dataset: Dataset) -> None:
    with pytest.raises(TableError, match="'price' is missing"):
        assemble("x", tiny_dataset.items.drop(columns=schema.PRICE), tiny_dataset.users, tiny_dataset.events)
    items = tiny_dataset.items.copy()
    items.loc[4, schema.ITEM] = items.loc[1, schema.ITEM]
    with pytest.raises(TableError, match=r"stands twice.*row 5, column 'item_id'"):
        assemble("x", items, tiny_dataset.users, tiny_dataset.events)


def test_assembling_sorts_and_numbers_the_baskets(tiny_dataset: Dataset) -> None:
    shuffled = tiny_dataset.events.sample(frac=1.0, random_state=1)
    shuffled = shuffled.assign(step=shuffled[schema.STEP] * 3 + 5)  # a source's own numbers
    again = assemble("tiny", tiny_dataset.items, tiny_dataset.users, shuffled, tiny_dataset.queries)
    pd.testing.assert_frame_equal(again.events, tiny_dataset.events)
    assert again.fingerprint == tiny_dataset.fingerprint


def test_the_fingerprint_follows_every_value_and_no_storage_type(tiny_dataset: Dataset) -> None:
    events = tiny_dataset.events
    print_ = content_fingerprint(events)
    assert content_fingerprint(events.astype({schema.STEP: "int64", schema.TIME: "datetime64[ns]"})) == print_
    for column in events.columns:
        changed = events.copy()
        step = np.timedelta64(1, "s") if column == schema.TIME else 1
        changed.loc[17, column] = changed.loc[17, column] + step
        assert content_fingerprint(changed) != print_, column
    assert content_fingerprint(events.iloc[::-1]) != print_
