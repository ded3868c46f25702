"""Two lists side by side, the same item joined by a line: an HTML grid, so that it holds from 400 px to a wide screen."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping

import pandas as pd

from backend.figures.style import OTHER
from backend.frames import records
from pages.components.text import esc

ROW = 30  # pixels; the style sheet has the same


def aligned(moves: pd.DataFrame, left: str, right: str, colours: Mapping[str, str]) -> str:
    """The drawn lists.

    Args:
        moves: title · department · left · right (ranks, NaN where the item is not in that list).
        left, right: names of the lists.
        colours: of the departments.
    """
    lines = []
    for row in records(moves.dropna(subset=["left", "right"])):
        moved = row["left"] != row["right"]
        y0, y1 = (row[side] * ROW - ROW / 2 for side in ("left", "right"))
        colour = colours.get(row["department"], OTHER) if moved else "#80848c"
        lines.append(
            f'<path d="M0 {y0:g} C50 {y0:g} 50 {y1:g} 100 {y1:g}" fill="none" vector-effect="non-scaling-stroke" '
            f'stroke="{esc(colour)}" stroke-width="{2.2 if moved else 1.2}" opacity="{0.9 if moved else 0.25}"/>'
        )
    height = ROW * int(max(moves["left"].max(skipna=True), moves["right"].max(skipna=True), 1))
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 {height}" preserveAspectRatio="none">{"".join(lines)}</svg>'
    # an image, because the page's sanitiser takes inline SVG out
    source = "data:image/svg+xml;base64," + b64encode(svg.encode()).decode()
    drawing = f'<img src="{source}" alt="" style="height:{height}px">'
    return (
        f'<div class="sg-moves"><div class="head l">{esc(left)}</div><div></div><div class="head">{esc(right)}</div>'
        f'<div class="l">{_column(moves, "left", "right", colours)}</div><div>{drawing}</div>'
        f"<div>{_column(moves, 'right', 'left', colours)}</div></div>"
    )


def _column(moves: pd.DataFrame, side: str, other: str, colours: Mapping[str, str]) -> str:
    rows = []
    for item in records(moves.dropna(subset=[side]).sort_values(side)):
        lone, same = pd.isna(item[other]), item[side] == item[other]
        colour = esc(colours.get(str(item["department"]), OTHER))
        told = "only in this list" if lone else "same place" if same else f"place {item[other]:.0f} in the other list"
        rows.append(
            f'<div class="row{" same" if same else ""}" title="{esc(item["title"])}: {told}"><b class="{"lone" if lone else ""}" '
            f'style="background:{colour};--c:{colour}">{item[side]:.0f}</b><span>{esc(item["title"])}</span></div>'
        )
    return "".join(rows)
