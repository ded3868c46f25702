"""The sidebar: which workspace, is it healthy, which shopper is in focus, what is this page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import Page

from backend.errors import SigmascopeError
from pages.components import address, chips, state
from pages.components.navigation import ABOUT
from pages.components.text import esc


def draw(page: Page, offered: Mapping[str, Sequence[Page]]) -> None:
    """Draw the sidebar; a missing workspace is told by the page, here it only turns the dot red."""
    address.opened(page.url_path)
    with st.sidebar:
        links(page, offered)
        try:
            info = state.current().info()
            name = "Shipped demo" if info.demo else Path(info.path).name
            health, problems, usable = info.state, info.problems, info.usable
        except SigmascopeError as error:
            name, health, problems, usable = "No workspace", "missing", [error.what], False
        if health == "missing" and usable:
            health, problems = "stale", ["not evaluated yet"]
        words = {"ok": "healthy", "stale": "usable" if usable else "partly stale", "missing": "incomplete", "damaged": "damaged"}[
            health
        ]
        st.html(
            f'<div class="sg-small">Workspace</div><div>{chips.dot(health)}<b>{esc(name)}</b> '
            f'<span class="sg-small">{words}</span></div>'
            + "".join(f'<div class="sg-small">{esc(problem)}</div>' for problem in problems[:3])
        )
        title = page.title
        if title in ABOUT:
            with st.expander("What is this page?", icon=":material/help:"):
                st.caption(ABOUT[title])
        if title != "Recommend" and "focus" in st.session_state:
            focus(st.session_state["focus"])


def links(page: Page, offered: Mapping[str, Sequence[Page]]) -> None:
    """The pages, each by the address that it was left with, so that going there is one step."""
    for section, entries in offered.items():
        with st.container(key=f"navigation-{section}", gap=None):
            for entry in entries:
                to = {} if entry.url_path == page.url_path else address.kept(entry.url_path)
                st.page_link(entry, query_params=to or None)


def focus(shopper: str) -> None:
    """Tell which shopper is in focus; the Recommend page does so itself, as soon as it knows."""
    st.session_state["focus"] = shopper
    st.sidebar.html(f'<div class="sg-small">Shopper in focus</div><div style="font-size:.9rem">{esc(shopper)}</div>')
