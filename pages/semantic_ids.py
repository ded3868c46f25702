"""Semantic IDs: do the codes mean something?"""

from __future__ import annotations

import streamlit as st

from pages.components import sid_compare, sid_health, sid_item, sid_node, sid_soft, sid_state, sid_tree, state
from pages.components.navigation import QUESTIONS
from pages.components.style import header
from pages.components.text import md

header("Semantic IDs", QUESTIONS["Semantic IDs"])

with state.guard():
    bench = state.current()
    for stage in bench.info().stages.values():
        if stage.name in ("dataset", "grounding", "tokens") and stage.state != "ok":
            reason = f": {md(stage.reason)}" if stage.reason else ""
            st.info(f"**{stage.name}** is {stage.state}{reason}. This makes it:", icon=":material/build:")
            st.code(stage.command, language="bash")
            st.stop()
    with st.spinner("The tables are being read; this happens once.", show_time=False):
        n = len(bench.sids.tree.nodes)
    bad = sid_state.seed(bench)
    if bad:
        st.warning(
            f"This link holds something that could not be read: {md(', '.join(bad))}. The rest was restored.",
            icon=":material/link_off:",
        )
    sid_tree.controls(bench)
    left, right = st.columns([0.58, 0.42], gap="large")
    with left:
        sid_tree.draw(bench)
    with right:
        sid_node.panel(bench)
    st.subheader("One item, level by level", anchor=False)
    place, item = sid_item.section(bench)
    st.subheader("Is the codebook healthy?", anchor=False)
    sid_health.section(bench)
    st.subheader("Against another tokenization", anchor=False)
    sid_compare.section(bench)
    sid_state.publish(bench)
    with place:
        sid_soft.soft(bench, item)
st.caption(f"{n:,} nodes. Purchases are those of the whole data set; recall is counted on the evaluation's held-out baskets.")
