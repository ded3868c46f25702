"""Is the codebook healthy? Verdicts in plain words with the thresholds they are held against, figures by level, collisions."""

from __future__ import annotations

import streamlit as st

from backend.workbench import Workbench
from pages.components import chips
from pages.components.text import count, esc, three

WORDS = {"good": "fine", "warn": "look here", "bad": "alarm"}


def section(bench: Workbench) -> None:
    """Draw the strip."""
    cards = "".join(
        f'<div class="sg-card"><h4>{_dot(verdict.grade)}{esc(verdict.name)} <span class="sg-tag {verdict.grade}">{WORDS[verdict.grade]}</span></h4>'
        f'<div class="sg-big">{esc(verdict.shown)}</div><div class="sg-small">{esc(verdict.sentence)}</div>'
        f'<div class="sg-small" style="margin-top:.3rem"><i>{esc(verdict.limits)}</i></div></div>'
        for verdict in bench.sids.verdicts()
    )
    st.html(f'<div class="sg-strip">{cards}</div>')
    with st.container(horizontal=True, gap="small"):
        with st.popover("Level by level", icon=":material/layers:"):
            st.html(by_level(bench))
        with st.popover("Collisions", icon=":material/call_merge:"):
            shared = bench.sids.collisions()
            if shared.empty:
                st.caption("Every item has a semantic ID of its own.")
            else:
                st.caption(f"{count(len(shared))} semantic IDs that most items share, with their first items.")
                st.dataframe(shared, hide_index=True, height=300, key="sid-collisions")


def _dot(grade: str) -> str:
    return chips.dot({"good": "ok", "warn": "stale"}.get(grade, "bad"))


def by_level(bench: Workbench) -> str:
    """The health report as a table."""
    rows = "".join(
        f"<tr><td>{row['level']}</td><td>{row['usage']:.0%}</td><td>{three(row['perplexity'])}</td><td>{1 - row['reconstruction_error']:.1%}</td>"
        f"<td>{row['purity']:.1%}</td><td>{row['prefixes']:,}</td></tr>"
        for row in bench.sids.health["levels"]
    )
    head = "".join(
        f"<th>{name}</th>" for name in ("Level", "Codes in use", "Perplexity", "Explained so far", "Purity", "Prefixes")
    )
    return f'<table class="sg-table"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
