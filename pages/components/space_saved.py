"""Sets of items that are kept with a name: saved on the Latent space page, loaded there and as a basket on the Recommend page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import streamlit as st

from backend.errors import SigmascopeError
from backend.frames import records
from backend.workbench import Workbench
from pages.components import space_state as own
from pages.components import state
from pages.components.text import count, md

MOST_IN_BASKET = 40  # items that fit a link, and a prompt


def panel(bench: Workbench, chosen: Sequence[int]) -> None:
    """Save the chosen set under a name; load or delete what was saved.

    Args:
        chosen: rows of the set; empty = there is only something to load.
    """
    with st.popover("Saved sets", icon=":material/bookmark:"):
        kept = _kept()
        if kept is None:
            return
        if len(chosen):
            name = st.text_input("Name", key="space-save-name", max_chars=80, placeholder="party snacks")
            if st.button("Save", icon=":material/bookmark_add:", key="space-save", disabled=not name.strip()):
                ids = bench.dataset.items["item_id"].iloc[list(chosen)].tolist()
                try:
                    state.store().save_selection(name, ids, str(own.get("a")))
                    st.toast(f"Saved: {md(name)}", icon=":material/bookmark_added:")
                    kept = _kept() or []
                except SigmascopeError as error:
                    state.show_error(error)
        if not kept:
            st.caption("Nothing saved yet. Saved sets can be loaded on the Recommend page too.")
            return
        place = int(st.selectbox("Saved", range(len(kept)), key="space-saved", format_func=lambda row: _title(kept[row])) or 0)
        with st.container(horizontal=True):
            st.button("Load", icon=":material/input:", key="space-load", on_click=_load, args=(bench, kept[place]["item_ids"]))
            if st.button("Delete", icon=":material/delete:", key="space-delete"):
                state.store().delete_selection(str(kept[place]["name"]))
                st.rerun()


def pick(bench: Workbench, apply: Callable[[list[str]], None]) -> None:
    """The saved sets as a choice for another page, which takes the item ids (those bought most, where there are too many)."""
    kept = _kept()
    if not kept:
        return

    def take() -> None:
        place = st.session_state.get("set-picked")
        if place is not None:
            rows = _rows(bench, kept[int(place)]["item_ids"])
            apply(basket(bench, rows))

    st.selectbox("Saved set", range(len(kept)), index=None, key="set-picked", placeholder="of the Latent space page", on_change=take,
                 format_func=lambda row: _title(kept[row]))  # fmt: skip


def basket(bench: Workbench, rows: Sequence[int]) -> list[str]:
    """Item ids of a set as a basket: those bought most, at most `MOST_IN_BASKET`."""
    order = sorted(rows, key=lambda row: (-int(bench.space.purchases()[row]), row))
    return [str(item) for item in bench.dataset.items["item_id"].iloc[order[:MOST_IN_BASKET]]]


def _kept() -> list[dict[str, Any]] | None:
    """What was saved; None, with the reason shown, where the database cannot be read."""
    try:
        return records(state.store().selections())
    except SigmascopeError as error:
        state.show_error(error)
        return None


def _title(row: dict[str, Any]) -> str:
    return f"{row['name']} ({count(int(row['n_items']))})"


def _rows(bench: Workbench, item_ids: Sequence[str]) -> list[int]:
    """Rows of the items that this catalogue has."""
    known = bench.lookup.people.item_rows
    return np.sort([known[item] for item in item_ids if item in known]).astype(int).tolist()


def _load(bench: Workbench, item_ids: Sequence[str]) -> None:
    rows = _rows(bench, item_ids)
    if len(rows) < len(item_ids):
        st.toast(f"{len(item_ids) - len(rows)} of its items are not in this catalogue.", icon=":material/help:")
    own.put(set=rows or None)
