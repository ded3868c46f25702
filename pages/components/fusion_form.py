"""The state of the Fusion page: session values ↔ `LabSettings` ↔ link. Widget keys are listed here once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st
from pydantic import ValidationError

from backend.settings import FusionSettings, LabSettings
from pages.components import address

SHORT = {
    "prefix_weight": "wp", "item_weight": "wi", "tau": "tau", "sigma_domain": "domain", "strength": "s", "repeat_weight": "wr",
    "popularity_weight": "wpop", "value_weight": "wv", "judge_weight": "wj",
    "diversity": "div", "repeat_hidden": "wrh", "beams": "K", "per_prefix": "M", "top": "N",
}  # fmt: skip
PAGE = "fusion"
MEAN = "Mean of the tasks"
ORDERS = {"changed most": "changed", "gained hits": "gained", "lost hits": "lost"}
VIEW: dict[str, tuple[str, str | None]] = {  # further things that the link holds: parameter → session key without "lab-", default
    "x": ("x", "novelty"), "y": ("y", "ndcg"), "part": ("part", MEAN), "of": ("of", None), "by": ("example-order", next(iter(ORDERS))),
    "example": ("chosen", None),
}  # fmt: skip
LARGEST = {"beams": 64, "per_prefix": 200, "top": 20}


def key(name: str) -> str:
    """Session key of a knob."""
    return f"lab_{name}"


def shipped(fusion: FusionSettings) -> LabSettings:
    """The shipped setting as the page can show it: inside the ranges of its sliders."""
    return inside(LabSettings.of(fusion))


def inside(setting: LabSettings) -> LabSettings:
    """A setting inside the ranges of the page's sliders."""
    limits = {name: min(getattr(setting, name), most) for name, most in LARGEST.items()}
    return setting.model_copy(update=limits)


def write(setting: LabSettings) -> None:
    """Put a setting into the sliders (before they are drawn)."""
    fitted = inside(setting)
    for name in SHORT:
        st.session_state[key(name)] = getattr(fitted, name)


def now(default: LabSettings) -> LabSettings:
    """The setting that the sliders show."""
    return LabSettings(
        **{**default.model_dump(), **{name: st.session_state.get(key(name), getattr(default, name)) for name in SHORT}}
    )


def reference(default: LabSettings) -> LabSettings:
    """The setting that everything is compared with."""
    kept = st.session_state.get("lab-reference")
    return kept if isinstance(kept, LabSettings) else default


def to_params(setting: LabSettings, default: LabSettings, before: str = "") -> dict[str, str]:
    """Address parameters of what differs from the shipped setting."""
    return {
        f"{before}{short}": f"{getattr(setting, name):g}"
        if isinstance(getattr(setting, name), float)
        else str(getattr(setting, name))
        for name, short in SHORT.items()
        if getattr(setting, name) != getattr(default, name)
    }


def from_params(params: Mapping[str, str], default: LabSettings, before: str = "") -> tuple[LabSettings, list[str]]:
    """The setting of address parameters, and the names of those that could not be read."""
    setting, bad = default, []
    for name, short in SHORT.items():
        text = params.get(f"{before}{short}")
        if text is None:
            continue
        try:
            setting = LabSettings(**{**setting.model_dump(), name: text})
        except ValidationError:
            bad.append(f"{before}{short}")
    return inside(setting), bad


def seed(default: LabSettings) -> list[str]:
    """Fill the session from the link, the first time and whenever another link was followed; returns what could not be read."""
    params = address.followed(PAGE)
    if params is None:
        if key("tau") not in st.session_state:  # widgets of a page that was left are forgotten; the setting is not
            write(st.session_state.get("lab-now", default))
        return []
    setting, bad = from_params(params, default)
    base, worse = from_params(params, default, "ref.")
    write(setting)
    st.session_state["lab-reference"] = base
    for name, (state, usual) in VIEW.items():
        st.session_state[f"lab-{state}"] = params[name][:80] if name in params else usual
    if "of" in params or "example" in params:  # a link to an example opens it; one to something else closes nothing
        st.session_state["lab-examples"] = True
    return bad + worse


def publish(setting: LabSettings, default: LabSettings) -> dict[str, str]:
    """Put the state into the page's address; returns the parameters."""
    params = to_params(setting, default) | to_params(reference(default), default, "ref.")
    for name, (state, usual) in VIEW.items():
        value: Any = st.session_state.get(f"lab-{state}")
        if value not in (None, "", usual):
            params[name] = str(value)
    address.publish(PAGE, params)
    st.session_state["lab-now"] = setting
    return params
