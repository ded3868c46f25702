"""The pages that exist, in the order of the navigation. A new page is one entry here."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.navigation.page import Page

PAGES = Path(__file__).resolve().parents[1]
OVERVIEW, RECOMMEND = PAGES / "overview.py", PAGES / "recommend.py"
SEMANTIC_IDS, LATENT_SPACE = PAGES / "semantic_ids.py", PAGES / "latent_space.py"
FUSION, JUDGE, EVIDENCE = PAGES / "fusion.py", PAGES / "judge.py", PAGES / "evidence.py"
QUESTIONS = {  # title → what the page answers; shown in the sidebar and under the title
    "Overview": "What do I have here, and is it any good?",
    "Recommend": "What does the model propose, and by which path?",
    "Semantic IDs": "Do the codes mean something?",
    "Latent space": "What lies near what, and in which sense?",
    "Fusion": "Which weighting serves my goal, and what does it cost?",
    "Judge": "Would this user like it, why, and does training on that pay?",
    "Evidence": "What was measured, by which command?",
}
ABOUT = {
    "Overview": "The loaded workspace: its data, its model, how well it recommends as measured, and which stage is out of date.",
    "Recommend": "Choose a shopper, say what is wanted, and watch the three steps: prefixes are beamed, items are searched "
    "inside each kept prefix, and one list is fused. Force a prefix, drop a purchase or move a filter to see what changes.",
    "Semantic IDs": "Every item has a code of a few levels, found by quantising its vector. Open the tree level by level, see what a branch holds "
    "and where the evaluation hits inside it; follow one item down its codes, edit its title, and see whether the codebook is healthy.",
    "Latent space": "Four spaces of the same items: by text, by behaviour, grounded (both), and fused (what the model compares with). "
    "Two maps side by side; click a point for its neighbours in the original spaces, lasso a set, place a text, draw a shopper's path or "
    "a generation.",
    "Fusion": "Move the weights of step 3: every evaluation example is ranked again at once, and each task's metrics are compared with a "
    "reference. Search for the best trade-off on validation, then report the chosen setting once on test.",
    "Judge": "Vote between two items for a household, then see what the judge says of them: four aspects with the evidence they cite, and this "
    "household's weights. See which rollouts the judge may speak on, how the trained policies fared, and what the judge's calls cost. "
    "The judge speaks at training time only; no recommendation asks it.",
    "Evidence": "Every figure comes from a file that a command wrote; command, commit, date, machine, seed and n stand beside it. "
    "What was not measured yet says so, with the command that measures it.",
}

HINTS = {  # what to try first; shown under the title until it is put away
    "Overview": "New here? Open Recommend and type what you want: the list appears together with the way it came about.",
    "Recommend": "Try this: click a bar of step 1 to force its prefix, tap a purchase to take it out of the history, or let go of a filter "
    "with its ×. A click on an item tells everything about it.",
    "Semantic IDs": "Click a branch of the tree to see what it holds; then edit the title of an item below and watch its code change.",
    "Latent space": "Search an item to fly to it, then click its neighbours; draw a lasso around a cloud to get it as a table.",
    "Fusion": "Drag one slider and watch every task's metrics move against the reference; grey is where they stood.",
    "Judge": "Press ← or → for the item that suits the household better, space for neither; what the judge says stands below once you voted.",
    "Evidence": "Hover a dot for its interval and n. Every chart has its table, the command that made it, and a download.",
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
            st.Page(LATENT_SPACE, title="Latent space", icon=":material/bubble_chart:"),
            st.Page(FUSION, title="Fusion", icon=":material/tune:"),
            st.Page(JUDGE, title="Judge", icon=":material/balance:"),
            st.Page(EVIDENCE, title="Evidence", icon=":material/fact_check:"),
        ],
    }
