"""The codebook tree as a plain frame: a node is a prefix of 0 … all levels of a semantic ID.

- Counted once for all levels with group-bys; what a page draws is a slice of it.
- Purity of a node is the share of its items in their commonest category; weighted by items over a level it is the purity of the health report.
- Purchases are counted in the whole dataset: they describe the catalogue, nothing is trained on them here.
- Counts of the evaluation (targets, hits, shown) are sums over the items of a node, so that recall inside a node is hits / targets of its items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from backend.data import schema as s
from backend.tokenization.prefixes import prefix_name

ROOT = "·"
COUNTS = ("targets", "hits", "shown")  # columns of the evaluation's counts by item
_Z = 1.959963984540054  # of a 95 % interval


@dataclass(frozen=True)
class CodeTree:
    """All nodes, and the path of each item through them.

    Frames:
        nodes: indexed by `node` ("a17·b3"), root first, a level after the other: parent · level · code · n_items · sales · popularity
        (purchases an item) · category · purity · department · department_share · price_low · price_median · price_high.

    Shape:
        path: (n_items, levels + 1) row numbers in `nodes`.
    """

    nodes: pd.DataFrame
    path: np.ndarray

    @property
    def levels(self) -> int:
        """Levels below the root."""
        return self.path.shape[1] - 1

    def facts(self, node: str) -> dict[str, Any]:
        """One node's row of `nodes`."""
        return {str(name): value for name, value in self.nodes.iloc[self._at(node)].items()}

    def _at(self, node: str) -> int:
        return int(self.nodes.index.get_indexer(pd.Index([node]))[0])

    def rows(self, node: str) -> np.ndarray:
        """Item rows below a node, ascending."""
        at = self._at(node)
        return np.flatnonzero(self.path[:, int(self.nodes["level"].iloc[at])] == at)

    def lineage(self, node: str) -> list[str]:
        """The node and what is above it, root first."""
        parts = [] if node == ROOT else node.split("·")
        return [ROOT, *("·".join(parts[: depth + 1]) for depth in range(len(parts)))]

    def below(self, node: str, most: int = 1500) -> pd.DataFrame:
        """The node and as many whole levels below it (at least one, at most three) as stay within `most` nodes."""
        level = int(self.facts(node)["level"])
        reached = self.nodes.loc[[node]]
        parts = [reached]
        for depth in range(level + 1, min(level + 3, self.levels) + 1):
            frame = self.nodes[self.nodes["level"] == depth]
            reached = frame[frame["parent"].isin(reached.index)]
            if depth > level + 1 and sum(map(len, parts)) + len(reached) > most:
                break
            parts.append(reached)
        return pd.concat(parts)


def codebook_tree(sids: np.ndarray, items: pd.DataFrame, purchases: np.ndarray) -> CodeTree:
    """Build the tree.

    Shape:
        sids: (n_items, levels); purchases: (n_items,).
    """
    n, levels = sids.shape
    facts = pd.DataFrame(
        {
            "price": items[s.PRICE].to_numpy(float), "sales": np.asarray(purchases, float),
            "category": items[s.CATEGORY].to_numpy(), "department": items[s.DEPARTMENT].to_numpy(),
        }
    )  # fmt: skip
    frames, path, first = [], np.zeros((n, levels + 1), np.int64), 0
    for level in range(levels + 1):
        codes, inverse = (
            np.unique(sids[:, :level], axis=0, return_inverse=True) if level else (sids[:1, :0], np.zeros(n, np.int64))
        )
        inverse = inverse.ravel()
        frame = _describe(facts, inverse)
        frame["node"] = [prefix_name(row) for row in codes]
        frame["parent"] = [prefix_name(row[:-1]) if level else "" for row in codes]
        frame["level"], frame["code"] = level, codes[:, -1] if level else -1
        frames.append(frame)
        path[:, level] = first + inverse
        first += len(frame)
    nodes = pd.concat(frames, ignore_index=True).set_index("node")
    lead = ["parent", "level", "code", "n_items", "sales", "popularity"]
    return CodeTree(nodes[[*lead, *(name for name in nodes.columns if name not in lead)]], path)


def _describe(facts: pd.DataFrame, group: np.ndarray) -> pd.DataFrame:
    by = facts.groupby(group)
    size = by.size()
    frame = pd.DataFrame({"n_items": size, "sales": by["sales"].sum()})
    frame["popularity"] = frame["sales"] / size
    for column, share in (("category", "purity"), ("department", "department_share")):
        counts = facts.groupby([group, facts[column]]).size().rename("count").reset_index()
        counts.columns = pd.Index(["group", column, "count"])
        best = counts.sort_values(["count", column], ascending=[False, True]).drop_duplicates("group").set_index("group")
        frame[column], frame[share] = best[column], best["count"] / size
    prices = by["price"]
    return frame.assign(price_low=prices.min(), price_median=prices.median(), price_high=prices.max())


def with_counts(tree: CodeTree, counts: pd.DataFrame) -> pd.DataFrame:
    """targets · hits · shown · recall · recall_low · recall_high · precision of every node, NaN where nothing was asked.

    Args:
        tree: the tree.
        counts: item (row) · targets · hits · shown, as the evaluation counted them; items that are absent count zero.
    """
    by_item = np.zeros((len(tree.path), len(COUNTS)))
    np.add.at(by_item, counts["item"].to_numpy(), counts[list(COUNTS)].to_numpy(float))
    sums = np.zeros((len(tree.nodes), len(COUNTS)))
    for level in range(tree.levels + 1):
        np.add.at(sums, tree.path[:, level], by_item)
    frame = pd.DataFrame(sums, columns=list(COUNTS), index=tree.nodes.index)
    low, high = wilson(frame["hits"].to_numpy(), frame["targets"].to_numpy())
    return frame.assign(
        recall=frame["hits"] / frame["targets"].where(frame["targets"] > 0),
        recall_low=low,
        recall_high=high,
        precision=frame["hits"] / frame["shown"].where(frame["shown"] > 0),
    )


def wilson(hits: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's 95 % interval of a share, for thousands of nodes at once (scipy has it one at a time); NaN where n = 0.

    Shape:
        hits, n: (m,); returns: two of (m,).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        share = hits / n
        centre = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
        half = _Z * np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2)) / (1 + _Z**2 / n)
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


def siblings(tree: CodeTree, node: str, centroids: np.ndarray, most: int = 6) -> pd.DataFrame:
    """The codes beside a node under the same parent, the nearest centroid first.

    Shape:
        centroids: (levels, codes, dim).

    Returns:
        node · distance · n_items · category · purity · department.
    """
    if node == ROOT:
        return pd.DataFrame(columns=["node", "distance", "n_items", "category", "purity", "department"])
    own = tree.facts(node)
    beside = tree.nodes[(tree.nodes["parent"] == own["parent"]) & (tree.nodes.index != node)]
    book = centroids[int(own["level"]) - 1]
    distance = np.linalg.norm(book[beside["code"].to_numpy(int)] - book[int(own["code"])], axis=1)
    frame = beside.assign(distance=distance)[["distance", "n_items", "category", "purity", "department"]]
    return frame.sort_values("distance", kind="stable").head(most).reset_index()


def collisions(sids: np.ndarray, titles: Sequence[str], most: int = 200) -> pd.DataFrame:
    """Full SIDs that several items share, the most shared first: sid · n_items · items (titles, at most five)."""
    codes, inverse, counts = np.unique(sids, axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(inverse.ravel(), kind="stable")
    start = np.cumsum(counts) - counts
    shared = [group for group in np.argsort(-counts, kind="stable")[:most] if counts[group] > 1]
    rows = [
        (
            prefix_name(codes[group]),
            int(counts[group]),
            [str(titles[row]) for row in order[start[group] :][: min(counts[group], 5)]],
        )
        for group in shared
    ]
    return pd.DataFrame(rows, columns=["sid", "n_items", "items"])
