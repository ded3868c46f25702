"""The trace of one recommendation: plain frames and numbers, from which pages, command line, tests and export draw.

Columns:
    prompt    position · kind (special|profile|history|instruction) · text · item (row or -1)
    prefixes  prefix ("a17·b3") · codes (list of int) · probability (φ) · legal (items left by the filters > 0) · kept · forced ·
              n_items (legal items inside) · level
    subsets   prefix · item (row) · cos (nearness: the mean of the cosines of h and of the names said, and of the pool) · p_item (inside the prefix) ·
              repeat · popularity (log priors added) · judge (s_hol, NaN where it plays no part) · score
    fused     rank · item (row) · prefix · phi · cos · p_item · score · rank_without_apf · seen (bought before)
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pandas as pd


@dataclass
class Trace:
    """Everything that happened between the prompt and the fused list."""

    request: dict[str, Any]  # the request, as JSON-able data
    prompt: pd.DataFrame
    prefixes: pd.DataFrame
    subsets: pd.DataFrame
    fused: pd.DataFrame
    sigma: float = 1.0  # σ, the spread of φ that adapts the item softmax
    notes: list[str] = field(default_factory=list)  # plain sentences for the user ("only 3 items pass the filters")
    timings_ms: dict[str, float] = field(default_factory=dict)  # prompt, prefixes, subsets, fusion, total
    demand: dict[str, float] = field(
        default_factory=dict
    )  # probability of each task the model knows, as it hears the instruction
    pools: dict[str, int] = field(default_factory=dict)  # items that belong to what is asked, of each task whose pool is known

    def to_json(self, items: pd.DataFrame | None = None) -> str:
        """The whole trace as one JSON document; with `items` given, rows get their item ids and titles."""

        def records(frame: pd.DataFrame) -> Any:
            if items is not None and "item" in frame:
                known = frame["item"] >= 0
                frame = frame.assign(
                    item_id=items["item_id"].reindex(frame["item"]).where(known.to_numpy()).to_numpy(),
                    title=items["title"].reindex(frame["item"]).where(known.to_numpy()).to_numpy(),
                )
            return json.loads(frame.to_json(orient="records"))

        return json.dumps(
            {
                "request": self.request,
                "demand": self.demand,
                "pools": self.pools,
                "sigma": self.sigma,
                "notes": self.notes,
                "timings_ms": self.timings_ms,
                "prompt": records(self.prompt),
                "prefixes": records(self.prefixes),
                "subsets": records(self.subsets),
                "fused": records(self.fused),
            },
            indent=1,
        )
