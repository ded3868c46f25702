"""Hard filters: which items a request allows. Masks for steps 1 and 2, so that every result is legal."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

import numpy as np

from backend.data import schema as c
from backend.data.schema import Dataset
from backend.errors import RequestError
from backend.generation.request import Request


def allowed_items(
    dataset: Dataset, request: Request, bought: np.ndarray, rows: Mapping[str, int]
) -> tuple[np.ndarray, list[str]]:
    """Mask of the items that the request's filters leave, and notes for the user.

    Args:
        bought: item rows of the shopper's history.
        rows: item id → row.

    Shape:
        returns: (n_items,) bool.

    Raises:
        RequestError: unknown category, a price that makes no sense, a stock list without a known item.
    """
    items = dataset.items
    mask = np.ones(len(items), bool)
    notes: list[str] = []
    price = items[c.PRICE].to_numpy(float)
    for name, value in (("max_price", request.max_price), ("min_price", request.min_price)):
        if value is not None and not (np.isfinite(value) and value >= 0):
            raise RequestError(f"{value} is no price", name, "give an amount in dollars, such as 5 or 3.50")
    if request.max_price is not None and request.min_price is not None and request.max_price < request.min_price:
        raise RequestError("the highest price is below the lowest", "max_price", "exchange the two")
    if request.max_price is not None:
        mask &= price <= request.max_price
    if request.min_price is not None:
        mask &= price >= request.min_price
    if request.category is not None:
        mask &= _named(dataset, request.category)
    if request.stock is not None:
        known = [rows[item] for item in request.stock if item in rows]
        if not known:
            raise RequestError("the stock list names no item of this catalogue", "stock", "one item_id a line")
        if len(known) < len(request.stock):
            notes.append(f"{len(request.stock) - len(known)} ids of the stock list are unknown and were ignored")
        stock = np.zeros(len(items), bool)
        stock[known] = True
        mask &= stock
    if request.seen == "hide":
        mask[bought] = False
    if not mask.any():
        notes.append("no item passes the filters")
    return mask, notes


def _named(dataset: Dataset, name: str) -> np.ndarray:
    """Items of a category or department by its readable name, in any case."""
    wanted = name.strip().casefold()
    masks = [dataset.items[column].str.casefold().eq(wanted).to_numpy() for column in (c.CATEGORY, c.DEPARTMENT)]
    mask = masks[0] | masks[1]
    if not mask.any():
        names = sorted({*dataset.items[c.CATEGORY], *dataset.items[c.DEPARTMENT]})
        close = difflib.get_close_matches(name, names, 3, cutoff=0.4)
        hint = f"did you mean {', '.join(close)}?" if close else "`python -m backend info --json` lists the categories"
        raise RequestError(f"unknown category {name[:60]!r}", "category", hint)
    return mask
