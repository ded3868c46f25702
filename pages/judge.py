"""Judge: would this user like it, why, and does training on that pay?"""

from __future__ import annotations

import streamlit as st

from pages.components import bound, judge_arms, judge_items, judge_parts, judge_plane, judge_vote, state
from pages.components.judge_parts import PAGE
from pages.components.navigation import QUESTIONS
from pages.components.style import header

VIEWS = ["Vote", "Candidates", "Advantage plane", "Arms", "Before | after", "Cost"]
ASKED = ("Vote", "Candidates", "Before | after")  # views of a household and an instruction
DEFAULTS: dict[str, bound.Value] = {
    "view": VIEWS[0],
    "user": "",
    "q": "",
    "run": "this workspace",
    "curve": "business",
    "effect": "value",
}

header("Judge", QUESTIONS["Judge"])
with state.guard():
    bench = state.current()
    bound.seed(PAGE, DEFAULTS)
    view = st.segmented_control("What", VIEWS, key=bound.choose(PAGE, "view", VIEWS, VIEWS[0]), required=True, label_visibility="collapsed",
                                wrap=True)  # fmt: skip
    asked = None
    if view in ASKED and bench.info().stages["dataset"].state == "ok":
        asked = judge_parts.who_and_what(bench)
    bound.publish(PAGE, DEFAULTS)
    if view in ASKED and asked is None:
        judge_parts.has_model(bench)
    elif view == "Vote" and asked is not None:
        judge_vote.section(bench, asked)
    elif view == "Candidates" and asked is not None:
        judge_items.candidates(bench, asked)
    elif view == "Before | after" and asked is not None:
        judge_items.before_after(bench, asked)
    elif view == "Advantage plane":
        judge_plane.section(bench)
    elif view == "Arms":
        judge_arms.section(bench)
    else:
        judge_arms.cost(bench)
st.caption(f"{judge_parts.NOT_SERVED} {judge_parts.PROXY}")
