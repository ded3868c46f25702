"""Repeat purchases beside a beam of full SIDs (ours; the article's recipe has no such term, SIGMA's repeat prior is its model).

    P(item) = (1 − β) · P_model(item) + β · P_own(item)        P_own(item) ∝ baskets that held it · 0.5^(days since the last / 90)

A mixture, as of a copy mechanism: with β the next item is one of the household's own, else what the model says. Items that the beam did not
reach count as 0 of the model. Items that a filter hides are left out of both parts, so where bought items are hidden the model stands alone.
"""

from __future__ import annotations

import numpy as np

from backend.data.history import History

HALF_LIFE = 90.0  # days


def own_shares(history: History) -> np.ndarray:
    """P_own of each item of a history. Shape: (h,) float64, sum 1 where there is any item."""
    weight = history.counts * 0.5 ** (history.days / HALF_LIFE)
    total = weight.sum()
    return weight / total if total > 0 else np.zeros(len(weight))


def mixed(
    items: np.ndarray, log_p: np.ndarray, history: History, share: float, allowed: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """A beam's items and the household's own in one list, best first; ties go to the smaller item row.

    Args:
        share: β, 0 = the beam as it is.

    Shape:
        items, log_p: (m,) of a beam (`rank_items`); allowed: (n_items,) bool, None = all; returns: items (k,), P (k,).
    """
    own, part = history.items, own_shares(history)
    if allowed is not None:
        keep = allowed[own]
        own, part = own[keep], part[keep]
    if not share or not len(own):
        return items, np.exp(log_p.astype(np.float64))
    both, place = np.unique(np.concatenate([items, own]), return_inverse=True)
    p = np.zeros(len(both))
    np.add.at(p, place[: len(items)], (1 - share) * np.exp(log_p.astype(np.float64)))
    np.add.at(p, place[len(items) :], share * part)
    order = np.argsort(-p, kind="stable")
    return both[order], p[order]
