"""Ranking, list and money metrics, vectorised over many lists at once.

- A recommendation is a row of item *rows* (never semantic IDs: a collision must not be credited as a hit), padded with -1.
- Targets are ragged: one array of distinct item rows for each list.
- Everything that exists for a single list is returned for each list (shape `(n,)`), because the bootstrap needs it; catalogue
  coverage alone belongs to all lists together.
- A metric that is undefined for a list (diversity of one item, constraint without a constraint) is NaN there, not zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from backend.data.schema import CATEGORY, DEPARTMENT, EVENT_ITEM, EVENT_USER, PRICE, Dataset
from backend.data.tail import HEAD, tail_items

KS = (1, 5, 10, 20)
ACCURACY = ("hr", "recall", "ndcg", "value")  # need targets
LISTWISE = ("breadth", "diversity", "novelty", "tail", "constraint")  # need only the list
OVERALL = ("coverage",)  # belong to all lists together

Ints = npt.NDArray[np.integer]
Floats = npt.NDArray[np.floating]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Catalogue:
    """What the metrics know about the items; measured on training events only.

    Shapes: every array is (n_items,), `vectors` is (n_items, dim) with unit rows, or None.
    """

    category: Ints  # code of the (department, category) pair
    price: Floats  # money
    surprise: Floats  # -log2 of the probability that a training household bought the item
    tail: Bools  # outside the head of items that makes 80 % of the training purchases
    vectors: Floats | None = None

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.category)


def catalogue(dataset: Dataset, train_events: Bools, vectors: Floats | None = None, head: float = HEAD) -> Catalogue:
    """Item facts for the metrics.

    Args:
        dataset: the tables.
        train_events: Shape: (n_events,), the events that may be counted.
        vectors: Shape: (n_items, dim), item vectors for intra-list diversity; they are normalised here. Rows of zeros stay zeros.
        head: share of the training purchases that makes the head.
    """
    events = dataset.events.loc[np.asarray(train_events)]
    items, users = events[EVENT_ITEM].to_numpy(), events[EVENT_USER].to_numpy()
    purchases = np.bincount(items, minlength=dataset.n_items)
    pairs = np.unique(users.astype(np.int64) * dataset.n_items + items)
    households = np.bincount(pairs % dataset.n_items, minlength=dataset.n_items)
    # +1: an item that nobody bought in training is very novel, not infinitely so
    probability = (households + 1) / (len(np.unique(users)) + 1)
    names = dataset.items[DEPARTMENT] + "\x00" + dataset.items[CATEGORY]
    unit = None
    if vectors is not None:
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit = (vectors / np.where(norms > 0, norms, 1)).astype(np.float32)
    return Catalogue(
        category=pd.factorize(names)[0],
        price=dataset.items[PRICE].to_numpy(float),
        surprise=-np.log2(probability),
        tail=tail_items(purchases, head),
        vectors=unit,
    )


def hits(lists: Ints, targets: Sequence[Ints]) -> Bools:
    """Which recommended items are targets.

    Args:
        lists: Shape: (n, k), item rows, -1 = empty place.
        targets: n arrays of distinct item rows.

    Returns:
        Shape: (n, k).
    """
    lengths = np.array([len(target) for target in targets], np.int64)
    if not lengths.sum() or not lists.size:
        return np.zeros(lists.shape, bool)
    flat = np.concatenate(targets).astype(np.int64)
    width = int(max(flat.max(), lists.max())) + 1
    keys = np.repeat(np.arange(len(targets), dtype=np.int64), lengths) * width + flat
    places = np.arange(len(lists), dtype=np.int64)[:, None] * width + lists
    return np.isin(places, keys) & (lists >= 0)


def accuracy(
    lists: Ints, targets: Sequence[Ints], price: Floats, ks: Sequence[int] = KS, hit: Bools | None = None
) -> dict[tuple[str, int], Floats]:
    """HR@K, Recall@K, binary NDCG@K (the ideal list holds min(K, targets) hits) and value@K (money: prices of the hit items).

    Args:
        lists: Shape: (n, k) with k ≥ max(ks); a shorter array counts as padded.
        targets: n arrays of distinct item rows; a list without targets is NaN.
        price: Shape: (n_items,), money.
        hit: which places are hits, where that is known already. Shape: (n, k).

    Returns:
        {(metric, K): Shape: (n,)}.
    """
    hit = hits(lists, targets) if hit is None else hit
    counts = np.array([len(target) for target in targets], np.int64)
    discount = 1 / np.log2(np.arange(max([lists.shape[1], *ks])) + 2)
    ideal = np.concatenate([[0.0], np.cumsum(discount)])
    money = np.where(hit, price[np.maximum(lists, 0)], 0.0)
    undefined = counts == 0
    safe = np.maximum(counts, 1)
    result: dict[tuple[str, int], Floats] = {}
    for k in ks:
        top = hit[:, :k]
        found = top.sum(1)
        gain = (top * discount[: top.shape[1]]).sum(1)
        values = {
            "hr": (found > 0).astype(float),
            "recall": found / safe,
            "ndcg": gain / ideal[np.minimum(safe, k)],
            "value": money[:, :k].sum(1),
        }
        for name, value in values.items():
            result[name, k] = np.where(undefined, np.nan, value)
    return result


def listwise(
    lists: Ints, facts: Catalogue, allowed: Sequence[Bools | None] | None = None, ks: Sequence[int] = KS
) -> dict[tuple[str, int], Floats]:
    """Category breadth, intra-list diversity, novelty (bits), tail share and constraint satisfaction of each list.

    Empty places count for nothing: shares and means are over the items that are there; a list without any is NaN (breadth: 0).

    Args:
        lists: Shape: (n, k), item rows, -1 = empty place.
        facts: the items' facts; diversity is left out where it has no vectors.
        allowed: for each list the mask (n_items,) of items that satisfy its instruction, or None; NaN where None. Satisfaction is the share
            of the places that can be satisfied: a list of ten whose instruction allows four items is right with those four in it.

    Returns:
        {(metric, K): Shape: (n,)}.
    """
    result: dict[tuple[str, int], Floats] = {}
    satisfied, pool = _satisfied(lists, allowed)
    for k in ks:
        top = lists[:, :k]
        real = top >= 0
        n = real.sum(1)
        rows = np.maximum(top, 0)
        result["breadth", k] = _distinct(np.where(real, facts.category[rows], -1))
        result["novelty", k] = _mean(facts.surprise[rows], real, n)
        result["tail", k] = _mean(facts.tail[rows], real, n)
        could = np.minimum(n, pool)  # no list can keep to a constraint in more places than it leaves items
        result["constraint", k] = satisfied[:, :k].sum(1) / np.where(could > 0, could, np.nan)
        if facts.vectors is not None:
            result["diversity", k] = _diversity(rows, real, n, facts.vectors)
    return result


def coverage(lists: Ints, n_items: int, k: int) -> float:
    """Catalogue coverage@K: distinct items over all lists / items."""
    top = lists[:, :k]
    return np.count_nonzero(np.bincount(top[top >= 0], minlength=n_items)) / n_items if n_items else 0.0


def _mean(values: npt.NDArray, real: Bools, n: Ints) -> Floats:
    with np.errstate(invalid="ignore"):
        return np.where(real, values, 0).sum(1) / np.where(n > 0, n, np.nan)


def _distinct(codes: Ints) -> Floats:
    """Number of distinct codes ≥ 0 in each row: after sorting, the places where a new code begins."""
    if not codes.shape[1]:
        return np.zeros(len(codes))
    codes = np.sort(codes, axis=1)
    new = np.ones(codes.shape, bool)
    new[:, 1:] = codes[:, 1:] != codes[:, :-1]
    return (new & (codes >= 0)).sum(1).astype(float)


def _diversity(rows: Ints, real: Bools, n: Ints, vectors: Floats, batch: int = 2048) -> Floats:
    """Mean of 1 - cos over the pairs of a list; |Σu|² = Σ|u|² + 2 Σ_{i<j} cos(i, j) saves the pair matrix."""
    result = np.full(len(rows), np.nan)
    for start in range(0, len(rows), batch):
        part = slice(start, start + batch)
        units = vectors[rows[part]].astype(np.float64) * real[part, :, None]  # (batch, k, dim)
        cosines = ((units.sum(1) ** 2).sum(1) - (units**2).sum((1, 2))) / 2
        pairs = n[part] * (n[part] - 1) / 2
        result[part] = np.where(pairs > 0, 1 - cosines / np.maximum(pairs, 1), np.nan)
    return result


def _satisfied(lists: Ints, allowed: Sequence[Bools | None] | None) -> tuple[Bools, Ints]:
    """(n, k) whether each item obeys its list's constraint, and (n,) how many items obey it; 0 where there is none."""
    satisfied, pool = np.zeros(lists.shape, bool), np.zeros(len(lists), np.int64)
    for row, mask in enumerate(allowed if allowed is not None else ()):
        if mask is not None:
            satisfied[row], pool[row] = mask[np.maximum(lists[row], 0)], mask.sum()
    return satisfied & (lists >= 0), pool


def by_item(lists: Ints, targets: Sequence[Ints], n_items: int) -> pd.DataFrame:
    """What happened to each item over all lists: item · targets (lists that wanted it) · hits (that wanted and show it) · shown.

    Items without any count are left out, so that the table stays small.

    Shape:
        lists: (n, k), -1 where empty; targets: n arrays of distinct item rows.
    """
    rows, columns = np.nonzero(lists >= 0)
    shown = lists[rows, columns]
    wanted = np.concatenate([np.asarray(each, np.int64) for each in targets]) if len(targets) else np.zeros(0, np.int64)
    owner = np.repeat(np.arange(len(targets)), [len(each) for each in targets])
    hit = np.isin(rows * n_items + shown, owner * n_items + wanted)
    counts = [np.bincount(each, minlength=n_items).astype(np.int32) for each in (wanted, shown[hit], shown)]
    frame = pd.DataFrame(
        {"item": np.arange(n_items, dtype=np.int32), "targets": counts[0], "hits": counts[1], "shown": counts[2]}
    )
    return frame[(frame["targets"] > 0) | (frame["shown"] > 0)]
