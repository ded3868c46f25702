"""The style sheet of the drawn pieces, put on the page once a run."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.components.chips import symbol
from pages.components.navigation import HINTS, ensure_routed
from pages.components.text import esc

_SHEET = Path(__file__).with_name("style.html")
LOGO = Path(__file__).with_name("logo.svg")


def style() -> None:
    """Put the style sheet on the page."""
    st.html(_SHEET.read_text("utf-8"))


def header(title: str, question: str) -> None:
    """The page's name and the question that it answers."""
    ensure_routed()
    st.title(title, anchor=False)
    st.html(f'<p class="sg-q">{question}</p>')
    if title in HINTS and not st.session_state.get(f"hint/{title}"):
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key="hint"):
            st.html(f'<div class="sg-small">{symbol("lightbulb")} {esc(HINTS[title])}</div>', width="content")
            st.button("Got it", key=f"hint-{title}", type="tertiary", on_click=_put_away, args=(title,), width="content")


def _put_away(title: str) -> None:
    st.session_state[f"hint/{title}"] = True
