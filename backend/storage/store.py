"""The store: presets, selections and votes as frames in, frames out.

- A name that exists is replaced: the newest one counts.
- A shopper's id is never written down: votes hold a salted hash, and the salt stays in the database.
- Everything is bounded, so that a page open to others cannot fill a disk.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from sqlalchemy import Connection, Select, Table, and_, func, select

from backend.errors import StorageError
from backend.storage import schema
from backend.storage.engine import connect, database_url, shown, transaction

MAX_NAME = 80
MAX_PRESETS = 500  # of one kind
MAX_SELECTIONS, MAX_SELECTED = 200, 100_000
MAX_VOTES = 200_000
MAX_JSON = 20_000  # characters of a preset's settings or a vote's context
_KIND = re.compile(r"[a-z][a-z0-9_-]{0,39}")


class Store:
    """A database of what people keep. Safe to share between threads and, through the database, between processes.

    Args:
        url: see `database_url`.

    Raises:
        StorageError: it cannot be opened or brought up to date.
    """

    def __init__(self, url: str | None = None) -> None:
        self.url = database_url(url)
        self._engine = connect(self.url)
        with transaction(self._engine) as connection:
            current = schema.version_of(connection)
        if current != schema.CURRENT:  # a reader must not need the right to write
            with transaction(self._engine, writes=True) as connection:
                schema.migrate(connection)

    def close(self) -> None:
        """Let go of the connections."""
        self._engine.dispose()

    @property
    def place(self) -> str:
        """Where things are kept, without a password."""
        return shown(self.url)

    # presets ---------------------------------------------------------------------------------------------------------

    def presets(self, kind: str) -> pd.DataFrame:
        """Saved settings of a kind: name · task · settings (JSON text) · created, by name."""
        own = schema.preset.c
        return self._frame(
            select(own.name, own.task, own.settings, own.created).where(own.kind == kind).order_by(own.name, own.task)
        )

    def save_preset(self, kind: str, name: str, task: str, settings: Mapping[str, Any]) -> None:
        """Save settings under a name, for one task ("" = all); what had this name and task is replaced.

        Raises:
            StorageError: a name or settings beyond the limits, or too many presets.
        """
        own, row = schema.preset.c, {"kind": _kind(kind), "name": _name(name), "task": _short(task, "task")}
        with transaction(self._engine, writes=True) as connection:
            connection.execute(
                schema.preset.delete().where(and_(own.kind == kind, own.name == row["name"], own.task == row["task"]))
            )
            _room(connection, schema.preset, MAX_PRESETS, "presets", own.kind == kind)
            connection.execute(schema.preset.insert().values(**row, settings=_json(settings, "settings"), created=_now()))

    def delete_preset(self, kind: str, name: str, task: str) -> bool:
        """Delete a preset; whether there was one."""
        own = schema.preset.c
        return self._delete(schema.preset, and_(own.kind == kind, own.name == name.strip(), own.task == task.strip()))

    # selections ------------------------------------------------------------------------------------------------------

    def save_selection(self, name: str, item_ids: Sequence[str], space: str) -> None:
        """Save a set of items under a name, with the space in which it was chosen; the name's former set is replaced.

        Raises:
            StorageError: a name or set beyond the limits, or too many selections.
        """
        ids = [str(item) for item in dict.fromkeys(item_ids)]
        if not ids:
            raise StorageError("an empty selection cannot be saved", name[:MAX_NAME], "choose some items first")
        if len(ids) > MAX_SELECTED:
            raise StorageError("the selection is too large", f"{len(ids):,} items", f"choose at most {MAX_SELECTED:,}")
        row = {"name": _name(name), "space": _short(space, "space"), "item_ids": json.dumps(ids), "created": _now()}
        with transaction(self._engine, writes=True) as connection:
            connection.execute(schema.selection.delete().where(schema.selection.c.name == row["name"]))
            _room(connection, schema.selection, MAX_SELECTIONS, "selections")
            connection.execute(schema.selection.insert().values(**row))

    def selections(self) -> pd.DataFrame:
        """Saved sets: name · space · item_ids (list of ids) · n_items · created, by name."""
        own = schema.selection.c
        frame = self._frame(select(own.name, own.space, own.item_ids, own.created).order_by(own.name))
        lists = [list(map(str, json.loads(text))) for text in frame["item_ids"]]
        frame["item_ids"] = pd.Series(lists, index=frame.index, dtype=object)
        frame.insert(3, "n_items", [len(ids) for ids in lists])
        return frame

    def delete_selection(self, name: str) -> bool:
        """Delete a selection; whether there was one."""
        return self._delete(schema.selection, schema.selection.c.name == name.strip())

    # votes -----------------------------------------------------------------------------------------------------------

    def pseudonym(self, shopper: str) -> str:
        """What stands for a shopper in `votes`: a salted hash that this database alone can make. 32 hex digits."""
        with transaction(self._engine) as connection:
            return _pseudonym(connection, shopper)

    def add_vote(self, shopper: str, item_a: str, item_b: str, winner: str | None, context: Mapping[str, Any]) -> int:
        """Write down which of two items fits a shopper better; returns the vote's id.

        Args:
            shopper: the shopper's id; only its salted hash is kept.
            winner: one of the two items; None = neither.
            context: what was asked, where: anything JSON holds. It must not name the shopper.

        Raises:
            StorageError: the winner is neither item, the context is too long, or there are too many votes.
        """
        if winner is not None and winner not in (item_a, item_b):
            raise StorageError(
                "the winner is none of the two items", str(winner)[:MAX_NAME], "vote for one of them, or for neither"
            )
        if item_a == item_b:
            raise StorageError("an item cannot be compared with itself", item_a[:MAX_NAME], "show two different ones")
        row = {"item_a": item_a, "item_b": item_b, "winner": winner, "context": _json(context, "context"), "created": _now()}
        with transaction(self._engine, writes=True) as connection:
            _room(connection, schema.vote, MAX_VOTES, "votes")
            row["shopper"] = _pseudonym(connection, shopper)
            return int(connection.execute(schema.vote.insert().returning(schema.vote.c.id), row).scalar_one())

    def votes(self) -> pd.DataFrame:
        """All votes, oldest first: id · shopper (hash) · item_a · item_b · winner (None = neither) · context (JSON text) · created."""
        return self._frame(select(schema.vote).order_by(schema.vote.c.id))

    def vote_counts(self) -> tuple[int, int, int]:
        """How many votes there are, how many of them are for one of the two items, and of how many households."""
        own = schema.vote.c
        with transaction(self._engine) as connection:
            row = connection.execute(select(func.count(), func.count(own.winner), func.count(own.shopper.distinct()))).one()
        return int(row[0]), int(row[1]), int(row[2])

    def undo_vote(self, vote: int) -> bool:
        """Take a vote back; whether there was one with this id."""
        return self._delete(schema.vote, schema.vote.c.id == vote)

    def restore_votes(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Write votes back as `votes` gave them, hashes as they are; those that are there already are left out. How many were written.

        Raises:
            StorageError: there would be too many votes.
        """
        fields = ("shopper", "item_a", "item_b", "winner", "context", "created")
        with transaction(self._engine, writes=True) as connection:
            known = {tuple(row) for row in connection.execute(select(*(schema.vote.c[name] for name in fields)))}
            new = [dict(zip(fields, row, strict=True)) for row in dict.fromkeys(tuple(row[name] for name in fields) for row in rows)
                   if row not in known]  # fmt: skip
            if len(known) + len(new) > MAX_VOTES:
                raise StorageError(f"there would be more than {MAX_VOTES:,} votes", mend="delete some first")
            if new:
                connection.execute(schema.vote.insert(), new)
        return len(new)

    # parts -----------------------------------------------------------------------------------------------------------

    def _frame(self, query: Select[Any]) -> pd.DataFrame:
        with transaction(self._engine) as connection:
            found = connection.execute(query)
            return pd.DataFrame([tuple(row) for row in found], columns=list(found.keys()))

    def _delete(self, table: Table, which: Any) -> bool:
        with transaction(self._engine, writes=True) as connection:
            return bool(connection.execute(table.delete().where(which)).rowcount)


def open_store(url: str | None = None) -> Store:
    """The store at a URL; None = that of SIGMASCOPE_DATABASE, else a file in the user's data folder.

    Raises:
        StorageError: it cannot be reached, is damaged, or newer than the program.
    """
    return Store(url)


def _pseudonym(connection: Connection, shopper: str) -> str:
    salt = connection.execute(select(schema.secret.c.value).where(schema.secret.c.name == "salt")).scalar_one()
    return hmac.new(bytes.fromhex(str(salt)), shopper.encode(), hashlib.sha256).hexdigest()[:32]


def _room(connection: Connection, table: Table, most: int, what: str, which: Any = None) -> None:
    query = select(func.count()).select_from(table)
    if connection.execute(query if which is None else query.where(which)).scalar_one() >= most:
        raise StorageError(f"there are {most:,} {what} already", mend="delete some first")


def _name(name: str) -> str:
    clean = name.strip()
    if not clean or len(clean) > MAX_NAME or not clean.isprintable():
        mend = f"use 1 to {MAX_NAME} printable characters"
        raise StorageError("this name cannot be used", clean[:MAX_NAME].encode("unicode_escape").decode(), mend)
    return clean


def _kind(kind: str) -> str:
    if not _KIND.fullmatch(kind):
        raise StorageError("this kind of preset cannot be used", kind[:MAX_NAME], "use small letters, digits, - and _")
    return kind


def _short(text: str, what: str) -> str:
    if len(text.strip()) > 40 or not text.isprintable():
        raise StorageError(f"this {what} cannot be used", text[:MAX_NAME], "use at most 40 printable characters")
    return text.strip()


def _json(value: Mapping[str, Any], what: str) -> str:
    try:
        text = json.dumps(dict(value), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise StorageError(f"the {what} cannot be written as JSON: {error}", mend="give plain numbers and texts") from error
    if len(text) > MAX_JSON:
        raise StorageError(f"the {what} are too long", f"{len(text):,} characters", f"keep them under {MAX_JSON:,}")
    return text


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
