"""The visual language of all figures: colours, numbers, labels.

- One categorical palette (Okabe-Ito's hues, safe for the common forms of colour blindness, of middle lightness so that they
  hold on light and dark ground) is bound to the departments, largest first; the ninth and later departments are grey. Colour
  never stands alone: every mark has its name on hover or beside it.
- Grey is context: pruned prefixes, items that did not make the list, baselines.
- Fonts and ground come from the app's theme; nothing here sets a background.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#999933", "#882255")
OTHER = "#8A8F98"  # departments beyond the palette
GREY, FAINT, HAIR = "rgba(128,132,140,0.55)", "rgba(128,132,140,0.28)", "rgba(128,132,140,0.13)"
ACCENT = "#6A70E0"


def department_colours(departments: Sequence[str]) -> dict[str, str]:
    """Colour of each department; the order (largest first) decides, so a workspace always shows the same ones."""
    return {name: PALETTE[row] if row < len(PALETTE) else OTHER for row, name in enumerate(departments)}


def three(value: float | None) -> str:
    """Three significant digits; "–" for a missing value.

    >>> [three(x) for x in (0.043051, 12.345, 1512.0, None)]
    ['0.0431', '12.3', '1,510', '–']
    """
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    digits = 2 - math.floor(math.log10(abs(value)))
    rounded = round(value, digits)
    return f"{rounded:,.{max(digits, 0)}f}"


def short(text: str, length: int) -> str:
    """Text cut to `length` characters, escaped for plotly's (small) HTML."""
    return escape(text if len(text) <= length else text[: length - 1].rstrip() + "…", quote=False)
