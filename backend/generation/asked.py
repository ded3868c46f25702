"""From a request to its list: what the instruction says of filters joins what the request says, and a total budget is kept.

- The request's own filters win over those that are read; what is to be left out adds up.
- A total is a matter of the list, not of an item: the ranked items are taken from the top as long as they fit, and what does not
  fit any more is passed over for what does (greedy; a knapsack would fill the list with whatever is cheap).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import pandas as pd

from backend.data import schema as c
from backend.data.schema import Dataset
from backend.generation.request import Request
from backend.generation.trace import Trace

OnStep = Callable[[str, dict], None]
WIDER = 20  # so many times the list's length are ranked where a total has to be kept
_MOST = 1000  # longest list that the fusion's settings allow
FILTERS = ("category", "max_price", "min_price", "max_total", "exclude", "deals", "theme", "seen")  # as a reading may name them


class Asked(Protocol):
    """What reads and recommends (`Generator`)."""

    dataset: Dataset

    def read(self, instruction: str) -> Any:
        """What is understood of an instruction."""

    def recommend(self, request: Request, on_step: OnStep | None = None) -> Trace:
        """The list for a request."""


def combined(request: Request, filters: dict[str, Any]) -> Request:
    """The request with the filters that were read of its instruction (`Reading.filters`)."""
    blank, update = Request(), {}
    for name in FILTERS:
        if name in filters and getattr(request, name) == getattr(blank, name):
            update[name] = tuple(filters[name]) if name == "exclude" else filters[name]
    if request.exclude and filters.get("exclude"):
        update["exclude"] = tuple(dict.fromkeys([*request.exclude, *filters["exclude"]]))
    return request.model_copy(update=update)


def recommend(generator: Asked, request: Request, on_step: OnStep | None = None) -> Trace:
    """The list for a request and its instruction, and how it came about.

    Raises:
        RequestError: the request cannot be served.
    """
    asked = combined(
        request, dict(generator.read(request.instruction).as_json()["filters"]) if request.instruction.strip() else {}
    )
    top = asked.fusion.top
    if asked.max_total is not None:
        fusion = asked.fusion.model_copy(update={"top": min(_MOST, max(top * WIDER, 200))})
        asked = asked.model_copy(update={"fusion": fusion})
    trace = generator.recommend(asked, on_step)
    if asked.max_total is not None:
        price = generator.dataset.items[c.PRICE].to_numpy(float)
        kept, total = within_total(trace.fused, price, asked.max_total, top)
        trace.notes = [
            note for note in trace.notes if "kept prefixes hold only" not in note and "items pass the filters" not in note
        ]
        if len(kept) < top:
            trace.notes.append(f"{len(kept)} items fit under a total of ${asked.max_total:g}")
        trace.notes.append(f"together ${total:.2f} of ${asked.max_total:g}")
        trace.fused = kept
    reading = trace.request.get("reading") or {}
    own = {name: getattr(asked, name) for name in ("max_total", "deals", "theme") if getattr(asked, name)}
    own |= {"exclude": list(asked.exclude)} if asked.exclude else {}
    trace.request |= request.model_dump(mode="json")
    trace.request["reading"] = {**reading, "filters": {**reading.get("filters", {}), **own}}
    return trace


def within_total(fused: pd.DataFrame, price: np.ndarray, total: float, top: int) -> tuple[pd.DataFrame, float]:
    """The first `top` rows of a ranked list that stay under a total together, ranked anew, and what they cost.

    Shape:
        price: (n_items,) dollars.
    """
    spent = 0.0
    taken: list[int] = []
    for place, item in enumerate(fused.sort_values("rank")["item"].tolist()):
        if len(taken) == top:
            break
        if spent + price[item] <= total + 1e-9:
            spent += float(price[item])
            taken.append(place)
    kept = fused.sort_values("rank").iloc[taken].reset_index(drop=True)
    kept["rank"] = np.arange(1, len(kept) + 1)
    return kept, spent
