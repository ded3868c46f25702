"""Which items a name or a query means: the arrays behind label rules, filters and reading.

- One rule resolves a readable name everywhere: an item answers a name when its category *or* its department bears it. So a
  category and a department of the same name mean the same items in training, in a request's filter and in the evaluation.
- Everything is precomputed once per dataset: a label rule only slices, because training preparation asks ~100k times.
- Masks are handed out read-only and shared, never copied.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from backend.data.schema import CATEGORY, DEPARTMENT, QUERY, QUERY_ITEM, Dataset
from backend.errors import RequestError


class ItemIndex:
    """Names and queries of a dataset as arrays over item rows.

    Attributes:
        n_items: number of items.
        categories: category names in code order; `category_of[item]` is an item's code. Shape: (n_items,)
        departments: department names in code order; `department_of[item]` likewise. Shape: (n_items,)
        queries: query texts in code order (sorted; empty when the source has none).
        query_sizes: number of items that answer each query. Shape: (n_queries,)
    """

    def __init__(self, dataset: Dataset) -> None:
        self.n_items = dataset.n_items
        self.category_of, self.categories = _codes(dataset.items[CATEGORY])
        self.department_of, self.departments = _codes(dataset.items[DEPARTMENT])
        self._masks: dict[str, np.ndarray] = {}
        for codes, names in ((self.category_of, self.categories), (self.department_of, self.departments)):
            for code, name in enumerate(names):
                if not name:  # the source has no name for these items, so nobody can ask for them
                    continue
                mask = codes == code
                self._masks[name.casefold()] = mask | self._masks.get(name.casefold(), False)
        for mask in self._masks.values():
            mask.setflags(write=False)

        pairs = dataset.queries[[QUERY, QUERY_ITEM]].drop_duplicates()
        query_of, self.queries = _codes(pairs[QUERY])
        item_of = pairs[QUERY_ITEM].to_numpy(np.int64)
        self._answers, self._answers_at = _grouped(query_of, item_of, len(self.queries))
        self._asked, self._asked_at = _grouped(item_of, query_of, self.n_items)
        self.query_sizes = np.diff(self._answers_at)
        self._query_code = {text: code for code, text in enumerate(self.queries)}

    def named(self, name: str) -> np.ndarray:
        """Items whose category or department is `name`, whatever its case.

        Returns:
            Read-only mask. Shape: (n_items,)

        Raises:
            RequestError: no category or department has that name.
        """
        mask = self._masks.get(name.strip().casefold())
        if mask is None:
            close = _closest(name, [*self.categories, *self.departments])
            raise RequestError(f"unknown category {name!r}", "category", f"Did you mean: {', '.join(close)}?" if close else "")
        return mask

    def answering(self, query: str) -> np.ndarray:
        """Rows of the items that answer a query, ascending. Shape: (n,)

        Raises:
            RequestError: not one of the dataset's queries.
        """
        code = self._query_code.get(query)
        if code is None:
            raise RequestError(f"unknown query {query!r}", "query", "Use one of the dataset's queries")
        return self._answers[self._answers_at[code] : self._answers_at[code + 1]]

    def answer_rows(self, code: int) -> np.ndarray:
        """Rows of the items that answer query `code`, ascending. Shape: (n,)"""
        return self._answers[self._answers_at[code] : self._answers_at[code + 1]]

    def queries_of(self, items: Iterable[int]) -> np.ndarray:
        """Codes of the queries that any of these items answers, ascending and distinct. Shape: (n,)"""
        starts = self._asked_at
        parts = [self._asked[starts[item] : starts[item + 1]] for item in items]
        return np.unique(np.concatenate(parts)) if parts else np.empty(0, np.int64)


def _codes(values: pd.Series) -> tuple[np.ndarray, list[str]]:
    codes, names = pd.factorize(values, sort=True)
    return codes.astype(np.int64), [str(name) for name in names]


def _grouped(keys: np.ndarray, values: np.ndarray, n_keys: int) -> tuple[np.ndarray, np.ndarray]:
    """Values grouped by key (ascending inside a group), and where each group starts. Shapes: (n,), (n_keys + 1,)"""
    order = np.lexsort((values, keys))
    starts = np.concatenate([[0], np.cumsum(np.bincount(keys, minlength=n_keys))])
    return values[order], starts


def _closest(name: str, names: Sequence[str], n: int = 3) -> list[str]:
    lower = {candidate.casefold(): candidate for candidate in names}
    return [lower[match] for match in difflib.get_close_matches(name.strip().casefold(), list(lower), n, 0.5)]
