"""Pairwise votes of the people who use the app: written down, taken back, exported, imported, and made into pairs for PSJ-B.

- A vote says which of two items suits a household better, or that neither does (a skip is no vote). It is stored in the project's database,
  the household as a salted hash; who voted is not stored at all.
- What the judge said is shown after voting and is no part of the vote: a vote is about items.
- An export is JSON lines; it holds the hashes, so it means something beside the database alone that made them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from backend.data import schema as c
from backend.data.schema import Dataset
from backend.data.split import START, baskets
from backend.errors import RequestError
from backend.judge.aspects import ASPECTS, Judge, Situations
from backend.judge.evidence import USER_FACTS, Evidence
from backend.judge.weights import Pairs
from backend.storage import Store
from backend.storage.store import MAX_JSON, MAX_VOTES

MAX_IMPORT = 64 << 20  # bytes of an import


class _Line(BaseModel):
    """One line of an export."""

    model_config = ConfigDict(extra="forbid")

    shopper: str = Field(pattern=r"^[0-9a-f]{32}$")
    item_a: str = Field(min_length=1, max_length=200)
    item_b: str = Field(min_length=1, max_length=200)
    winner: str | None = Field(max_length=200)
    context: dict[str, Any]
    created: str = Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")

    @model_validator(mode="after")
    def _two_items(self) -> _Line:
        if self.item_a == self.item_b or self.winner not in (self.item_a, self.item_b, None):
            raise ValueError("a vote is between two items, for one of them or neither")
        return self


def vote(
    store: Store, dataset: Dataset, user: int, first: int, second: int, winner: int | None, context: Mapping[str, Any]
) -> int:
    """Write down a vote between two item rows for a household's row; returns its id, for `Store.undo_vote`.

    Raises:
        StorageError: the winner is neither item, or the database refuses.
    """
    ids = dataset.items[c.ITEM]
    chosen = None if winner is None else str(ids.iloc[winner])
    return store.add_vote(str(dataset.users[c.USER].iloc[user]), str(ids.iloc[first]), str(ids.iloc[second]), chosen, context)


def export_votes(store: Store) -> str:
    """All votes as JSON lines, oldest first."""
    rows = store.votes().drop(columns="id").to_dict("records")
    return "".join(
        json.dumps(
            {**row, "winner": row["winner"] if isinstance(row["winner"], str) else None, "context": json.loads(row["context"])}
        )
        + "\n"
        for row in rows
    )


def import_votes(store: Store, text: str) -> int:
    """Take votes of an export in; those that are there already are left out. How many were new; all of them or none.

    Raises:
        RequestError: too large, or a line that is no vote; names the line.
        StorageError: the database refuses.
    """
    lines = text.splitlines()
    if len(text.encode()) > MAX_IMPORT or len(lines) > MAX_VOTES:
        raise RequestError("the file of votes is too large", mend=f"it may hold {MAX_VOTES:,} lines")
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = _Line.model_validate_json(line).model_dump()
        except (ValidationError, RecursionError) as error:
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else "too deep"
            raise RequestError(f"this is no vote: {reason}", f"line {number}", "bring a file that was exported here") from error
        context = json.dumps(row["context"], sort_keys=True)
        if len(context) > MAX_JSON:
            raise RequestError("a vote's context is too long", f"line {number}", f"keep it under {MAX_JSON:,} characters")
        rows.append({**row, "context": context})
    return store.restore_votes(rows)


def voted_pairs(store: Store, dataset: Dataset, judge: Judge, evidence: Evidence) -> Pairs:
    """Votes as pairs, as of just before each household's latest basket; without votes for neither, and of households or items not here.

    One transaction a household to learn its hash: for training, not for a page.
    """
    votes = store.votes()
    votes = votes[votes["winner"].notna()]
    wanted = set(votes["shopper"])
    users = {}
    for row, name in enumerate(dataset.users[c.USER].tolist() if wanted else []):
        hashed = store.pseudonym(str(name))
        if hashed in wanted:
            users[hashed] = row
    items = {name: row for row, name in enumerate(dataset.items[c.ITEM].tolist())}
    situations, latest = Situations(dataset), baskets(dataset).groupby(c.EVENT_USER)[START].last()
    better, worse, about, user = [], [], [], []
    for shopper, winner, a, b in zip(*(votes[name].tolist() for name in ("shopper", "winner", "item_a", "item_b")), strict=True):
        loser = b if winner == a else a
        if shopper not in users or winner not in items or loser not in items:
            continue
        own = users[shopper]
        if own not in latest.index:
            continue  # never bought anything
        situation = situations.before(own, int(latest[own]))
        said = np.nan_to_num(judge.judge(situation, np.array([items[winner], items[loser]])).expected)
        better.append(said[0])
        worse.append(said[1])
        about.append(evidence.user_facts(situation))
        user.append(own)
    n = len(user)
    levels = [np.array(rows, float).reshape(n, len(ASPECTS)) for rows in (better, worse)]
    return Pairs(levels[0], levels[1], np.array(about, float).reshape(n, len(USER_FACTS)), np.array(user, np.int64))
