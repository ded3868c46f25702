"""Compare: another fusion or another instruction for the same shopper, the two lists aligned."""

from __future__ import annotations

import streamlit as st

from backend.figures import style
from backend.generation.request import Request
from backend.workbench import Comparison, Recommendation, Workbench
from pages.components import chips
from pages.components.aligned import aligned
from pages.components.text import three

MODES = ["APF on and off", "Best prefix only", "Another instruction"]


def section(bench: Workbench, asked: Request, result: Recommendation, version: str = "") -> None:
    """Draw the comparison.

    Args:
        version: of the model that answers, beside the request.
    """
    with st.container(border=True, key="compare"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.html("<b>Compare</b>", width="content")
            mode = st.segmented_control("Compare with", MODES, key="compare-mode", default=MODES[0], required=True,
                                        label_visibility="collapsed")  # fmt: skip
        if mode == MODES[2]:
            text = st.text_input(
                "Another instruction", key="other", placeholder="something new to us", label_visibility="collapsed"
            )
            if not text:
                st.caption("Write the other instruction; the same shopper, filters and weighting are used.")
                return
            other, names = asked.model_copy(update={"instruction": text}), (asked.instruction or "no instruction", text)
        elif mode == MODES[1]:
            fusion = asked.fusion.model_copy(update={"top1_prefix": not asked.fusion.top1_prefix})
            other, names = (
                asked.model_copy(update={"fusion": fusion}),
                _order("all prefixes", "best prefix only", asked.fusion.top1_prefix),
            )
        else:
            fusion = asked.fusion.model_copy(update={"apf": not asked.fusion.apf})
            other, names = asked.model_copy(update={"fusion": fusion}), _order("with APF", "without APF", not asked.fusion.apf)
        second = _other(bench, other, version)
        pair = Comparison.of(result, second)
        colours = style.department_colours(bench.departments())
        facts = [f"{pair.overlap:.0%} in both lists", _spread(names[0], result), _spread(names[1], second)]
        st.html(chips.tags(facts))
        if len(pair.moves):
            st.html(aligned(pair.moves, *names, colours))


def _order(one: str, two: str, swap: bool) -> tuple[str, str]:
    return (two, one) if swap else (one, two)


def _spread(name: str, result: Recommendation) -> str:
    items = result.items
    spread = f"{items['prefix'].nunique()} prefixes, {items['category'].nunique()} categories"
    return f"{name}: {spread}, σ {three(result.trace.sigma)}"


def _other(bench: Workbench, other: Request, version: str) -> Recommendation:
    """The second list; kept for the session, so that moving about the page does not compute it again."""
    kept: dict[str, Recommendation] = st.session_state.setdefault("compared", {})
    key = other.model_dump_json() + version
    if key not in kept:
        while len(kept) >= 4:
            kept.pop(next(iter(kept)))
        kept[key] = bench.recommend(other)
    return kept[key]
