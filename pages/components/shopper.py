"""The shopper panel: choose a household, or compose one from a sentence and a basket."""

from __future__ import annotations

import streamlit as st

from backend.workbench import Basket, Workbench
from pages.components import chips, space_saved
from pages.components.form import COMPOSE, PICK
from pages.components.sidebar import focus
from pages.components.text import count, esc, labels


def panel(bench: Workbench) -> None:
    """Draw the panel; choices go to the session (`mode`, `user`, `dropped`, `profile`, `basket`)."""
    with st.container(border=True, key="shopper"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.html("<b>Shopper</b>", width="content")
            st.segmented_control(
                "How to choose the shopper", [PICK, COMPOSE], key="mode", required=True, label_visibility="collapsed",
                persist_state="session",
            )  # fmt: skip
        if st.session_state.get("mode") == COMPOSE:
            _compose(bench)
        else:
            _pick(bench)


def _pick(bench: Workbench) -> None:
    table = bench.shoppers()
    labels = {user: f"{user} · {profile}" for user, profile in zip(table["user_id"], table["profile"], strict=True)}
    st.selectbox(
        "Search a shopper", list(labels), format_func=lambda user: labels[user], key="user", on_change=_forget_drops,
        label_visibility="collapsed", persist_state="session",
    )  # fmt: skip
    shopper = bench.shopper(st.session_state["user"])
    focus(f"{shopper.user_id} · {shopper.profile}")
    told = [f"{name.replace('_', ' ')}: {value}" for name, value in shopper.attributes.items()]
    counts = f"{count(shopper.n_baskets)} baskets, {count(shopper.n_items)} purchases"
    st.html(f'{chips.tags(told)}<div class="sg-small" style="margin-top:.35rem">{counts}</div>')
    dropped = st.session_state.get("dropped", [])
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.html('<span class="sg-small">Last baskets: tap an item to take it out of the history</span>', width="content")
        if dropped:
            st.button(f"put {len(dropped)} back", key="undrop", type="tertiary", on_click=_forget_drops)
    with st.container(height=178, border=False, key="baskets"):
        for number, basket in enumerate(shopper.baskets):
            _basket(basket, number, shopper.user_id)


def _basket(basket: Basket, number: int, user: str) -> None:
    """One basket as pills; a selected pill is an item that was taken out."""
    titles = labels(dict(zip(basket.items["item_id"], basket.items["title"], strict=True)))
    key = f"basket-{user}-{number}"
    st.session_state[key] = [item for item in titles if item in st.session_state.get("dropped", [])]
    st.pills(
        f"{basket.time:%d %b %Y}", list(titles), selection_mode="multi", format_func=lambda item: titles[item], key=key,
        on_change=_drop, args=(key, list(titles)),
    )  # fmt: skip


def _drop(key: str, shown: list[str]) -> None:
    """Take over the pills of one basket; an item dropped here is dropped wherever it was bought."""
    others = [item for item in st.session_state.get("dropped", []) if item not in shown]
    st.session_state["dropped"] = others + list(st.session_state[key] or [])


def _forget_drops() -> None:
    st.session_state["dropped"] = []


def _compose(bench: Workbench) -> None:
    focus("composed shopper")
    st.text_input(
        "Profile", key="profile", placeholder="e.g. Married couple with 2 children, aged 35-44", persist_state="session",
        max_chars=300,
    )  # fmt: skip
    st.text_input("Add items to the basket", key="find", placeholder="search by name or category", icon=":material/search:")
    found = bench.items_search(st.session_state.get("find") or "", limit=8)
    basket: list[str] = st.session_state.setdefault("basket", [])
    if len(found):
        titles = labels(dict(zip(found["item_id"], found["title"], strict=True)))
        st.pills("Found", [item for item in titles if item not in basket], format_func=lambda item: titles[item],
                 key="found", on_change=_add, label_visibility="collapsed")  # fmt: skip
    elif st.session_state.get("find"):
        st.caption("No item has these words.")
    space_saved.pick(bench, lambda ids: st.session_state.update(basket=ids))
    if basket:
        facts = bench.dataset.items.set_index("item_id")["title"]
        held = labels({item: str(facts[item]) for item in basket})
        st.session_state["in-basket"] = list(basket)
        room = st.container(height=230, border=False) if len(basket) > 8 else st.container()
        room.pills("Bought before, oldest first (tap to remove)", list(basket), selection_mode="multi",
                 format_func=lambda item: held[item], key="in-basket", on_change=_keep)  # fmt: skip
    else:
        st.html(f'<div class="sg-small">{esc("The basket is empty: the model has only the profile to go by.")}</div>')


def _add() -> None:
    item = st.session_state.get("found")
    if item:
        st.session_state["basket"] = [*st.session_state.get("basket", []), item]


def _keep() -> None:
    kept = set(st.session_state.get("in-basket") or [])
    st.session_state["basket"] = [item for item in st.session_state["basket"] if item in kept]
