"""The store in a real PostgreSQL: the same answers as from SQLite, two writers at once, migrations, errors. Skips where there is no server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url

from backend.errors import StorageError
from backend.storage import open_store, schema
from backend.storage.engine import connect, database_url, transaction
from tests.storage.server import missing, postgresql
from tests.storage.writers import write_at_once

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))
Fresh = Callable[[], str]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.fixture(scope="module")
def fresh(server: str) -> Fresh:
    """Make an empty database, give its URL."""
    numbers = count()

    def make() -> str:
        name = f"kept{next(numbers)}"
        engine = create_engine(server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        return make_url(server).set(database=name).render_as_string(hide_password=False)

    return make


def test_everything_comes_back(fresh: Fresh) -> None:
    url = fresh()
    store = open_store(url)
    store.save_preset("fusion", "novel", "", {"tau": 0.2})
    store.save_preset("fusion", "novel", "", {"tau": 0.5})  # the newest counts
    store.save_preset("fusion", "novel", "Category", {"tau": 0.7})
    store.save_selection("Ägypten'); DROP TABLE preset;--", ["i2", "i1", "i2"], "grounded")
    first = store.add_vote("household-1887", "i1", "i2", "i2", {"instruction": "milk"})
    second = store.add_vote("household-1887", "i1", "i3", None, {})
    assert store.undo_vote(second)
    again = open_store(url)
    presets = again.presets("fusion")
    assert presets[["name", "task"]].to_numpy().tolist() == [["novel", ""], ["novel", "Category"]]
    assert json.loads(presets["settings"].iat[0]) == {"tau": 0.5}
    assert again.selections()["item_ids"].iat[0] == ["i2", "i1"]
    assert again.votes()[["id", "shopper"]].to_numpy().tolist() == [[first, store.pseudonym("household-1887")]]
    assert again.add_vote("7", "i1", "i2", "i1", {}) > second  # an id is not given twice
    assert again.delete_preset("fusion", "novel", "Category")
    assert again.delete_selection("Ägypten'); DROP TABLE preset;--")
    assert not again.delete_selection("Ägypten'); DROP TABLE preset;--")


def test_two_processes_open_and_write_at_once(fresh: Fresh) -> None:
    """Neither finds the tables: one makes them, the other waits; both write the same name over and over."""
    url = fresh()
    write_at_once(url, 15)
    store = open_store(url)
    assert len(store.presets("fusion")) == 31
    assert len(store.votes()) == 30


def test_migrations(fresh: Fresh) -> None:
    engine = connect(database_url(fresh()))
    with transaction(engine, writes=True) as connection:  # as version 1 left it
        schema.migrate(connection, schema.STEPS[:1])
        connection.execute(schema.preset.insert().values(kind="fusion", name="old", task="", settings="{}", created="2026"))

    def broken(connection: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), transaction(engine, writes=True) as connection:
        schema.migrate(connection, (*schema.STEPS, broken))
    with transaction(engine) as connection:  # all of it was taken back, tables too
        assert schema.version_of(connection) == 1
    store = open_store(engine.url.render_as_string(hide_password=False))
    assert store.presets("fusion")["name"].tolist() == ["old"]
    assert store.add_vote("7", "i1", "i2", "i1", {}) == 1
    with transaction(engine, writes=True) as connection:
        assert schema.version_of(connection) == schema.CURRENT
        connection.execute(schema.version.update().values(version=99))
    with pytest.raises(StorageError, match="newer version"):
        open_store(engine.url.render_as_string(hide_password=False))


def test_a_busy_database(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    url = fresh()
    store = open_store(url)
    monkeypatch.setattr("backend.storage.engine.WAIT_S", 0.1)
    with transaction(connect(database_url(url)), writes=True):
        assert store.presets("fusion").empty  # reading goes on
        with pytest.raises(StorageError, match="busy"):
            store.save_preset("fusion", "x", "", {})
    store.save_preset("fusion", "x", "", {})


def test_errors_are_a_users(fresh: Fresh) -> None:
    url = make_url(fresh())
    open_store(str(url)).save_preset("fusion", "kept", "", {})
    with pytest.raises(StorageError, match="cannot be reached") as caught:
        open_store(url.set(database="nowhere", password="secret").render_as_string(hide_password=False))
    assert "secret" not in str(caught.value)
    with pytest.raises(StorageError, match="cannot be reached"):
        open_store("postgresql+psycopg://me@127.0.0.1:1/none?connect_timeout=2")
    reader = open_store(url.update_query_dict({"options": "-c default_transaction_read_only=on"}).render_as_string())
    assert reader.presets("fusion")["name"].tolist() == ["kept"]
    with pytest.raises(StorageError, match="only be read"):
        reader.save_preset("fusion", "more", "", {})
