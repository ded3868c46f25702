"""Bring your own tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from backend.data import schema, tables
from backend.data.schema import Dataset
from backend.data.tables import load
from backend.errors import TableError
from backend.settings import DataSettings


def settings(folder: Path, min_users: int = 1) -> DataSettings:
    return DataSettings(source="tables", path=str(folder), min_users=min_users)


def write(folder: Path, **files: str) -> Path:
    for name, content in files.items():
        (folder / f"{name}.csv").write_text(content, "utf-8")
    return folder


ITEMS = "item_id,title\nb,Bread\nm,Milk\nt,Tea\n"
EVENTS = "user_id,item_id,time\nu2,m,2017-03-01\nu1,m,2017-03-02 10:00\nu1,b,2017-03-02T11:00\nu1,m,2017-03-05\n"


def test_the_smallest_input(tmp_path: Path) -> None:
    data = load(settings(write(tmp_path, items=ITEMS, events=EVENTS)))
    assert data.items[schema.ITEM].tolist() == ["b", "m"]  # nobody bought the tea
    assert data.users[schema.USER].tolist() == ["u1", "u2"]
    assert data.events[[schema.EVENT_USER, schema.EVENT_ITEM, schema.STEP]].to_numpy().tolist() == [
        [0, 0, 0],
        [0, 1, 0],
        [0, 1, 1],
        [1, 1, 2],
    ]  # a day is a basket
    assert data.events[schema.TIME].iloc[0] == data.events[schema.TIME].iloc[1] == pd.Timestamp("2017-03-02 10:00")
    assert data.events[schema.QUANTITY].tolist() == [1, 1, 1, 1]


def test_a_dataset_written_as_tables_comes_back(tmp_path: Path, tiny_dataset: Dataset) -> None:
    events = tiny_dataset.events.sample(frac=1, random_state=3)
    events = events.assign(
        user_id=tiny_dataset.users[schema.USER].to_numpy()[events[schema.EVENT_USER]],
        item_id=tiny_dataset.items[schema.ITEM].to_numpy()[events[schema.EVENT_ITEM]],
    ).drop(columns=["user", "item"])
    queries = tiny_dataset.queries.assign(item_id=tiny_dataset.items[schema.ITEM].to_numpy()[tiny_dataset.queries["item"]])
    for ending in ("csv", "parquet"):
        folder = tmp_path / ending / "tiny"
        folder.mkdir(parents=True)
        for name, frame in {
            "items": tiny_dataset.items,
            "users": tiny_dataset.users,
            "events": events,
            "queries": queries.drop(columns="item"),
        }.items():
            if ending == "csv":
                frame.to_csv(folder / f"{name}.csv", index=False)
            else:
                frame.to_parquet(folder / f"{name}.parquet", index=False)
        again = load(settings(folder))
        for table in schema.TABLES:
            pd.testing.assert_frame_equal(getattr(again, table), getattr(tiny_dataset, table))


def test_lines_of_a_basket_are_added_up_and_money_filled_in(tmp_path: Path) -> None:
    items = "item_id,title,price\nm,Milk,2.50\n"
    events = "user_id,item_id,time,step,quantity,paid\nu,m,2017-01-02,7,2,4.00\nu,m,2017-01-02,7,1,\nu,m,2017-01-09,8,3,\n"
    data = load(settings(write(tmp_path, items=items, events=events)))
    assert data.events[schema.QUANTITY].tolist() == [3, 3]
    assert data.events[schema.PAID].tolist() == [4.0, 7.5]
    assert data.events[schema.COUPON].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("files", "where"),
    [
        ({"events": EVENTS}, r"items\.csv or items\.parquet is missing"),
        ({"items": ITEMS}, r"events\.csv or events\.parquet is missing"),
        ({"items": "", "events": EVENTS}, r"is empty \(items\.csv\)"),
        ({"items": "item_id\nb\n", "events": EVENTS}, r"'title' is missing \(items\.csv\).*item_id"),
        ({"items": "item_id,title\n", "events": EVENTS}, r"no rows \(items\.csv\)"),
        ({"items": ITEMS + "x,\n", "events": EVENTS}, r"items\.csv, row 4, column 'title'"),
        ({"items": ITEMS + "b,Buns\n", "events": EVENTS}, r"'b' stands twice \(items\.csv, row 4, column 'item_id'\)"),
        ({"items": ITEMS + "y,Y," + "z,z\n", "events": EVENTS}, r"no valid CSV.*\(items\.csv\)"),
        (
            {"items": "item_id,title,price\nb,Bread,cheap\nm,Milk,2\n", "events": EVENTS},
            r"'cheap'.*items\.csv, row 1, column 'price'",
        ),
        ({"items": "item_id,title,price\nb,Bread,-2\nm,Milk,2\n", "events": EVENTS}, r"'-2'.*items\.csv, row 1, column 'price'"),
        (
            {"items": ITEMS, "events": EVENTS + "u1,zz,2017-03-02\n"},
            r"'zz' is not in items\.csv \(events\.csv, row 5, column 'item_id'\)",
        ),
        ({"items": ITEMS, "events": EVENTS + "u1,m,yesterday\n"}, r"'yesterday'.*events\.csv, row 5, column 'time'"),
        ({"items": ITEMS, "events": EVENTS + ",m,2017-01-01\n"}, r"events\.csv, row 5, column 'user_id'"),
        ({"items": ITEMS, "events": EVENTS, "users": "user_id\nu1\n"}, r"user 'u2' .*users\.csv"),
        ({"items": ITEMS, "events": EVENTS, "queries": "query,item_id\nmilk,q\n"}, r"queries\.csv, row 1, column 'item_id'"),
        (
            {"items": ITEMS, "events": EVENTS, "queries": "query,item_id,synthetic\nmilk,m,perhaps\n"},
            r"'perhaps'.*queries\.csv, row 1, column 'synthetic'",
        ),
        ({"items": ITEMS.replace("Tea", "T" * 3000), "events": EVENTS}, r"longer than.*items\.csv, row 3, column 'title'"),
    ],
)
def test_faults_name_file_row_and_column(tmp_path: Path, files: dict[str, str], where: str) -> None:
    with pytest.raises(TableError, match=where):
        load(settings(write(tmp_path, **files)))


def test_other_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TableError, match="no folder"):
        load(DataSettings(source="tables"))
    with pytest.raises(TableError, match="no such folder"):
        load(settings(tmp_path / "nowhere"))
    write(tmp_path, items=ITEMS, events=EVENTS)
    with pytest.raises(TableError, match=r"20 users or more \(the most is 2\)"):
        load(settings(tmp_path, min_users=20))
    (tmp_path / "users.parquet").write_bytes(b"no parquet")
    with pytest.raises(TableError, match=r"no valid parquet.*users\.parquet"):
        load(settings(tmp_path))
    (tmp_path / "users.parquet").unlink()
    (tmp_path / "items.csv").write_bytes(b"item_id,title\nb,\xff\xfe\n")
    with pytest.raises(TableError, match="not UTF-8"):
        load(settings(tmp_path))
    pd.DataFrame({"item_id": ["b"], "title": ["Bread"]}).to_parquet(tmp_path / "items.parquet")
    with pytest.raises(TableError, match=r"both items\.csv and items\.parquet"):
        load(settings(tmp_path))


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, items=ITEMS, events=EVENTS)
    monkeypatch.setitem(tables.MAX_ROWS, "events", 3)
    with pytest.raises(TableError, match=r"more than 3 rows.*events\.csv"):
        load(settings(tmp_path))
    (tmp_path / "events.csv").unlink()
    pd.DataFrame({"user_id": ["u"] * 9, "item_id": ["m"] * 9, "time": ["2017-01-01"] * 9}).to_parquet(tmp_path / "events.parquet")
    with pytest.raises(TableError, match=r"9 rows.*events\.parquet"):
        load(settings(tmp_path))
    monkeypatch.setattr(tables, "MAX_BYTES", 10)
    with pytest.raises(TableError, match=r"larger than.*items\.csv"):
        load(settings(tmp_path))
