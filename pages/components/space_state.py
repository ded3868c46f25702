"""The state of the Latent space page: session values ↔ link. A set of items (lasso) is not part of the link: it would not fit."""

from __future__ import annotations

from typing import Any

import streamlit as st
from pydantic import ValidationError

from backend.grounding.atlas import AtlasSettings
from backend.inspection.vectors import MAX_TEXT, SPACES
from backend.workbench import Workbench
from pages.components import address

PAGE = "latent_space"
NONE, PATH, GENERATION = "nothing", "shopper's path", "last generation"
OVERLAYS = (NONE, PATH, GENERATION)
EVERY = "all items"
DEFAULTS: dict[str, Any] = {
    "a": "text",
    "b": "grounded",
    "colour": "department",
    "size": "one size",
    "item": None,
    "text": "",
    "over": NONE,
    "only": EVERY,
    "density": False,
}
_LAYOUT = {"near": "n_neighbors", "dist": "min_dist", "seed": "seed"}
_BLANK = AtlasSettings()


def key(name: str) -> str:
    """The session's key of a value."""
    return f"space-{name}"


def get(name: str) -> Any:
    """A value of the state."""
    return st.session_state.get(key(name), DEFAULTS.get(name))


def put(**values: Any) -> None:
    """Change the state."""
    st.session_state.update({key(name): value for name, value in values.items()})


def show(bench: Workbench, item_id: str) -> None:
    """Bring an item into focus and fly to it."""
    put(item=item_id, fly=item_id, flights=(get("flights") or 0) + 1)


def layout() -> AtlasSettings:
    """The chosen settings of the maps."""
    return st.session_state.get(key("layout"), _BLANK)


def seed(bench: Workbench, colours: list[str]) -> list[str]:
    """Fill the session from the link, the first time and whenever another was followed; returns what could not be read."""
    params = address.followed(PAGE)
    if params is None:
        return []
    allowed = {
        "a": set(SPACES),
        "b": {*SPACES, ""},
        "colour": set(colours),
        "size": {"one size", "price", "purchases"},
        "over": set(OVERLAYS),
        "only": {EVERY, *bench.space.outcomes()},
        "density": {"1"},
    }
    bad, fresh = [], dict(DEFAULTS)
    for name, value in params.items():
        if name == "item":
            known = value in set(bench.dataset.items["item_id"])
        elif name == "text":
            known = len(value) <= MAX_TEXT
        else:
            known = value in allowed.get(name, set())
        if known:
            fresh[name] = True if name == "density" else value
        elif name not in _LAYOUT:
            bad.append(name)
    put(**fresh, fly=fresh["item"])
    chosen = {field: params[name] for name, field in _LAYOUT.items() if name in params}
    try:
        st.session_state[key("layout")] = AtlasSettings(**chosen)
    except ValidationError:
        bad += [name for name in _LAYOUT if name in params]
    return bad


def publish() -> None:
    """Put the state into the page's address: what differs from the defaults."""
    told = {name: "1" if get(name) is True else str(get(name) or "") for name in DEFAULTS}
    params = {name: text for name, text in told.items() if text != str(DEFAULTS[name] or "")}
    settings = layout()
    params |= {name: str(getattr(settings, field)) for name, field in _LAYOUT.items()
               if getattr(settings, field) != getattr(_BLANK, field)}  # fmt: skip
    address.publish(PAGE, params)
