"""The catalogue as step 1 and step 2 see it: which prefixes exist, which items they hold, what a filter leaves of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.tokenization.prefixes import prefix_members


@dataclass(frozen=True)
class Level:
    """Distinct prefixes of one length.

    Shape:
        codes: (prefixes, length); parent: (prefixes,) row in the level above; of_item: (n_items,) row of each item's prefix.
    """

    codes: np.ndarray
    parent: np.ndarray
    of_item: np.ndarray


class PrefixIndex:
    """All prefixes of length 0…ℓ and the items inside each.

    Shape:
        sids: (n_items, levels); prefix_levels = ℓ.
    """

    def __init__(self, sids: np.ndarray, prefix_levels: int) -> None:
        n = len(sids)
        self.prefix_levels = prefix_levels
        self.levels = [Level(np.zeros((1, 0), np.int64), np.zeros(1, np.int64), np.zeros(n, np.int64))]
        for length in range(1, prefix_levels + 1):
            unique, of_item = np.unique(sids[:, :length], axis=0, return_inverse=True)
            of_item = of_item.ravel().astype(np.int64)
            parent = np.zeros(len(unique), np.int64)
            parent[of_item] = self.levels[-1].of_item
            self.levels.append(Level(unique, parent, of_item))
        self.members = prefix_members(sids[:, :prefix_levels])[0]  # (prefixes, largest), -1 padded; rows as in levels[-1]

    @property
    def last(self) -> Level:
        """The prefixes of length ℓ."""
        return self.levels[-1]

    def legal_counts(self, length: int, allowed: np.ndarray) -> np.ndarray:
        """Items that a filter leaves in each prefix of a length. Shape: allowed (n_items,) bool → (prefixes,)."""
        level = self.levels[length]
        return np.bincount(level.of_item[allowed], minlength=len(level.codes))

    def row(self, codes: tuple[int, ...]) -> int | None:
        """Row of a prefix among those of its length; None where no item has it, or where it is longer than ℓ."""
        if len(codes) > self.prefix_levels:
            return None
        level = self.levels[len(codes)]
        found = np.flatnonzero((level.codes == np.array(codes, np.int64)).all(1))
        return int(found[0]) if len(found) else None
