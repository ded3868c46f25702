"""What people keep: round trips, limits, two processes at once, old, newer, damaged and unreachable databases."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from backend.errors import StorageError
from backend.storage import Store, open_store, schema
from backend.storage import store as module
from backend.storage.engine import connect, database_url, transaction
from tests.storage.writers import write_at_once

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "kept.sqlite"


@pytest.fixture
def url(file: Path) -> str:
    return f"sqlite:///{file}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url)
    yield opened
    opened.close()


def test_presets(store: Store, url: str) -> None:
    assert list(store.presets("fusion").columns) == ["name", "task", "settings", "created"]
    store.save_preset("fusion", "novel", "", {"tau": 0.2, "apf": True})
    store.save_preset("fusion", " novel ", "", {"tau": 0.5})  # the newest counts
    store.save_preset("fusion", "novel", "Category", {"tau": 0.7})
    store.save_preset("map", "novel", "", {"seed": 1})
    found = open_store(url).presets("fusion")
    assert found[["name", "task"]].to_numpy().tolist() == [["novel", ""], ["novel", "Category"]]
    assert json.loads(found["settings"].iat[0]) == {"tau": 0.5}
    assert store.delete_preset("fusion", "novel", "Category")
    assert not store.delete_preset("fusion", "novel", "Category")
    assert len(store.presets("fusion")) == len(store.presets("map")) == 1


def test_selections(store: Store) -> None:
    assert store.selections().empty
    store.save_selection("Robert'); DROP TABLE preset;--", ["i2", "i1", "i2"], "grounded")
    store.save_selection("Ägypten", [f"i{n}" for n in range(1000)], "text")
    found = store.selections().set_index("name")
    assert found.loc["Robert'); DROP TABLE preset;--", "item_ids"] == ["i2", "i1"]
    assert found["n_items"].tolist() == [2, 1000]
    assert store.delete_selection("Ägypten")
    assert len(store.selections()) == 1


def test_votes_do_not_tell_who(store: Store, file: Path, tmp_path: Path) -> None:
    first = store.add_vote("household-1887", "i1", "i2", "i2", {"instruction": "milk"})
    second = store.add_vote("household-1887", "i1", "i3", None, {})
    store.add_vote("household-1889", "i1", "i3", "i1", {})
    votes = store.votes()
    assert votes["shopper"].nunique() == 2
    assert votes["shopper"].iat[0] == store.pseudonym("household-1887")
    assert votes["winner"].isna().tolist() == [False, True, False]
    assert all(b"household-188" not in path.read_bytes() for path in file.parent.iterdir())
    assert open_store(f"sqlite:///{tmp_path}/other.sqlite").pseudonym("household-1887") != store.pseudonym("household-1887")
    assert store.undo_vote(second)
    assert not store.undo_vote(second)
    assert store.votes()["id"].tolist() == [first, second + 1]
    assert store.undo_vote(second + 1)
    assert store.add_vote("7", "i1", "i2", "i1", {}) == second + 2  # an id is not given twice


def test_limits(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for bad in ("", "  ", "x" * 81, "two\nlines"):
        with pytest.raises(StorageError, match="name cannot be used"):
            store.save_preset("fusion", bad, "", {})
    with pytest.raises(StorageError, match="too long"):
        store.save_preset("fusion", "big", "", {"text": "x" * 20_000})
    with pytest.raises(StorageError, match="as JSON"):
        store.save_preset("fusion", "nan", "", {"tau": float("nan")})
    with pytest.raises(StorageError, match="empty selection"):
        store.save_selection("none", [], "text")
    with pytest.raises(StorageError, match="none of the two"):
        store.add_vote("7", "i1", "i2", "i3", {})
    monkeypatch.setattr(module, "MAX_PRESETS", 2)
    for name in ("a", "b", "b"):
        store.save_preset("fusion", name, "", {})
    with pytest.raises(StorageError, match="2 presets already"):
        store.save_preset("fusion", "c", "", {})
    assert store.presets("fusion")["name"].tolist() == ["a", "b"]


def test_two_processes_write_at_once(url: str) -> None:
    """Both also open a database that is not there yet: one makes it, the other finds it made."""
    write_at_once(url, 40)
    store = open_store(url)
    assert len(store.presets("fusion")) == 81
    assert store.votes()["id"].tolist() == list(range(1, 81))
    with transaction(store._engine) as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_an_old_database_is_brought_up_to_date(url: str) -> None:
    engine = connect(database_url(url))
    with transaction(engine, writes=True) as connection:  # as version 1 left it
        schema.migrate(connection, schema.STEPS[:1])
        connection.execute(schema.preset.insert().values(kind="fusion", name="old", task="", settings="{}", created="2026"))
        assert schema.version_of(connection) == 1
    store = open_store(url)
    assert store.presets("fusion")["name"].tolist() == ["old"]
    assert store.add_vote("7", "i1", "i2", "i1", {}) == 1
    with transaction(engine) as connection:
        assert schema.version_of(connection) == schema.CURRENT


def test_a_migration_that_fails_changes_nothing(url: str) -> None:
    engine = connect(database_url(url))

    def broken(connection: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), transaction(engine, writes=True) as connection:
        schema.migrate(connection, (*schema.STEPS, broken))
    with transaction(engine) as connection:
        assert schema.version_of(connection) == 0
    assert open_store(url).presets("fusion").empty


def test_a_newer_database_is_left_alone(store: Store, url: str) -> None:
    with transaction(store._engine, writes=True) as connection:
        connection.execute(schema.version.update().values(version=99))
    with pytest.raises(StorageError, match="newer version"):
        open_store(url)


def test_a_damaged_file(file: Path, url: str) -> None:
    file.parent.mkdir()
    file.write_bytes(b"this was never a database" * 400)
    with pytest.raises(StorageError, match="damaged") as caught:
        open_store(url)
    assert str(file) in caught.value.where
    assert file.read_bytes().startswith(b"this was")  # never overwritten


def test_what_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="folder"):
        open_store(f"sqlite:///{tmp_path}/file/kept.sqlite")
    with pytest.raises(StorageError, match="cannot be reached"):
        open_store(f"sqlite:///{tmp_path}")  # a folder is no file
    with pytest.raises(StorageError, match="no database URL"):
        open_store("my database")
    with pytest.raises(StorageError, match="driver") as caught:
        open_store("oracle://me:secret@host/db")
    assert "secret" not in str(caught.value)
    monkeypatch.setenv("SIGMASCOPE_DATABASE", f"sqlite:///{tmp_path}/named.sqlite")
    assert open_store().place.endswith("named.sqlite")


def test_a_database_that_can_only_be_read(store: Store, file: Path) -> None:
    store.save_preset("fusion", "kept", "", {})
    store.close()
    locked = Store(f"sqlite:///file:{file}?mode=ro&uri=true")
    assert locked.presets("fusion")["name"].tolist() == ["kept"]
    with pytest.raises(StorageError, match="only be read"):
        locked.save_preset("fusion", "more", "", {})


def test_a_busy_database(store: Store, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.storage.engine.WAIT_S", 0.05)
    impatient = open_store(f"sqlite:///{file}")
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert impatient.presets("fusion").empty  # reading goes on
    with pytest.raises(StorageError, match="busy"):
        impatient.save_preset("fusion", "x", "", {})
    other.close()


@pytest.mark.parametrize("table", schema.metadata.sorted_tables, ids=lambda table: table.name)
def test_the_tables_fit_postgresql(table: object) -> None:
    assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=postgresql.dialect()))  # type: ignore[arg-type]
