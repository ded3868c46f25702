"""The state of the Semantic IDs page: session values ↔ link. Only what differs from the defaults is written."""

from __future__ import annotations

from typing import Any

import streamlit as st

from backend.errors import RequestError
from backend.figures import sids as figures_sid
from backend.workbench import Workbench
from pages.components import address

PAGE = "semantic_ids"
DEFAULTS: dict[str, Any] = {"node": "·", "item": "", "kind": "treemap", "size": "items", "colour": "purity", "task": ""}
_CHOICES = {"kind": figures_sid.KINDS, "size": tuple(figures_sid.SIZES), "colour": tuple(figures_sid.COLOURS)}


def key(name: str) -> str:
    """Where a value lives in the session; widgets use the same key."""
    return f"sid-{name}"


def get(name: str) -> Any:
    """A value of the page."""
    return st.session_state.get(key(name), DEFAULTS[name])


def put(name: str, value: Any) -> None:
    """Set a value of the page; before its widget is drawn, or in a callback."""
    st.session_state[key(name)] = value


def seed(bench: Workbench) -> list[str]:
    """Fill the session from the link, the first time and whenever another link was followed; returns what had to be left out."""
    params = address.followed(PAGE)
    if params is None:
        return []
    bad = []
    for name, default in DEFAULTS.items():
        value = params.get(name)
        try:
            put(name, default if value is None else _read(bench, name, value))
        except (RequestError, ValueError):
            bad.append(f"{name} {value[:40]!r}" if value else name)
            put(name, default)
    if params.get("item") and not params.get("node") and get("item"):
        show(bench, get("item"))
    return bad


def show(bench: Workbench, item_id: str) -> None:
    """Bring an item into focus; the tree opens where it is."""
    put("item", item_id)
    put("node", bench.sids.sid(bench.sids.row(item_id)).split("·")[0])


def _read(bench: Workbench, name: str, value: str) -> Any:
    if name == "node":
        return bench.sids.node(value)
    if name == "item":
        bench.sids.row(value)
    elif name == "task":
        if value not in [f"{task}.{view}" for task, view in bench.sids.measured()]:
            raise ValueError(value)
    elif value not in _CHOICES[name]:
        raise ValueError(value)
    return value


def publish(bench: Workbench) -> dict[str, str]:
    """Put the state into the page's address; returns the parameters."""
    values = {name: str(get(name) or "") for name in DEFAULTS}
    first = next((f"{task}.{view}" for task, view in bench.sids.measured()), "")  # the one that is shown without being asked for
    usual = {**DEFAULTS, "task": values["task"] if values["task"] == first else ""}
    params = {name: value.replace("·", ".") for name, value in values.items() if value != usual[name]}
    address.publish(PAGE, params)
    return params
