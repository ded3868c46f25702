"""The controls of the Latent space page: which spaces, what colour and size say, what is drawn over them, how maps are laid out."""

from __future__ import annotations

import streamlit as st

from backend.grounding.atlas import AtlasSettings
from backend.inspection.vectors import MAX_TEXT, SPACES
from backend.workbench import Workbench
from pages.components import space_state as state
from pages.components.text import labels, md

DRAGS = {"pan": "move", "select": "box", "lasso": "lasso"}
NO_MAP = ""


def bar(bench: Workbench, colours: list[str], reasons: dict[str, str]) -> None:
    """The row over the maps; choices go to the session."""
    usable = [name for name in SPACES if not reasons[name]]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall"):
        st.selectbox("Left map", usable, key=state.key("a"), width=112, persist_state="session", format_func=_title)
        st.selectbox("Right map", [*usable, NO_MAP], key=state.key("b"), width=116, persist_state="session", format_func=_title)
        st.selectbox("Colour by", colours, key=state.key("colour"), width=140, persist_state="session")
        st.selectbox("Size by", ["one size", "purchases", "price"], key=state.key("size"), width=112, persist_state="session")
        st.selectbox("Draw over it", state.OVERLAYS, key=state.key("over"), width=140, persist_state="session")
        wanted = list(bench.space.outcomes())
        if wanted:
            st.selectbox("Only", [state.EVERY, *wanted], key=state.key("only"), width=145, persist_state="session",
                         help=f"Items by what the evaluation ({bench.space.outcome_split()}) found for a task: asked for, found among the "
                              "first ten, missed, or shown in vain. The others turn grey.")  # fmt: skip
        with st.popover("Layout", icon=":material/tune:"):
            _layout()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall"):
        st.text_input(
            "Find an item",
            key=state.key("find"),
            placeholder="search by name, category or id",
            icon=":material/search:",
            width=220,
        )
        st.text_input("Place a text", key=state.key("text"), placeholder="e.g. for a cold evening", icon=":material/edit:",
                      max_chars=MAX_TEXT, persist_state="session", width=235)  # fmt: skip
        st.segmented_control("Dragging", list(DRAGS), key=state.key("drag"), required=True, default="pan", persist_state="session",
                             format_func=lambda name: DRAGS[name],
                             help="Box and lasso choose items; a click chooses one; the wheel zooms; a double click lets go.")  # fmt: skip
        st.toggle("Density", key=state.key("density"), persist_state="session", help="How many items lie where.")
        st.toggle("Region names", key=state.key("names"), value=True, persist_state="session")
    _find(bench)


def _title(name: str) -> str:
    return SPACES[name].title if name else "none"


def _find(bench: Workbench) -> None:
    """What the search found, as pills; one of them is flown to."""
    wanted = st.session_state.get(state.key("find")) or ""
    if not wanted:
        return
    found = bench.items_search(wanted, limit=8)
    if not len(found):
        st.caption("No item has these words.")
        return
    titles = labels(dict(zip(found["item_id"], found["title"], strict=True)))
    st.pills("Found", list(titles), key=state.key("found"), format_func=lambda item: titles[item], label_visibility="collapsed",
             on_change=_fly)  # fmt: skip


def _fly() -> None:
    item = st.session_state.get(state.key("found"))
    if item:
        state.put(item=item, fly=item, flights=state.get("flights") or 0)
        st.session_state[state.key("flights")] += 1


def _layout() -> None:
    """UMAP's settings; nothing is computed before they are chosen."""
    st.caption("How the maps are laid out (UMAP, cosine, one seed). Other settings make other maps; what was made is kept.")
    now = state.layout()
    with st.form(state.key("form"), border=False):
        near = st.slider("Neighbours", 2, 100, now.n_neighbors, help="Few show fine structure, many the large picture.")
        dist = st.slider("Least distance", 0.0, 0.99, now.min_dist, help="How tightly points may be packed.")
        number = st.number_input("Seed", 0, 2**31 - 1, now.seed)
        if st.form_submit_button("Use these", icon=":material/check:"):
            st.session_state[state.key("layout")] = AtlasSettings(n_neighbors=near, min_dist=dist, seed=int(number))
            st.rerun()


def reasons_note(reasons: dict[str, str]) -> None:
    """Say which spaces are not there, and what makes them."""
    for name, reason in reasons.items():
        if reason:
            st.info(f"**{SPACES[name].title}** is not there: {md(reason)}", icon=":material/info:")
