"""Tables and their migrations.

- `STEPS` are the ordered upgrade steps; the schema's version is how many of them a database has had. A step is never changed
  once it was released: what comes later is a new step, so that a database of any age becomes today's.
- The tables below are today's, for queries; the steps make them.
- One transaction a migration, begun as a writer: of two programs that open an old database at once, one migrates and the other
  finds it done.
"""

from __future__ import annotations

from collections.abc import Callable
from secrets import token_hex

from sqlalchemy import Column, Connection, Index, Integer, MetaData, String, Table, Text, func, inspect, select

from backend.errors import StorageError

metadata = MetaData()
NAME, KIND, TASK, DATE = String(80), String(40), String(40), String(20)

version = Table("sigmascope_version", metadata, Column("version", Integer, nullable=False))
preset = Table(
    "preset", metadata, Column("kind", KIND, primary_key=True), Column("name", NAME, primary_key=True),
    Column("task", TASK, primary_key=True), Column("settings", Text, nullable=False), Column("created", DATE, nullable=False),
)  # fmt: skip
selection = Table(
    "selection", metadata, Column("name", NAME, primary_key=True), Column("space", KIND, nullable=False),
    Column("item_ids", Text, nullable=False), Column("created", DATE, nullable=False),
)  # fmt: skip
vote = Table(
    "vote", metadata, Column("id", Integer, primary_key=True, autoincrement=True), Column("shopper", String(32), nullable=False),
    Column("item_a", String(200), nullable=False), Column("item_b", String(200), nullable=False), Column("winner", String(200)),
    Column("context", Text, nullable=False), Column("created", DATE, nullable=False), Index("vote_by_shopper", "shopper"),
    sqlite_autoincrement=True,  # the id of a vote that was taken back is not given again
)  # fmt: skip
secret = Table("secret", metadata, Column("name", KIND, primary_key=True), Column("value", String(64), nullable=False))


def _presets_and_selections(connection: Connection) -> None:
    metadata.create_all(connection, tables=[preset, selection])


def _votes(connection: Connection) -> None:
    metadata.create_all(connection, tables=[vote, secret])
    connection.execute(secret.insert().values(name="salt", value=token_hex(32)))  # shoppers are kept as salted hashes


STEPS: tuple[Callable[[Connection], None], ...] = (_presets_and_selections, _votes)
CURRENT = len(STEPS)


def version_of(connection: Connection) -> int:
    """How many steps a database has had; 0 = it is empty."""
    if not inspect(connection).has_table(version.name):
        return 0
    return int(connection.execute(select(func.max(version.c.version))).scalar() or 0)


def migrate(connection: Connection, steps: tuple[Callable[[Connection], None], ...] = STEPS) -> int:
    """Bring a database up to date inside the caller's transaction; returns its version before.

    Raises:
        StorageError: it was written by a newer program.
    """
    before = version_of(connection)
    if before > len(steps):
        raise StorageError(
            f"the database was written by a newer version of the program (schema {before}, this one knows {len(steps)})",
            mend="update Sigmascope, or name another database in SIGMASCOPE_DATABASE",
        )
    if before < len(steps):
        version.create(connection, checkfirst=True)
        for step in steps[before:]:
            step(connection)
        connection.execute(version.delete())
        connection.execute(version.insert().values(version=len(steps)))
    return before
