"""What is asked in all: filters that the instruction says join those that the request sets, and a total budget is kept.

- The request's own filters win over those that are read; what is to be left out adds up.
- A total is a matter of the list, not of an item: the ranked items are taken from the top as long as they fit, and what does not
  fit any more is passed over for what does (greedy; a knapsack would fill the list with whatever is cheap).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from backend.generation.request import Request
from backend.instructions.reading import Reading
from backend.instructions.templates import sanitise
from backend.settings import FusionSettings

FILTERS = ("category", "max_price", "min_price", "max_total", "exclude", "deals", "theme", "seen")  # as a reading may name them
DEFAULT_INSTRUCTION = "What should I put in my cart next?"  # what an empty one asks
_WIDER, _LEAST, _MOST = 20, 200, 1000  # lists to choose from where a total has to be kept: so many times as long, and its bounds


def understood(request: Request, read: Callable[[str], Reading]) -> tuple[Reading, Request]:
    """What is read of a request's instruction, and the request with it; where there is none, nothing is added.

    Args:
        read: reads an instruction, and an empty one as the question for the next basket.
    """
    text = sanitise(request.instruction) if request.instruction.strip() else ""
    reading = read(text)
    return reading, combined(request, reading.filters if text else {})


def described(request: Request, reading: Reading, asked: Request) -> dict[str, Any]:
    """The request with what was understood of it, as JSON-able data for a trace."""
    told = {**reading.as_json(), "filters": filters_json(asked), "instruction": reading.instruction}
    return {**request.model_dump(mode="json"), "reading": told}


def combined(request: Request, filters: dict[str, Any]) -> Request:
    """The request with the filters that were read of its instruction (`Reading.filters`)."""
    blank, update = Request(), {}
    for name in FILTERS:
        if name in filters and getattr(request, name) == getattr(blank, name):
            update[name] = tuple(filters[name]) if name == "exclude" else filters[name]
    if request.exclude and filters.get("exclude"):
        update["exclude"] = tuple(dict.fromkeys([*request.exclude, *filters["exclude"]]))
    return request.model_copy(update=update)


def filters_json(asked: Request) -> dict[str, Any]:
    """The filters that are set, as JSON-able data; a stock list as its length."""
    blank = Request()
    out = {name: getattr(asked, name) for name in FILTERS if getattr(asked, name) != getattr(blank, name)}
    if "exclude" in out:
        out["exclude"] = list(out["exclude"])
    return out if asked.stock is None else {**out, "stock": len(asked.stock)}


def to_choose_from(settings: FusionSettings, total: float | None) -> FusionSettings:
    """The settings under which items are ranked: where a total has to be kept, of a longer list."""
    if total is None:
        return settings
    return settings.model_copy(update={"top": min(_MOST, max(settings.top * _WIDER, _LEAST))})


def within_total(fused: pd.DataFrame, price: np.ndarray, total: float, top: int) -> tuple[pd.DataFrame, float]:
    """The first `top` rows of a ranked list that stay under a total together, ranked anew, and what they cost, in dollars.

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


def total_notes(found: int, wanted: int, spent: float, total: float) -> list[str]:
    """What to say of a list under a total."""
    few = [f"{found} items fit under a total of ${total:g}"] if found < wanted else []
    return [*few, f"together ${spent:.2f} of ${total:g}"]
