"""The style sheet of the drawn pieces, put on the page once a run."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.components.navigation import ensure_routed

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
