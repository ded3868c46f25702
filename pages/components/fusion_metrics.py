"""Metrics by task against the reference, as tables whose cells are bars.

- Plain HTML, drawn by the style sheet: they are drawn anew at every move of a knob, and a chart of a hundred bars and two hundred words took a
  browser most of the time of a move. A screen reader has rows and columns too.
- The setting in the accent, green or red where the difference is sure; the reference as a grey outline behind it; 95 % intervals as whiskers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from backend.figures.fusion import NAMES, name_of, signed
from backend.frames import records
from pages.components.text import esc, three


def multiples(frame: pd.DataFrame, parts: Sequence[str], metrics: Sequence[str], n: int) -> str:
    """One small table a metric, a row a part.

    Args:
        frame: `FusionLab.compare`.
        parts, metrics: what is drawn, in this order.
        n: length of the lists.
    """
    lines = {(str(line["part"]), str(line["metric"])): line for line in records(frame)}
    tables = []
    for metric in metrics:
        own = {part: line for part in parts if (line := lines.get((part, metric))) is not None}
        ends = [line[end] for line in own.values() for end in ("high", "value", "reference") if math.isfinite(line[end])]
        full = max([*ends, 1e-9])
        unit = f" <span>({told})</span>" if (told := NAMES[metric][1]) else ""
        rows = "".join(_row(part, own.get(part), full) for part in parts)
        tables.append(f"<table><caption>{esc(name_of(metric, n))}{unit}</caption><tbody>{rows}</tbody></table>")
    return f'<div class="sg-multiples">{"".join(tables)}</div>'


def _row(part: str, line: Mapping[str, Any] | None, full: float) -> str:
    """One part's row; an empty one where it has no such metric."""
    head = f'<th scope="row" title="{esc(part)}">{esc(part)}</th>'
    if line is None:
        return f"<tr>{head}<td></td><td>–</td></tr>"
    share = {
        name: f"{100 * line[name] / full:.1f}%" for name in ("value", "reference", "low", "high") if math.isfinite(line[name])
    }
    sure = ("up" if line["diff"] > 0 else "down") if line["diff_low"] > 0 or line["diff_high"] < 0 else ""
    bar = f"--v:{share.get('value', 0)};--r:{share.get('reference', 0)}"
    whisker = f'<i style="--l:{share["low"]};--h:{share["high"]}"></i>' if {"low", "high"} <= share.keys() else ""
    return (
        f'<tr title="{esc(_told(line))}">{head}<td><div class="{sure}" style="{bar}">{whisker}</div></td>'
        f"<td>{three(line['value'])} {signed(line['diff'])}</td></tr>"
    )


def _told(line: Mapping[str, Any]) -> str:
    """The row in words, for the mouse."""
    interval = f"[{three(line['low'])}, {three(line['high'])}]" if math.isfinite(line["low"]) else "(no interval)"
    sure = f" [{line['diff_low']:+.4f}, {line['diff_high']:+.4f}]" if math.isfinite(line["diff_low"]) else ""
    return (
        f"{line['part']}: {three(line['value'])} {interval}, reference {three(line['reference'])}, difference {signed(line['diff'])}{sure}, "
        f"n = {int(line['n']):,}"
    )
