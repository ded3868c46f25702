"""Hard filters: which items a request allows. Masks for steps 1 and 2, so that every result is legal."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

import numpy as np

from backend.data import calendar
from backend.data import schema as c
from backend.data.deals import current
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
    limits = {"max_price": request.max_price, "min_price": request.min_price, "max_total": request.max_total}
    for name, value in limits.items():
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
    if request.max_total is not None:
        mask &= price <= request.max_total  # that the list as a whole stays below is seen to once it is ranked (`asked`)
    for name in request.exclude:
        mask &= ~_meant(dataset, name)
    if request.deals:
        mask &= _once(dataset, "deals")
        if not _once(dataset, "deals").any():
            notes.append("the data's last week holds no discount and no coupon")
    if request.theme is not None:
        mask &= _themed(dataset, request.theme)
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


def _meant(dataset: Dataset, name: str) -> np.ndarray:
    """Items that a name means: of the category or department, and those that answer it as a query."""
    asked = dataset.queries[c.QUERY].str.casefold().eq(name.strip().casefold()).to_numpy()
    mask = np.zeros(dataset.n_items, bool)
    mask[dataset.queries[c.QUERY_ITEM].to_numpy(np.int64)[asked]] = True
    try:
        return mask | _named(dataset, name)
    except RequestError as error:
        if not asked.any():
            raise RequestError(f"unknown name {name[:60]!r}", "exclude", error.mend) from None
        return mask


def _themed(dataset: Dataset, theme: str) -> np.ndarray:
    """Items that stand out in a season or before an occasion, in all of the data.

    Raises:
        RequestError: no such word in the calendar.
    """
    word = next((word for word in calendar.words() if word.casefold() == theme.strip().casefold()), None)
    if word is None:
        raise RequestError(f"unknown season or occasion {theme[:60]!r}", "theme", f"choose from: {', '.join(calendar.words())}")
    return _once(dataset, word)


_KEPT: dict[tuple[str, str], np.ndarray] = {}
_MOST_KEPT = 64


def _once(dataset: Dataset, what: str) -> np.ndarray:
    """Items on deal now ("deals"), or those of a calendar word: counted once a dataset, where it can be told from others."""
    key = (dataset.fingerprint, what)
    if not dataset.fingerprint or key not in _KEPT:
        while len(_KEPT) >= _MOST_KEPT:
            _KEPT.pop(next(iter(_KEPT)))
        _KEPT[key] = _counted(dataset, what)
    return _KEPT[key]


def _counted(dataset: Dataset, what: str) -> np.ndarray:
    if what == "deals":
        mask = current(dataset)
    else:
        span = calendar.inside(dataset.events[c.TIME].to_numpy(), what)
        mask = calendar.themed(dataset, np.ones(len(span), bool), span)
    mask.setflags(write=False)
    return mask


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
