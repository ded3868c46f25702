"""Head and tail of a catalogue: the one rule that the Longtail task and the tail metric share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

HEAD = 0.8  # share of the training purchases that makes the head


def tail_items(purchases: npt.NDArray[np.integer], head: float = HEAD) -> npt.NDArray[np.bool_]:
    """Items outside the head: the fewest best sellers that together make at least `head` of the purchases.

    Shape: (n_items,) → (n_items,).
    """
    order = np.argsort(-purchases, kind="stable")
    cumulative = np.cumsum(purchases[order])
    total = cumulative[-1] if len(cumulative) else 0
    n_head = int(np.searchsorted(cumulative, head * total - 1e-9)) + 1 if total else 0
    tail = np.ones(len(purchases), bool)
    tail[order[:n_head]] = False
    return tail
