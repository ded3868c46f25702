"""Prefixes of semantic IDs: their surface form `a17·b3·c9·d41`, one letter a level, and the items that share one.

No heavy import: pages and links read prefixes too.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase

import numpy as np


def prefix_name(codes: Sequence[int]) -> str:
    """Surface form of a SID or prefix: "a17·b3". The empty prefix (ℓ = 0) is "·"; behind z the letters begin again (titles as codes)."""
    return "·".join(f"{ascii_lowercase[level % 26]}{int(code)}" for level, code in enumerate(codes)) or "·"


def parse_prefix(name: str) -> tuple[int, ...]:
    """Codes of a surface form, the reverse of `prefix_name`; a full stop may stand for the middle dot (links).

    Raises:
        ValueError: not of the form a17·b3…
    """
    parts = [] if name in ("", "·") else name.replace(" ", "").replace(".", "·").split("·")
    for level, part in enumerate(parts):
        if len(part) < 2 or part[0] != ascii_lowercase[level] or not part[1:].isdecimal():
            raise ValueError(f"{name!r} is no semantic-ID prefix")
    return tuple(int(part[1:]) for part in parts)


def prefix_members(prefixes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Items of each distinct prefix.

    Shape:
        prefixes: (n, ℓ), ℓ may be 0; returns: members (prefixes, largest) int64, -1 padded, and (n,) the prefix row of each item.
    """
    n = len(prefixes)
    if prefixes.shape[1] == 0:
        return np.arange(n, dtype=np.int64)[None], np.zeros(n, np.int64)
    unique, index = np.unique(prefixes, axis=0, return_inverse=True)
    index = index.ravel()
    size = np.bincount(index)
    order = np.argsort(index, kind="stable")
    members = np.full((len(unique), size.max()), -1, np.int64)
    column = np.arange(n) - np.repeat(np.cumsum(size) - size, size)
    members[index[order], column] = order
    return members, index.astype(np.int64)
