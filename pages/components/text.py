"""Words and numbers on a page. What comes from the catalogue or a user passes through `esc` (HTML) or `md` (Markdown)."""

from __future__ import annotations

import html
import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from backend.figures.style import three

__all__ = ["count", "duration", "esc", "labels", "md", "money", "pick", "three"]
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:])")


def esc(value: object) -> str:
    """Text for HTML: tags, quotes and ampersands made harmless."""
    return html.escape(str(value), quote=True)


def md(value: object) -> str:
    """Text for a Markdown label: formatting, links, icons, formulas and tags made harmless."""
    return _MARKDOWN.sub(r"\\\1", str(value).replace("\n", " "))


def count(value: float | None) -> str:
    """A count: exact below ten thousand, three significant digits with k or M above.

    >>> [count(x) for x in (2466, 45678, 1234567)]
    ['2,466', '45.7 k', '1.23 M']
    """
    if value is None or not math.isfinite(value):
        return "–"
    if value < 10_000:
        return f"{value:,.0f}"
    return f"{three(value / 1e6)} M" if value >= 999_500 else f"{three(value / 1e3)} k"


def labels(titles: Mapping[str, str], length: int = 36) -> dict[str, str]:
    """Short Markdown-safe labels of items, no two alike (widgets tell options apart by their label)."""
    found: dict[str, str] = {}
    taken: Counter[str] = Counter()
    for key, title in titles.items():
        text = title if len(title) <= length else title[: length - 1].rstrip() + "…"
        taken[text] += 1
        found[key] = md(text if taken[text] == 1 else f"{text} ({taken[text]})")
    return found


def money(value: float) -> str:
    """A price."""
    return f"${value:,.2f}" if math.isfinite(value) else "no price"


def duration(seconds: float | None) -> str:
    """A time span in the unit one would say it in."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{three(1000 * seconds)} ms"
    if seconds < 120:
        return f"{three(seconds)} s"
    return f"{three(seconds / 60)} min" if seconds < 7200 else f"{three(seconds / 3600)} h"


def pick(metrics: Mapping[str, Any], *names: str) -> Any:
    """The first of these figures that the manifest has, looked for one level deep too."""
    for name in names:
        if name in metrics:
            return metrics[name]
        for value in metrics.values():
            if isinstance(value, Mapping) and name in value:
                return value[name]
    return None
