"""The pages that exist, in the order of the navigation. A new page is one entry here."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.navigation.page import Page

PAGES = Path(__file__).resolve().parents[1]
OVERVIEW, RECOMMEND = PAGES / "overview.py", PAGES / "recommend.py"
SEMANTIC_IDS = PAGES / "semantic_ids.py"
QUESTIONS = {  # title → what the page answers; shown in the sidebar and under the title
    "Overview": "What do I have here, and is it any good?",
    "Recommend": "What does the model propose, and by which path?",
    "Semantic IDs": "Do the codes mean something?",
}
ABOUT = {
    "Overview": "The loaded workspace: its data, its model, how well it recommends as measured, and which stage is out of date.",
    "Recommend": "Choose a shopper, say what is wanted, and watch the three steps: prefixes are beamed, items are searched "
    "inside each kept prefix, and one list is fused. Force a prefix, drop a purchase or move a filter to see what changes.",
    "Semantic IDs": "Every item has a code of a few levels, found by quantising its vector. Open the tree level by level, see what a branch holds "
    "and where the evaluation hits inside it; follow one item down its codes, edit its title, and see whether the codebook is healthy.",
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
            st.Page(SEMANTIC_IDS, title="Semantic IDs", icon=":material/account_tree:"),
        ],
    }
