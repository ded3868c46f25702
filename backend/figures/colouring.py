"""What the colour and the size of a point on a map say: departments, any column of the catalogue, counts, metrics.

- A *shade* is one byte a point: the number of a group, or a value on a scale of 256 steps. A hundred thousand points stay small.
- Departments have their own colours, the same as everywhere; other groups go through 24 colours, the largest first. Of more than
  64 groups only the 23 largest are told apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from backend.data import schema as s
from backend.figures.style import OTHER, PALETTE, department_colours, three
from backend.inspection.space import LatentSpace
from backend.tokenization.prefixes import prefix_name

DEPARTMENT, PURCHASES, SID, KEPT = "department", "purchases", "SID level 1", "kept neighbours"
_HIDDEN = {s.ITEM, s.TITLE, s.TEXT, s.SOURCE_DEPARTMENT, s.SOURCE_CATEGORY, s.SOURCE_TYPE}
_REST = "all others"
_STEPS = 256


@dataclass(frozen=True)
class Shade:
    """One colour a point.

    Shape:
        codes: (n,) uint8, number of the group or step on the scale; known: (n,) bool, False = grey.

    `names` and `colours` of the groups (empty for a scale); `ticks`: step → label of a scale.
    """

    title: str
    codes: np.ndarray
    known: np.ndarray
    names: Sequence[str] = ()
    colours: Sequence[str] = ()
    ticks: Sequence[tuple[float, str]] = field(default_factory=tuple)


def options(space: LatentSpace, items: pd.DataFrame) -> list[str]:
    """What points can be coloured by, departments first."""
    columns = [name for name in items.columns if name not in _HIDDEN | {s.DEPARTMENT, s.PRICE}]
    return [DEPARTMENT, s.PRICE, PURCHASES, SID, KEPT, *metrics(space), *columns]


def metrics(space: LatentSpace) -> list[str]:
    """Figures that the evaluation holds for each item."""
    table = space.measured()
    return [] if table is None else [str(name) for name in table.columns if name != "item"]


def shade(space: LatentSpace, items: pd.DataFrame, name: str, left: str, right: str) -> Shade:
    """The colours of all items.

    Args:
        name: one of `options`.
        left, right: the spaces that "kept neighbours" compares.
    """
    if name == DEPARTMENT:
        order = list(items[s.DEPARTMENT].value_counts().index.astype(str))
        return groups(items[s.DEPARTMENT].astype(str), name, order, department_colours(order))
    if name == PURCHASES:
        return scale(space.purchases().astype(float), "purchases", log=True)
    if name == KEPT:
        return scale(space.agreement(left, right), "share of the ten nearest that both spaces agree on", top=1.0)
    if name == SID:
        sids = space.vectors.sids()
        codes = pd.Series([prefix_name([code]) for code in sids[:, 0]]) if sids is not None else pd.Series([""] * len(items))
        return groups(codes, name)
    if name in metrics(space):
        table = space.measured()
        assert table is not None
        return scale(table.set_index("item")[name].reindex(range(len(items))).to_numpy(float), name)
    column = items[name]
    if pd.api.types.is_numeric_dtype(column):
        return scale(column.to_numpy(float), name, log=name == s.PRICE)
    return groups(column.astype(str), name)


def groups(labels: pd.Series, title: str, order: Sequence[str] = (), colours: dict[str, str] | None = None) -> Shade:
    """Groups by label; an empty label is no group. Shape: (n,)."""
    count = labels[labels != ""].value_counts()
    names = list(order) or [str(name) for name in count.index]
    if colours is None:
        if len(names) > 64:
            names = names[:23]
        colours = {name: _many()[row % 24] for row, name in enumerate(names)}
    told = [name for name in names if colours[name] != OTHER][:254]
    number = {name: row for row, name in enumerate(told)}
    codes = labels.map(number)
    rest = codes.isna() & (labels != "")
    if rest.any():
        told = [*told, _REST]
    return Shade(title, codes.fillna(len(number)).to_numpy(np.uint8), (~codes.isna()).to_numpy(bool), told,
                 [colours.get(name, OTHER) for name in told])  # fmt: skip


def scale(values: np.ndarray, title: str, log: bool = False, top: float | None = None) -> Shade:
    """Values on a scale of 256 steps between the 1st and the 99th percentile. Shape: (n,), NaN = grey."""
    known = np.isfinite(values)
    drawn = np.log10(np.maximum(values, 1e-3 if title == s.PRICE else 1.0)) if log else values
    low, high = (np.quantile(drawn[known], [0.01, 0.99]) if known.any() else (0.0, 1.0)) if top is None else (0.0, top)
    span = max(float(high - low), 1e-9)
    codes = np.where(known, np.clip((np.nan_to_num(drawn) - low) / span * (_STEPS - 1), 0, _STEPS - 1), 0)
    marks = np.linspace(0, 1, 5)
    ticks = [(share * (_STEPS - 1), three(10 ** (low + share * span) if log else low + share * span)) for share in marks.tolist()]
    return Shade(title, np.round(codes).astype(np.uint8), known, ticks=ticks)


def sizes(values: np.ndarray | None, n: int) -> np.ndarray | float:
    """Diameters in pixels: one for all, or by the square root of a value. Shape: (n,) → (n,) uint8."""
    base = 6.0 if n <= 10_000 else 4.0 if n <= 30_000 else 3.0
    if values is None:
        return base
    known = np.nan_to_num(values)
    top = float(np.quantile(known, 0.99)) or 1.0
    return np.round(base * 0.55 + 2.1 * base * np.sqrt(np.clip(known / top, 0, 1))).astype(np.uint8)


def _many() -> list[str]:
    """24 colours: the palette, then lighter, then darker."""

    def mixed(colour: str, to: int, share: float) -> str:
        parts = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
        return "#" + "".join(f"{round(part + (to - part) * share):02X}" for part in parts)

    return [*PALETTE, *(mixed(colour, 255, 0.45) for colour in PALETTE), *(mixed(colour, 0, 0.4) for colour in PALETTE)]
