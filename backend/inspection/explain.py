"""Words about a recommendation: what a prefix holds, and why an item is in the list.

- A prefix is described by the category that most of its items share, with that share: codes mean nothing to a reader.
- "Why" is one short line. It names the strongest thing that is *seen in the data of this shopper* (bought before, same type,
  same category) and falls back on the path of the generation (prefix and φ). It claims no causes inside the network.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from backend.data import schema as s
from backend.data.history import History
from backend.tokenization.prefixes import prefix_name


def describe_prefixes(items: pd.DataFrame, sids: np.ndarray, levels: int) -> pd.DataFrame:
    """What the items of each prefix have in common.

    Shape:
        sids: (n_items, all levels).

    Returns:
        One row a prefix, indexed by its name: `category` and `share` of the commonest category, `department` of the commonest
        department, `n_items`.
    """
    if len(items) == 0 or sids.size == 0:
        return pd.DataFrame(columns=["category", "share", "department", "n_items"])
    levels = min(levels, sids.shape[1])
    codes, inverse = np.unique(sids[:, :levels], axis=0, return_inverse=True)
    frame = pd.DataFrame(
        {"prefix": inverse.ravel(), "category": items[s.CATEGORY].to_numpy(), "department": items[s.DEPARTMENT].to_numpy()}
    )
    sizes = frame.groupby("prefix").size()
    category = frame.value_counts(["prefix", "category"]).reset_index().drop_duplicates("prefix").set_index("prefix")
    department = frame.value_counts(["prefix", "department"]).reset_index().drop_duplicates("prefix").set_index("prefix")
    table = pd.DataFrame({"category": category["category"], "department": department["department"], "n_items": sizes})
    table["share"] = category["count"] / sizes
    table.index = pd.Index([prefix_name(codes[row]) for row in table.index], name="prefix")
    return table[["category", "share", "department", "n_items"]]


def why(rows: Sequence[int], prefixes: Sequence[str], phi: Sequence[float], items: pd.DataFrame, history: History,
        names: pd.DataFrame, dated: bool = True) -> list[str]:  # fmt: skip
    """One line for each recommended item.

    Args:
        rows: item rows of the list.
        prefixes: the prefix each was found in, and `phi` that prefix's probability.
        items: the catalogue.
        history: what the shopper bought.
        names: `describe_prefixes`.
        dated: False where the history was put together by hand and its ages mean nothing.
    """
    bought = dict(zip(history.items.tolist(), zip(history.counts.tolist(), history.days.tolist(), strict=True), strict=True))
    types, categories = (
        items[column].iloc[history.items].to_frame().assign(n=history.counts).groupby(column)["n"].sum()
        for column in (s.TYPE, s.CATEGORY)
    )
    lines = []
    for row, prefix, probability in zip(rows, prefixes, phi, strict=True):
        kind, category = str(items[s.TYPE].iat[row]), str(items[s.CATEGORY].iat[row])
        if row in bought:
            times, days = bought[row]
            lines.append("bought " + _times(times) + (f", {_days(days)}" if dated else ""))
        elif kind in types.index:
            lines.append(f"same type ({kind}) bought {_times(int(types[kind]))}")
        elif category in categories.index:
            lines.append(f"close to {category} in the history ({_times(int(categories[category]))})")
        else:
            held = f", mostly {names['category'][prefix]!s}" if prefix in names.index else ""
            lines.append(f"prefix {prefix} (φ {probability:.3g}){held}")
    return lines


def _times(n: int) -> str:
    return "once" if n == 1 else "twice" if n == 2 else f"{n} times"


def _days(n: int) -> str:
    return "in the last basket too" if n <= 0 else f"last {n} day{'s' if n > 1 else ''} ago"
