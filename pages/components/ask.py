"""The instruction panel: what is asked, what was understood, the filters, and the fusion's knobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from backend.errors import RequestError
from backend.settings import FusionSettings
from backend.workbench import Workbench
from pages.components import chips, fusion_presets, judge_weight
from pages.components.form import FUSION, category_options
from pages.components.text import md, money

MAX_STOCK_BYTES = 200_000
_OPEN: dict[str, Any] = {  # a filter's control (or its place in the session, where it has none), let go of
    "category": None, "max_price": None, "min_price": None, "max_total": None, "exclude": (), "deals": False, "theme": None,
    "seen": "allow",
}  # fmt: skip


def panel(bench: Workbench, defaults: FusionSettings) -> tuple[Any, tuple[str, ...] | None]:
    """Draw the panel; choices go to the session.

    Returns:
        the place for what was understood, and the stock list (None = everything is in stock).
    """
    with st.container(border=True, key="ask"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.text_input(
                "Instruction", key="instruction", placeholder="something for breakfast under $4", persist_state="session",
                icon=":material/chat:",
            )  # fmt: skip
            st.button("Recommend", type="primary", icon=":material/play_arrow:", key="go")
        st.pills("Suggestions", bench.suggestions(), key="suggestion", on_change=_take, label_visibility="collapsed",
                 format_func=md)  # fmt: skip
        understood = st.container()  # not an empty place: the panel must not jump while something is computed
        with st.container(horizontal=True, vertical_alignment="bottom"):
            departments = set(bench.departments())
            st.selectbox(
                "Category", category_options(bench), index=None, key="category", placeholder="any",
                persist_state="session", width=200,
                format_func=lambda name: f"{name} (department)" if name in departments else name,
            )  # fmt: skip
            st.number_input("Highest price, $", min_value=0.0, step=0.5, value=None, key="max_price", placeholder="no limit",
                            width=130,
                            persist_state="session")  # fmt: skip
            st.segmented_control("Bought before", ["allow", "hide"], key="seen", required=True, persist_state="session",
                                 format_func=lambda value: "show" if value == "allow" else "hide")  # fmt: skip
            with st.popover("Stock list", icon=":material/inventory_2:"):
                stock = _stock(bench)
            with st.popover("Fusion", icon=":material/tune:"):
                knobs(defaults, bench.judge_missing())
    return understood, stock


def _take() -> None:
    """A suggestion becomes the instruction; the pill is let go, so that it can be taken again."""
    if st.session_state.get("suggestion"):
        st.session_state["instruction"] = st.session_state["suggestion"]
        st.session_state["suggestion"] = None


def _stock(bench: Workbench) -> tuple[str, ...] | None:
    st.caption("Only recommend what is in stock: a text or CSV file, one item id a line (at most 200 kB).")
    file = st.file_uploader("Stock list", type=["txt", "csv"], key="stock", label_visibility="collapsed")
    if file is None:
        return None
    return read_stock(file.getvalue(), set(bench.dataset.items["item_id"]))


def read_stock(raw: bytes, known: set[str]) -> tuple[str, ...]:
    """Item ids of an uploaded list: the first column, a header allowed.

    Raises:
        RequestError: too large, not text, or no known item in it.
    """
    if len(raw) > MAX_STOCK_BYTES:
        raise RequestError("the stock list is too large", f"{len(raw):,} bytes", "keep it under 200 kB")
    try:
        lines = raw.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise RequestError(
            "the stock list is no UTF-8 text", f"byte {error.start}", "save it as plain text, one item id a line"
        ) from error
    ids = [line.split(",")[0].split(";")[0].strip().strip('"') for line in lines]
    found = tuple(dict.fromkeys(item for item in ids if item in known))
    if not found:
        raise RequestError("the stock list names no item of this catalogue", f"{len(lines):,} lines", "write one item id a line")
    return found


def knobs(defaults: FusionSettings, no_judge: str = "") -> None:
    """Every knob of step 3, with the shipped values to return to; `no_judge`: why the judge's score cannot be weighed."""
    key = "fusion_{}".format
    keep: Any = {"persist_state": "session"}
    st.toggle("Adaptive fusion (APF)", key=key("apf"), help="Off: σ = 1, the plain product of the two probabilities.", **keep)
    left, right = st.columns(2)
    left.selectbox("σ over", ["probability", "renormalised", "log"], key=key("sigma_domain"), **keep)
    right.number_input("τ of the items", 0.001, 5.0, step=0.01, format="%.3f", key=key("tau"), **keep)
    left.slider("Prefix weight", 0.0, 3.0, step=0.05, key=key("prefix_weight"), **keep)
    right.slider("Item weight", 0.0, 3.0, step=0.05, key=key("item_weight"), **keep)
    left.slider("Repeat prior", 0.0, 3.0, step=0.05, key=key("repeat_weight"), help="Ours: what this shopper buys again.", **keep)
    right.slider("Popularity prior", -2.0, 2.0, step=0.05, key=key("popularity_weight"), help="Below zero: novelty.", **keep)
    left.slider("Repeat prior × where bought is hidden", 0.0, 1.0, step=0.05, key=key("repeat_hidden"),
                help="Factor on the repeat prior where what was bought before is hidden.", **keep)  # fmt: skip
    left.slider("σ strength", 0.0, 2.0, step=0.05, key=key("strength"), help="Exponent of σ. 0: σ plays no part.", **keep)
    right.slider("Business value", -2.0, 2.0, step=0.05, key=key("value_weight"), help="Exponent of the price.", **keep)
    judge_weight.slider(right, key("judge_weight"), no_judge)
    left.slider("Diversity", 0.0, 1.0, step=0.05, key=key("diversity"), help="λ of maximal marginal relevance.", **keep)
    left.number_input("K prefixes", 1, 4096, key=key("beams"), **keep)
    right.number_input(
        "M items a prefix", 1, 10_000, key=key("per_prefix"), help="A quota: at most M items of one prefix.", **keep
    )
    right.number_input("N items shown", 1, 100, key=key("top"), **keep)
    left.toggle("Best prefix only", key=key("top1_prefix"), **keep)
    fusion_presets.pick(_reset)
    st.button("Back to the shipped weighting", on_click=_reset, args=(defaults,), type="tertiary", icon=":material/undo:")


def _reset(defaults: FusionSettings) -> None:
    for name in FUSION:
        st.session_state[f"fusion_{name}"] = getattr(defaults, name)


def understood(place: Any, reading: Mapping[str, Any]) -> None:
    """What was understood of the instruction, as chips; what was not, with a question mark. A filter has a × that lets go of it."""
    marks = [chips.tag(f"task {reading['task']}", "accent", "flag")] if reading.get("task") else []
    if reading.get("category"):
        marks.append(chips.tag(f"about {reading['category']}", "accent", "sell"))  # a soft signal, not a filter
    if reading.get("theme") and not (reading.get("filters") or {}).get("theme"):
        marks.append(chips.tag(f"for {reading['theme']}", "accent", "event"))
    unknown = [chips.tag(f"“{word}”?", "warn", "help") for word in reading.get("unknown") or ()]
    filters = {
        str(name): value for name, value in (reading.get("filters") or {}).items() if value not in (None, "", "allow", False)
    }
    if not (marks or filters or unknown):
        return
    row = place.container(horizontal=True, vertical_alignment="center", gap="xxsmall", key="understood")
    row.html(f'<div class="sg-row"><span class="sg-small">understood</span>{"".join(marks)}</div>', width="content")
    for name, value in filters.items():
        text = _filter(name, value)
        row.html(chips.tag(text, "good", "filter_alt"), width="content")
        if name in _OPEN and (_is_set(name) or reading.get("instruction")):
            row.button("×", key=f"drop-{name}", type="tertiary", help=f"Let go of this filter: {md(text)}", on_click=_let_go,
                       args=(name, dict(reading)))  # fmt: skip
    if unknown:
        row.html(f'<div class="sg-row">{"".join(unknown)}</div>', width="content")


def _is_set(name: str) -> bool:
    return st.session_state.get(name) not in (None, "allow", False, (), [])


def _let_go(name: str, reading: Mapping[str, Any]) -> None:
    """Drop one filter: that of a control is emptied; one that stands in the text is taken out of it, its other filters become controls."""
    state = st.session_state
    if _is_set(name):
        state[name] = _OPEN[name]
        return
    state["instruction"] = reading["instruction"]
    for other, value in (reading.get("filters") or {}).items():
        if other != name and other in _OPEN and not _is_set(other):
            state[other] = tuple(value) if isinstance(value, list) else value


def _filter(name: str, value: Any) -> str:
    if name in ("max_price", "price", "price_max") and isinstance(value, int | float):
        return f"price ≤ {money(value)}"
    if name in ("min_price", "price_min") and isinstance(value, int | float):
        return f"price ≥ {money(value)}"
    if name == "max_total" and isinstance(value, int | float):
        return f"together ≤ {money(value)}"
    if name == "exclude":
        return f"no {', '.join(map(str, value))}"
    if name == "deals":
        return "on discount or with a coupon"
    return f"{name.replace('_', ' ')}: {value}"
