"""A few choices of a page that live in its address, so that links, reload, back and forward restore them.

Streamlit's own `bind` replaces the address without leaving a step in the browser's history; what is published from here leaves one (see
`address`).
Widgets take the key that `widget` or `choose` gives, and no default: `seed` has put the value there before they are drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from pages.components import address

Value = str | bool


def key(page: str, name: str) -> str:
    """Session key of a choice."""
    return f"{page}-{name}"


def seed(page: str, defaults: Mapping[str, Value]) -> None:
    """Fill the session from the address when it was followed (a link, back, forward), from what was chosen before when the page is
    entered without one."""
    params, state = address.followed(page), st.session_state
    kept, drawn = state.get(f"{page}/kept", {}), state.pop(f"{page}/drawn", set())
    for name, default in defaults.items():
        if params is not None:
            text = params.get(name)
            state[key(page, name)] = default if text is None else text == "1" if isinstance(default, bool) else text[:80]
        elif key(page, name) not in state:  # Streamlit forgets the widgets of a page that was left
            state[key(page, name)] = kept.get(name, default)
        elif name not in drawn:  # the browser must be told when it is drawn again, else it shows a widget's first value
            state[key(page, name)] = state[key(page, name)]


def widget(page: str, name: str) -> str:
    """The session key of a choice that is drawn now."""
    st.session_state.setdefault(f"{page}/drawn", set()).add(name)
    return key(page, name)


def choose(page: str, name: str, options: Sequence[str], default: str) -> str:
    """The session key of a choice, after an impossible value (an old link, another run) has become the default."""
    if st.session_state.get(key(page, name)) not in options:
        st.session_state[key(page, name)] = default
    return widget(page, name)


def publish(page: str, defaults: Mapping[str, Value]) -> None:
    """Put the choices that differ from their defaults into the address."""
    state = st.session_state
    values: dict[str, Any] = {name: state.get(key(page, name), default) for name, default in defaults.items()}
    told = {name: value for name, value in values.items() if value is not None and value != defaults[name]}
    address.publish(
        page, {name: ("1" if value else "0") if isinstance(value, bool) else str(value) for name, value in told.items()}
    )
    state[f"{page}/kept"] = values
