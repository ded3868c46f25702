"""The pages that exist, in the order of the navigation. A new page is one entry here."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.navigation.page import Page

PAGES = Path(__file__).resolve().parents[1]
OVERVIEW, RECOMMEND = PAGES / "overview.py", PAGES / "recommend.py"
FUSION = PAGES / "fusion.py"
QUESTIONS = {  # title → what the page answers; shown in the sidebar and under the title
    "Overview": "What do I have here, and is it any good?",
    "Recommend": "What does the model propose, and by which path?",
    "Fusion": "Which weighting serves my goal, and what does it cost?",
}
ABOUT = {
    "Overview": "The loaded workspace: its data, its model, how well it recommends as measured, and which stage is out of date.",
    "Recommend": "Choose a shopper, say what is wanted, and watch the three steps: prefixes are beamed, items are searched "
    "inside each kept prefix, and one list is fused. Force a prefix, drop a purchase or move a filter to see what changes.",
    "Fusion": "Move the weights of step 3: every evaluation example is ranked again at once, and each task's metrics are compared with a "
    "reference. Search for the best trade-off on validation, then report the chosen setting once on test.",
}


def mark_routed() -> None:
    """The router calls this in every run, before the page."""
    st.session_state["routed"] = True


def ensure_routed() -> None:
    """Begin a page: go through the router if Streamlit did not.

    A folder named `pages` makes Streamlit run a page file by itself when the first address that a fresh server gets is that
    page's link; the page would then stand there without navigation and style. Naming the pages once ends that for the process.
    """
    if not st.session_state.pop("routed", False):
        st.navigation(pages())
        st.rerun()


def pages() -> dict[str, list[Page]]:
    """The navigation, by section. Sections without a page are not listed."""
    return {
        "": [
            st.Page(OVERVIEW, title="Overview", icon=":material/dashboard:", default=True),
            st.Page(RECOMMEND, title="Recommend", icon=":material/auto_awesome:"),
            st.Page(FUSION, title="Fusion", icon=":material/tune:"),
        ],
    }
