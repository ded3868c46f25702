"""From an item to every page that can show it; pages that do not exist are not offered."""

from __future__ import annotations

import streamlit as st

from backend.workbench import Workbench
from pages.components import address, form, sid_state, space_state
from pages.components.navigation import PAGES

SHOWS = {  # page → what an item takes the place of in its address, how the page itself shows one, what the link says, its icon
    sid_state.PAGE: (("node",), sid_state.show, "Show in Semantic IDs", ":material/account_tree:"),
    space_state.PAGE: ((), space_state.show, "Show on the map", ":material/bubble_chart:"),
}


def draw(bench: Workbench, item_id: str) -> None:
    """The links, and the button that adds the item to the basket. The page runs again when it is added, which closes a dialog."""
    with st.container(horizontal=True, vertical_alignment="center"):
        for page, (instead_of, show, label, icon) in SHOWS.items():
            if not (PAGES / f"{page}.py").is_file():
                continue
            if not address.here(page):
                st.page_link(str(PAGES / f"{page}.py"), label=label, icon=icon,
                             query_params=address.door(page, {"item": item_id}, instead_of))  # fmt: skip
            elif st.button(label, icon=icon, key=f"inspector-{page}", type="tertiary", on_click=show, args=(bench, item_id)):
                st.rerun()  # a link from a page to itself would leave its address as it is
        if st.button("Add to basket", icon=":material/add_shopping_cart:", key="inspector-add", type="tertiary", on_click=form.add,
                     args=(bench, item_id)):  # fmt: skip
            st.rerun()
