"""Do the spaces agree, and is each of them a good one? The figures of the alignment report, plain and JSON-able.

- Overlap of the ten nearest, mean over items, with a 95 % interval (normal; items are many).
- Alignment and uniformity (Wang & Isola 2020) of each space, over two kinds of pairs that belong together: items of one type, and
  held-out pairs of items that were bought together (which neither the grounding nor the behaviour vectors were made from).
- Recall@10 of those held-out pairs in every space, by the code that the grounding stage measures itself with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from backend.grounding.neighbours import K, alignment, overlap, uniformity

_TYPE_PAIRS = 20_000


def same_type(types: pd.Series, seed: int = 7, most: int = _TYPE_PAIRS) -> np.ndarray:
    """Pairs of items of one type, every type in proportion to its items. Shape: (n,) → (pairs, 2)."""
    rng = np.random.default_rng(seed)
    codes = pd.factorize(types)[0]
    order = np.argsort(codes, kind="stable")
    count = np.bincount(codes)
    first = np.concatenate([[0], np.cumsum(count)])[:-1]
    anchors = rng.permutation(np.flatnonzero(count[codes] > 1))[:most]
    group = codes[anchors]
    place = np.empty(len(codes), np.int64)
    place[order] = np.arange(len(codes)) - np.repeat(first, count)
    other = (place[anchors] + rng.integers(1, count[group])) % count[group]  # any of the group but the item itself
    return np.stack([anchors, order[first[group] + other]], axis=1)


def measure(vectors: Mapping[str, np.ndarray], lists: Mapping[str, np.ndarray],
            pairs: Mapping[str, np.ndarray], recall: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:  # fmt: skip
    """The report.

    Args:
        vectors: of each space. Shape: (n, dim), unit norm or zero.
        lists: the ten nearest in each space. Shape: (n, 10), -1 padded.
        pairs: what belongs together, by name. Shape: (p, 2).
        recall: of held-out pairs, by space: value and n (anchors).
    """
    names = list(vectors)
    agree = []
    for row, left in enumerate(names):
        for right in names[row + 1 :]:
            agree.append({"left": left, "right": right, **_mean(overlap(lists[left], lists[right]))})
    spaces = [
        {
            "space": name,
            "n": int((lists[name][:, 0] >= 0).sum()),
            "dim": int(vectors[name].shape[1]),
            "uniformity": uniformity(vectors[name]),
            "alignment": {kind: {"value": alignment(vectors[name], rows), "n": len(rows)} for kind, rows in pairs.items()},
            "recall": dict(recall.get(name, {})),
        }
        for name in names
    ]
    return {"k": K, "overlap": agree, "spaces": spaces}


def _mean(values: np.ndarray) -> dict[str, float | int]:
    known = values[np.isfinite(values)]
    n = len(known)
    if not n:
        return {"value": float("nan"), "low": float("nan"), "high": float("nan"), "n": 0}
    mean, half = float(known.mean()), 1.96 * float(known.std()) / np.sqrt(n)
    return {"value": mean, "low": mean - half, "high": mean + half, "n": n}
