"""The connection: where the database is, how SQLite is made safe for several sessions, and what an error means for the user.

- SQLite runs in WAL mode (readers do not wait for a writer). A transaction that will write says so when it begins; one that
  turned writer half-way could not wait for another writer, only fail.
- PostgreSQL is told the same by an advisory lock: writers come one after another, so that two who replace one name, or migrate one
  old database, do not meet. What is written here is small and seldom.
- Passwords of a URL are never shown.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import platformdirs
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError, SQLAlchemyError

from backend.errors import StorageError

DATABASE_VARIABLE = "SIGMASCOPE_DATABASE"
WAIT_S = 15.0  # for another writer
_WRITES = {"sigmascope_writes": True}
_LOCK = 0x5167A  # number of the advisory lock, this program's own


def database_url(url: str | None = None) -> URL:
    """The database: the given URL, else that of the environment, else a file in the user's data folder.

    Raises:
        StorageError: this is no URL, or the folder cannot be made.
    """
    named = url or os.environ.get(DATABASE_VARIABLE)
    try:
        found = make_url(named) if named else URL.create("sqlite", database=str(_default_file()))
    except ArgumentError as error:
        mend = "write it like sqlite:////folder/file.sqlite or postgresql+psycopg://user:password@host/name"
        raise StorageError("this is no database URL", DATABASE_VARIABLE, mend) from error
    if found.get_backend_name() == "sqlite" and found.database and not found.database.startswith("file:"):
        folder = Path(found.database).expanduser().absolute().parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            mend = f"choose another file in {DATABASE_VARIABLE}"
            raise StorageError(f"the folder of the database cannot be made: {error.strerror}", str(folder), mend) from error
    return found


def _default_file() -> Path:
    return Path(platformdirs.user_data_dir("sigmascope")) / "sigmascope.sqlite"


def connect(url: URL) -> Engine:
    """An engine for the URL; nothing is connected yet.

    Raises:
        StorageError: no driver for this kind of database.
    """
    sqlite = url.get_backend_name() == "sqlite"
    arguments: dict[str, Any] = {"connect_args": {"timeout": WAIT_S}} if sqlite else {"pool_pre_ping": True}
    try:
        engine = create_engine(url, **arguments)
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise StorageError(f"there is no driver for {url.drivername}", shown(url), "install it with pip") from error
    if sqlite:
        event.listen(engine, "connect", _plain_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    elif url.get_backend_name() == "postgresql":
        event.listen(engine, "begin", _begin_postgresql)
    return engine


def _plain_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # the driver begins no transactions by itself; `_begin_sqlite` does
    until = time.monotonic() + WAIT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")  # kept in the file; a no-op from the second time on
            break
        except sqlite3.OperationalError as error:  # SQLite does not wait here, whatever its timeout
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.02)
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if _writes(connection) else "BEGIN")


def _begin_postgresql(connection: Connection) -> None:
    if _writes(connection):
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{int(1000 * WAIT_S)}ms'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")


def _writes(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get("sigmascope_writes"))


@contextmanager
def transaction(engine: Engine, writes: bool = False) -> Iterator[Connection]:
    """A transaction whose errors are a user's.

    Raises:
        StorageError: the database cannot be reached, is damaged, read-only, full, or busy for too long.
    """
    try:
        with (engine.execution_options(**_WRITES) if writes else engine).begin() as connection:
            yield connection
    except SQLAlchemyError as error:
        raise explained(error, engine.url) from error


def explained(error: SQLAlchemyError, url: URL) -> StorageError:
    """What a database's error means."""
    text, where = str(getattr(error, "orig", None) or error).strip().splitlines()[0].casefold(), shown(url)
    if any(sign in text for sign in ("not a database", "malformed", "disk image", "encrypted")):
        return StorageError("the database is damaged", where, "move the file away and a new one is made, or restore a copy")
    if "readonly" in text or "read-only" in text or "permission denied" in text:
        return StorageError("the database can only be read", where, f"allow writing, or choose another in {DATABASE_VARIABLE}")
    if "locked" in text or "busy" in text or "lock timeout" in text:
        return StorageError("the database is busy", where, "another program is writing to it; try again")
    if "full" in text:
        return StorageError("there is no room left for the database", where, "free some space")
    if isinstance(error, OperationalError) or (isinstance(error, DBAPIError) and error.connection_invalidated):
        return StorageError("the database cannot be reached", where, f"check that it runs and {DATABASE_VARIABLE} is right")
    return StorageError(f"the database refused: {text[:200]}", where, "see its log")


def shown(url: URL) -> str:
    """A URL for the eye, without its password."""
    return url.render_as_string(hide_password=True)
