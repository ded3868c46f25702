"""How an item can be written as tokens (JD §2.1): a numeric id split into digits, its title, or a full semantic ID; and all of them in one table.

- Every representation is a row of codes an item, so the same trie, the same beam and the same evaluation serve all three.
- *Numeric*: unique and short, and its prefixes mean nothing. *Title*: the base model's own tokens, long, and equal titles cannot be told apart.
  *Semantic*: RQ-VAE or residual k-means codes, and a last code that separates items that share all the others.
- A title has as many codes as tokens; behind its end stands code 0 to the length of the longest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from backend.errors import RequestError
from backend.progress import CancelToken, Report, silent
from backend.settings import TokenSettings
from backend.tokenization.choose import quantize
from backend.tokenization.quantizers import Quantizer
from backend.tokenization.trie import Trie

MOST_TITLE_TOKENS = 32  # longer titles are cut


@dataclass(frozen=True)
class Representation:
    """A way to write every item.

    Args:
        sizes: codes of each position.
        padded: code 0 stands for nothing.

    Shape:
        codes: (n_items, positions) int32.
    """

    name: str
    codes: np.ndarray
    sizes: tuple[int, ...]
    padded: bool = False

    @cached_property
    def trie(self) -> Trie:
        """The catalogue as a trie of this representation; items are rows."""
        return Trie.build(self.codes, self.sizes)

    @cached_property
    def shared(self) -> int:
        """Items that another item is written like."""
        sizes = np.diff(self.trie.leaf_first)
        return int(sizes[sizes > 1].sum())

    def ground(self, codes: np.ndarray) -> list[np.ndarray]:
        """The items of what a model wrote; none where nothing in the catalogue is written so.

        Shape:
            codes: (k, positions); returns: k arrays of item rows, ascending.
        """
        return [self.trie.items_of(int(leaf)) if leaf >= 0 else np.zeros(0, np.int32) for leaf in self.trie.walk(codes)]


def numeric(n_items: int, base: int = 256) -> Representation:
    """Row numbers in a number system, the largest digit first; as many digits as the last row needs.

    Raises:
        RequestError: a base below two.
    """
    if base < 2:
        raise RequestError(f"{base} is no base of a number system", mend="give two at least")
    digits = 1
    while base**digits < n_items:
        digits += 1
    powers = base ** np.arange(digits - 1, -1, -1, dtype=np.int64)
    codes = (np.arange(n_items)[:, None] // powers) % base
    return Representation(f"numeric, base {base}", codes.astype(np.int32), (base,) * digits)


def titles(tokens: Sequence[Sequence[int]]) -> tuple[Representation, np.ndarray]:
    """Titles by the tokens of a base model.

    Args:
        tokens: token ids of each title.

    Shape:
        returns: the representation, and (codes,) the token id of each of its codes, −1 for code 0, the end.
    """
    cut = [list(own)[:MOST_TITLE_TOKENS] for own in tokens]
    lengths = np.array([len(own) for own in cut], np.int64)
    longest = int(lengths.max(initial=1)) or 1
    inside = np.arange(longest) < lengths[:, None]
    used, place = np.unique(np.array([token for own in cut for token in own], np.int64), return_inverse=True)
    codes = np.zeros((len(cut), longest), np.int32)
    codes[inside] = place + 1
    return Representation("title", codes, (len(used) + 1,) * longest, padded=True), np.concatenate([[-1], used])


def separate(sids: np.ndarray, taken: np.ndarray | None = None) -> np.ndarray:
    """SIDs with a last code that tells apart the items that share all others: 0, 1, 2 … in the order of the rows.

    Args:
        taken: separated SIDs of items that are there already; new ones take the codes behind theirs, so that nobody's SID changes.

    Shape:
        sids: (n, levels); taken: (m, levels + 1); returns: (n, levels + 1).
    """
    sids = np.asarray(sids)
    m = 0 if taken is None else len(taken)
    every = sids if taken is None else np.concatenate([taken[:, :-1], sids])
    groups, group = np.unique(every, axis=0, return_inverse=True)
    group = group.ravel()
    free = np.zeros(len(groups), np.int64)  # the next code of each group
    if taken is not None:
        np.maximum.at(free, group[:m], taken[:, -1] + 1)
    own = group[m:]
    order = np.argsort(own, kind="stable")
    sizes = np.bincount(own, minlength=len(groups))
    last = np.zeros(len(sids), np.int64)
    last[order] = np.arange(len(sids)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.concatenate([sids, (last + free[own])[:, None]], axis=1)


def semantic(sids: np.ndarray, codes: int, name: str = "semantic ID") -> Representation:
    """Full semantic IDs with their separating code.

    Shape:
        sids: (n, levels) without it.
    """
    full = separate(sids).astype(np.int32)
    return Representation(name, full, (*(codes,) * sids.shape[1], int(full[:, -1].max(initial=0)) + 1))


def full_semantic(
    vectors: np.ndarray, settings: TokenSettings, seed: int, report: Report = silent, cancel: CancelToken | None = None
) -> tuple[Representation, Quantizer]:
    """Quantise the grounded vectors as JD does, 4 × 256 whatever the settings say of levels and codes, and separate what collides.

    Shape:
        vectors: (n, dim).

    Raises:
        Cancelled: asked to stop.
    """
    own = settings.model_copy(update={"levels": 4, "codes": 256})
    quantizer, sids = quantize(vectors, own, seed, report, cancel)
    return semantic(sids, own.codes, f"semantic ID, 4 × 256, {own.quantizer}"), quantizer


def compare(representations: Sequence[Representation], categories: Sequence[str]) -> pd.DataFrame:
    """What each way of writing costs and what its first token says.

    Args:
        categories: of the items; what a first token is held against.

    Returns:
        representation · tokens (mean an item) · vocabulary (distinct tokens in use) · first_tokens · first_purity (share of items in the
        commonest category of their first token) · shared (items written like another) · branching (mean legal continuations a step, over
        the items' own paths) · bytes_per_item (of the trie).
    """
    labels = np.unique(np.asarray(categories, dtype=object), return_inverse=True)[1]
    rows = []
    for one in representations:
        n = len(one.codes)
        said = one.codes > 0 if one.padded else np.ones(one.codes.shape, bool)
        vocabulary = np.unique(one.codes[said]).size if one.padded else sum(np.unique(column).size for column in one.codes.T)
        first = np.unique(one.codes[:, 0], return_inverse=True)[1]
        table = pd.crosstab(first, labels).to_numpy()
        widths = []
        for depth, level in enumerate(one.trie.levels):
            nodes = one.trie.walk(one.codes[:, :depth])[said[:, depth]]
            widths.append(np.diff(level.first)[nodes])
        rows.append(
            {
                "representation": one.name,
                "tokens": float(said.sum(1).mean()),
                "vocabulary": int(vocabulary),
                "first_tokens": int(first.max()) + 1,
                "first_purity": float(table.max(1).sum() / n),
                "shared": one.shared,
                "branching": float(np.concatenate(widths).mean()),
                "bytes_per_item": one.trie.nbytes / n,
            }
        )
    return pd.DataFrame(rows)
