"""What the workbench answers with: a list and how it came about, and two lists aligned. Plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:  # loads torch
    from backend.generation.trace import Trace


@dataclass(frozen=True)
class Recommendation:
    """A list and how it came about.

    `items` has the columns rank · item (row) · item_id · title · department · category · type · path · price · score · phi ·
    cos · p_item · prefix · sid · why · seen · rank_without_apf, and the source texts.
    """

    items: pd.DataFrame
    trace: Trace
    reading: Mapping[str, Any]  # what was understood of the instruction: task, filters, unknown
    timings_ms: Mapping[str, float]
    notes: Sequence[str] = field(default_factory=tuple)


@dataclass(frozen=True)
class Comparison:
    """Two lists for the same shopper; `moves` aligns them: item_id · title · department · left · right (ranks, NaN if absent)."""

    left: Recommendation
    right: Recommendation
    moves: pd.DataFrame

    @classmethod
    def of(cls, left: Recommendation, right: Recommendation) -> Comparison:
        """Align two lists item by item, in the order of the right one."""
        columns = ["item_id", "title", "department", "rank"]
        both = left.items[columns].merge(right.items[columns], on="item_id", how="outer", suffixes=("_l", "_r"))
        moves = pd.DataFrame(
            {
                "item_id": both["item_id"],
                "title": both["title_l"].fillna(both["title_r"]),
                "department": both["department_l"].fillna(both["department_r"]),
                "left": both["rank_l"].astype(float),
                "right": both["rank_r"].astype(float),
            }
        )
        return cls(left, right, moves.sort_values(["right", "left"], ignore_index=True))

    @property
    def overlap(self) -> float:
        """Share of the items of the shorter list that are in both."""
        shorter = min(len(self.left.items), len(self.right.items))
        return float(self.moves[["left", "right"]].notna().all(axis=1).sum() / shorter) if shorter else 0.0
