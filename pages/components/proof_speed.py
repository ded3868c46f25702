"""Measurements of time and size, each drawn by its kind; a kind that is not known is shown as a table."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from backend.figures import speed as figures
from backend.frames import records
from backend.inspection.evidence import Evidence, Rows
from pages.components import proof

TITLES = {"latency": "Latency of a recommendation, by step", "startup": "From nothing to the first recommendation",
          "fusion": "Re-ranking all examples", "redraw": "A slider moved: until the Fusion page stands still again",
          "decode": "Decoding by the size of the catalogue", "load": "Several sessions at once"}  # fmt: skip
SPEED, SCALE = ("latency", "startup", "fusion", "redraw"), ("decode", "load")


def section(found: Evidence, kinds: tuple[str, ...], rest: bool) -> None:
    """All measurements of these kinds; what was not measured names its command.

    Args:
        rest: also draw measurements of kinds that nobody knows.
    """
    by_kind: dict[str, list[Rows]] = {}
    for rows in found.rows.values():
        by_kind.setdefault(rows.kind, []).append(rows)
    for kind in kinds:
        for rows in by_kind.get(kind, ()):
            _draw(rows)
        if kind not in by_kind and kind in found.missing:
            proof.missing(TITLES[kind], found.missing[kind])
    for kind, many in by_kind.items() if rest else ():
        if kind not in SPEED + SCALE:
            for rows in many:
                proof.block(kind.capitalize(), None, rows.frame, rows.origin, "")


def _draw(rows: Rows) -> None:
    frame, title = rows.frame, TITLES[rows.kind]
    if frame.empty:
        proof.block(title, None, frame, rows.origin, "", note="The file holds no rows.")
    elif len(frame) == 1 and rows.kind == "startup":
        proof.block(title, None, frame, rows.origin, "", table=proof.tiles(records(frame)[0]))
    elif rows.kind == "decode" and {"items", "method", "step_ms"} <= set(frame.columns):
        steps = frame.dropna(subset=["items", "step_ms"]).dropna(axis=1, how="all")
        drawn = steps[steps["step_ms"] > 0]  # no constraint costs nothing: it has no place on a logarithmic axis
        proof.block(title, figures.scaling(drawn, "items", "step_ms", "method", "ms a step"), steps, rows.origin,
                    "What keeping the beam legal adds to a decoding step, against the number of items, a line a method.",
                    note="Both axes are logarithmic; the median over numbers of beams and shapes of semantic IDs.")  # fmt: skip
        rest = frame[frame["items"].isna()].dropna(axis=1, how="all")
        if len(rest):
            whole = {"generation", "beams", "ms_per_request"} <= set(rest.columns)
            proof.block("A whole request, by decoding", figures.generations(rest) if whole else None, rest, rows.origin,
                        "Median milliseconds of a request by each way to generate." if whole else "",
                        note="The axis is logarithmic; medians." if whole else "")  # fmt: skip
    elif "p50_ms" in frame.columns and "p95_ms" in frame.columns:
        stacked = any(str(name).startswith("by_step_ms.") for name in frame.columns)
        draw = figures.steps if stacked else figures.percentiles
        proof.block(title, draw(frame, labels(rows)), frame, rows.origin, "Median milliseconds of each row, with a tick at the 95th percentile.",
                    note="Bars: medians. Tick: 95 % of requests took at most this long." if stacked else "")  # fmt: skip
    else:
        proof.block(title, None, frame, rows.origin, "")


def labels(rows: Rows) -> list[str]:
    """A name for each row, from what tells rows apart."""
    return [_label(rows.kind, row, rows.frame) for row in records(rows.frame)]


def _label(kind: str, row: Mapping[str, object], frame: pd.DataFrame) -> str:
    if kind == "latency":
        varied = [name for name in ("recipe", "backbone") if name in frame and frame[name].nunique() > 1]
        return " ".join([*(str(row[name]) for name in varied), f"history {row['history']}, K {row['K']} × M {row['M']}"])
    if kind == "fusion":
        return f"{row['examples']:,} examples × {row['candidates']:,} candidates" + (
            f", {row['terms']}" if "terms" in row else ""
        )
    if kind == "redraw":
        return f"{row['slider']}, {row['lists']:,} lists"
    if kind == "load":
        return f"{row['sessions']} sessions"
    return ", ".join(f"{name} {value}" for name, value in row.items() if not str(name).endswith("_ms") and "." not in str(name))


def made(found: Mapping[str, Rows]) -> None:
    """How the workspace was made: time and memory, health of the codes, recall of the grounding."""
    for title, rows in found.items():
        proof.block(title, None, rows.frame, rows.origin, "")
    if not found:
        st.info("This workspace has no stages that were measured.", icon=":material/straighten:")
