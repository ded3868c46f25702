"""The example browser: one example's list before and after, and which term moved what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from backend.figures import style
from backend.figures.fusion import NAMES, name_of, signed
from backend.workbench import Workbench
from pages.components import chips, inspector
from pages.components.aligned import aligned
from pages.components.fusion_form import ORDERS
from pages.components.text import esc, three

if TYPE_CHECKING:
    from backend.inspection.lab import FusionLab, Scores, Why
MOST = 50  # examples that can be chosen from
TERMS = {"prefix": "prefix φ", "cosine": "cosine", "repeat": "repeat", "popularity": "popularity", "rivals": "rivals in the prefix",
         "value": "value", "judge": "judge", "diversity": "diversity"}  # fmt: skip


def section(bench: Workbench, lab: FusionLab, now: Scores, before: Scores) -> None:
    """Draw the choice of an example, the aligned lists and the table of reasons; only while it is open, since a moved knob makes it again."""
    frame = st.expander("**Why did this example move?** One list before and after, and the term that moved each item",
                        icon=":material/swap_vert:", key="lab-examples", on_change="rerun")  # fmt: skip
    if not frame.open:
        return
    with frame:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            parts, of = list(lab.parts), st.session_state.get("lab-of")
            st.session_state["lab-example-part"] = of if of in parts else parts[0]
            part = str(st.selectbox("Task of the example", parts, key="lab-example-part", width=220, on_change=_choose,
                                    args=("lab-example-part", "lab-of")))  # fmt: skip
            if st.session_state.get("lab-example-order") not in ORDERS:
                st.session_state["lab-example-order"] = next(iter(ORDERS))
            order = str(st.selectbox("Examples that", list(ORDERS), key="lab-example-order", width=180, persist_state="session"))
            ranked = _ranked(lab, now, before, part, order)
            if not len(ranked):
                st.html('<div class="sg-small">No example of this kind: move a slider, or choose another order.</div>')
                return
            about = lab.cases.cases.iloc[lab.rows[ranked]]
            names = {int(q): f"{row.user_id}: {row.instruction}" for q, row in zip(ranked, about.itertuples(), strict=True)}
            chosen = str(st.session_state.get("lab-chosen") or "")
            st.session_state["lab-example"] = next((q for q in names if str(q) == chosen), next(iter(names)))
            question = int(st.selectbox("Example", list(names), key="lab-example", format_func=lambda q: names[q][:90], width=460,
                                        on_change=_choose, args=("lab-example", "lab-chosen")) or 0)  # fmt: skip
        from backend.inspection.lab import why

        told = why(lab, question, before, now)
        _draw(bench, told, now.setting.top)


def _choose(widget: str, kept: str) -> None:
    """What was chosen by hand goes into the link; what is shown for want of a choice does not."""
    st.session_state[kept] = str(st.session_state[widget])


def _ranked(lab: FusionLab, now: Scores, before: Scores, part: str, order: str) -> np.ndarray:
    from backend.inspection.lab import moved

    own = lab.parts[part]
    if order == "changed most":
        by = moved(lab, before, now, part)
    else:
        gain = (now.values["recall"] - before.values["recall"])[own]
        by = gain if order == "gained hits" else -gain
    found = np.argsort(-by, kind="stable")[:MOST]
    return own.start + found[by[found] > 0]


def _draw(bench: Workbench, told: Why, n: int) -> None:
    facts = bench.dataset.items.iloc[told.items["item"]].reset_index(drop=True)
    items = pd.concat([told.items.reset_index(drop=True), facts[["item_id", "title", "department"]]], axis=1)
    items["title"] = ["✓ " * hit + title for hit, title in zip(items["hit"], items["title"], strict=True)]
    shown = [(name, told.figures[name]) for name in NAMES if name in told.figures]
    marks = [f"{name_of(name, n)} {three(b)} {signed(b - a)}" for name, (a, b) in shown if np.isfinite(a) and np.isfinite(b)]
    about = f"Household {told.user_id} · “{told.instruction}” · {len(told.targets)} targets; ✓ = one of them"
    st.html(f'<div class="sg-small">{esc(about)}</div>{chips.tags(marks)}')
    st.html(aligned(items, "reference", "now", style.department_colours(bench.departments())))
    moved = items[items["left"].fillna(0) != items["right"].fillna(0)].reset_index(drop=True)
    if moved.empty:
        st.html('<div class="sg-small">Nothing moved in this list.</div>')
        return
    table, used = _reasons(moved)
    term: Any = st.column_config.NumberColumn(
        format="%+.2f", help="Change of this term in the log score, less its mean over both lists."
    )
    event: Any = st.dataframe(
        table, hide_index=True, key=f"lab-why-{st.session_state.get('lab-inspected', 0)}", on_select="rerun",
        selection_mode="single-row", height=min(36 * len(table) + 40, 420),
        column_config={"item": st.column_config.TextColumn(width=300), **dict.fromkeys(used, term)},
    )  # fmt: skip
    st.html(
        '<div class="sg-small">Numbers: change of a term in the log score, less its mean over both lists (what moves all alike moves none). '
        "Choose a row to inspect the item.</div>"
    )
    chosen = event.selection.rows
    if chosen:
        st.session_state["lab-inspected"] = st.session_state.get("lab-inspected", 0) + 1
        inspector.inspect(bench, str(moved["item_id"].iat[chosen[0]]))


def _reasons(moved: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The table of reasons, and which of its columns are terms (only those that changed)."""
    used = {name: told for name, told in TERMS.items() if moved[name].abs().max() > 5e-4}
    places = ["–" if pd.isna(place) else f"{place:.0f}" for place in (*moved["left"], *moved["right"])]
    steps = [f"{left} → {right}" for left, right in zip(places[: len(moved)], places[len(moved) :], strict=True)]
    table = pd.DataFrame({"item": moved["title"], "place": steps})
    table["moved by"] = [TERMS.get(name, "others") for name in moved["mover"]]
    for name, told in used.items():
        table[told] = moved[name]
    if moved["note"].any():
        table["note"] = moved["note"]
    return table, list(used.values())
