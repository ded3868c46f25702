"""From an item to every page that can show it; pages that do not exist are not offered."""

from __future__ import annotations

import streamlit as st

from backend.workbench import Workbench
from pages.components import form
from pages.components.navigation import PAGES

SHOWS = {  # file → what the link says, its icon; each of these pages takes ?item=ID
    "semantic_ids.py": ("Show in Semantic IDs", ":material/account_tree:"),
    "latent_space.py": ("Show on the map", ":material/bubble_chart:"),
}


def draw(bench: Workbench, item_id: str) -> None:
    """The links, and the button that adds the item to the basket. The page runs again when it is added, which closes a dialog."""
    with st.container(horizontal=True, vertical_alignment="center"):
        for file, (label, icon) in SHOWS.items():
            if (PAGES / file).is_file():
                st.page_link(str(PAGES / file), label=label, icon=icon, query_params={"item": item_id})
        if st.button("Add to basket", icon=":material/add_shopping_cart:", key="inspector-add", type="tertiary", on_click=form.add,
                     args=(bench, item_id)):  # fmt: skip
            st.rerun()
