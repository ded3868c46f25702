"""The address of a page: all of its state, so that links, reload, back and forward restore it, each with one press.

- What an address does not name has its default. An address that was followed (a link, back, forward) stands as it is until something is
  changed, and every change is one step in the browser's history.
- Entered by its bare name, a page is as it was left; for this session the bare address then means that. The links of the sidebar carry the
  address that a page was left with, so that this happens only where somebody types it.
- A run that began before the browser learnt of its new address brings the one before along. It is no step back, and is not followed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

Params = dict[str, str]


@dataclass
class _Known:
    """What one session knows of the address of one page."""

    at: Params | None = None  # where the browser is; None before the page was opened
    before: Params | None = None  # where it was before the last change
    told: Params = field(default_factory=dict)  # the state as the page last told it
    bare: Params = field(default_factory=dict)  # what the bare address means
    fresh: bool = False  # just followed: the page has not told its state since


def opened(page: str) -> None:
    """The sidebar tells which page is drawn, before the page itself."""
    st.session_state["address/was"] = st.session_state.get("address/now")
    st.session_state["address/now"] = page


def followed(page: str) -> Params | None:
    """What to restore, when an address was followed; None when the session's own state holds."""
    own, params = _known(page), st.query_params.to_dict()
    entered = st.session_state.get("address/was") != st.session_state.get("address/now")
    stepped = getattr(get_script_run_ctx(), "is_history_navigation", False)
    if own.at is not None and not stepped:
        if not params:
            if entered:
                own.at, own.before, own.bare = {}, None, dict(own.told)
            return None
        if params == own.at or (params == own.before and not entered):
            return None
    own.at, own.before, own.fresh = params, None, True
    own.told = params or dict(own.bare)  # until the page tells it better: its run may be broken off before
    return dict(own.told)


def publish(page: str, params: Params) -> None:
    """Put a state into the page's address, as a step of its own; the state that was just followed stands there already."""
    own = _known(page)
    if not own.fresh and params != own.told:
        own.before, own.at = own.at, params
        st.query_params.from_dict(params)
    own.told, own.fresh = params, False


def kept(page: str) -> Params:
    """The address that brings a page back as it was left."""
    return dict(_known(page).told)


def keep(page: str, params: Params) -> None:
    """Change how a page was left, from another one."""
    if not here(page):
        _known(page).told = params


def here(page: str) -> bool:
    """Whether this is the page that is drawn."""
    return bool(st.session_state.get("address/now") == page)


def door(page: str, change: Mapping[str, str], instead_of: tuple[str, ...] = ()) -> Params:
    """The address of a page as it was left, but for a change, which takes the place of some parameters."""
    return {name: value for name, value in kept(page).items() if name not in instead_of} | dict(change)


def _known(page: str) -> _Known:
    found: _Known = st.session_state.setdefault("addresses", {}).setdefault(page, _Known())
    return found
