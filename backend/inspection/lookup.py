"""Looking things up in the tables: shoppers, baskets, items, categories. What is used often is counted once.

Ids are texts from outside (pages, links, the command line); rows are ours. Unknown ids are a user's error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from backend.data import schema as s
from backend.errors import WorkspaceError
from backend.frames import records
from backend.generation.shopper import Shoppers


@dataclass(frozen=True)
class Basket:
    """One past basket: when, and the items in it (`item_id`, `title`, `category`, `price`, `quantity`)."""

    time: pd.Timestamp
    items: pd.DataFrame


@dataclass(frozen=True)
class Shopper:
    """A shopper: the sentence that the model reads, the attributes, the last baskets (newest first)."""

    user_id: str
    profile: str
    attributes: Mapping[str, str]
    n_baskets: int
    n_items: int
    baskets: Sequence[Basket] = ()


class Lookup:
    """Lookups over one dataset."""

    def __init__(self, dataset: s.Dataset) -> None:
        self.dataset = dataset

    @cached_property
    def people(self) -> Shoppers:
        """Ids → rows, requests → shoppers."""
        return Shoppers(self.dataset)

    def shoppers(self, search: str = "", limit: int | None = None) -> pd.DataFrame:
        """Shoppers whose id or profile holds every word of `search`: user_id · profile · n_baskets · n_items."""
        table = self._shopper_table
        for word in search.casefold().split():
            found = table["profile"].str.casefold().str.contains(word, regex=False)
            table = table[found | (table["user_id"].str.casefold() == word)]
        return table if limit is None else table.head(limit)

    def example_shopper(self) -> str:
        """The fixed example: of the shoppers with attributes, the one with the median number of baskets (first by id)."""
        table = self._shopper_table
        if table.empty:
            raise WorkspaceError("the workspace holds no shoppers", "users", "build it from a table with events")
        described = table[table["known"]] if table["known"].any() else table
        nearest = (described["n_baskets"] - described["n_baskets"].median()).abs()
        return str(described.loc[nearest[nearest == nearest.min()].index, "user_id"].min())

    def shopper(self, user_id: str, baskets: int = 3) -> Shopper:
        """One shopper with the last baskets.

        Raises:
            RequestError: nobody has this id.
        """
        row = self.people.user_row(user_id)
        users, events = self.dataset.users, self._events_of(row)
        record = users.iloc[row]
        # an absent attribute is shown as absent by leaving it out, not as "nan"
        attributes = {
            str(name): str(record[name])
            for name in users.columns
            if name not in (s.USER, s.PROFILE) and pd.notna(record[name]) and str(record[name]).strip()
        }
        steps = events[s.STEP].drop_duplicates()
        last = [self._basket(events[events[s.STEP] == step]) for step in steps.iloc[::-1][:baskets]]
        return Shopper(str(record[s.USER]), str(record[s.PROFILE]), attributes, len(steps), len(events), last)

    def departments(self) -> list[str]:
        """Departments, the one with most items first (this order binds the colours)."""
        return [str(name) for name in self.dataset.items[s.DEPARTMENT].value_counts(sort=True).index]

    def categories(self) -> pd.DataFrame:
        """Categories by name: category · department · n_items."""
        counts = self.dataset.items.value_counts([s.CATEGORY, s.DEPARTMENT]).reset_index(name="n_items")
        return counts.drop_duplicates(s.CATEGORY).sort_values(s.CATEGORY, ignore_index=True)

    def items_search(self, text: str, limit: int = 12) -> pd.DataFrame:
        """Items whose title or category holds every word of `text`, those bought most first; empty text finds nothing."""
        items, words = self.dataset.items, text.casefold().split()
        if not words:
            return items.iloc[:0]
        haystack = (items[s.TITLE] + " " + items[s.CATEGORY] + " " + items[s.ITEM]).str.casefold()
        mask = np.logical_and.reduce([haystack.str.contains(word, regex=False).to_numpy() for word in words])
        order = self._purchases.reindex(np.flatnonzero(mask), fill_value=0).sort_values(ascending=False, kind="stable")
        return items.iloc[order.index[:limit]]

    def item(self, item_id: str) -> dict[str, Any]:
        """Facts of one item: its row of the table, `row`, `purchases`, `shoppers`, `weekly`
        (week · purchases) and `siblings` (items of the same type bought most).

        Raises:
            RequestError: no item has this id.
        """
        row, items, events = self.people.item_row(item_id), self.dataset.items, self.dataset.events
        own = events[events[s.EVENT_ITEM] == row]
        weeks = pd.to_datetime(own[s.TIME]).dt.to_period("W").dt.start_time.value_counts().sort_index()
        same = np.flatnonzero((items[s.TYPE] == items[s.TYPE].iat[row]).to_numpy() & (np.arange(len(items)) != row))
        order = self._purchases.reindex(same, fill_value=0).sort_values(ascending=False, kind="stable").index[:5]
        return {
            **records(items.iloc[[row]])[0],
            "row": row,
            "purchases": len(own),
            "shoppers": int(own[s.EVENT_USER].nunique()),
            "weekly": weeks.rename_axis("week").reset_index(name="purchases"),
            "siblings": items.iloc[order],
        }

    @cached_property
    def suggestions(self) -> list[str]:
        """A few instructions to try, with names from this catalogue: general, constrained, priced, exploratory."""
        events, items = self.dataset.events, self.dataset.items
        bought = items[s.CATEGORY].iloc[events[s.EVENT_ITEM]].value_counts()
        names = [str(name) for name in bought.index[[0, min(7, len(bought) - 1)]]] if len(bought) else ["snacks", "snacks"]
        return [
            "What should I put in my cart next?",
            f"I'm looking for something in {names[0].lower()}",
            f"{names[1].lower()} under $3",
            "surprise me with something I haven't been buying",
        ]

    @cached_property
    def _shopper_table(self) -> pd.DataFrame:
        users, events = self.dataset.users, self.dataset.events
        by_user = events.groupby(s.EVENT_USER)
        attributes = [name for name in users.columns if name not in (s.USER, s.PROFILE)]
        return pd.DataFrame(
            {
                "user_id": users[s.USER],
                "profile": users[s.PROFILE],
                "n_baskets": by_user[s.STEP].nunique().reindex(users.index, fill_value=0),
                "n_items": by_user.size().reindex(users.index, fill_value=0),
                "known": users[attributes].fillna("").astype(bool).any(axis=1) if attributes else False,
            }
        )

    def _basket(self, events: pd.DataFrame) -> Basket:
        items = self.dataset.items.iloc[events[s.EVENT_ITEM]][[s.ITEM, s.TITLE, s.DEPARTMENT, s.CATEGORY, s.PRICE]]
        items = items.assign(quantity=events[s.QUANTITY].to_numpy()).reset_index(drop=True)
        return Basket(pd.Timestamp(events[s.TIME].iloc[0]), items)

    @cached_property
    def _purchases(self) -> pd.Series:
        return self.dataset.events[s.EVENT_ITEM].value_counts()

    def _events_of(self, user: int) -> pd.DataFrame:
        events = self.dataset.events  # sorted by user
        start, stop = np.searchsorted(events[s.EVENT_USER].to_numpy(), [user, user + 1])
        return events.iloc[start:stop]
