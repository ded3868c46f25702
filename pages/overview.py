"""Overview: what do I have here, and is it any good?"""

from __future__ import annotations

import streamlit as st

from backend.errors import WorkspaceError
from backend.figures import generation as figures
from backend.inspection import health
from pages.components import state
from pages.components.navigation import QUESTIONS, RECOMMEND
from pages.components.overview_cards import cards, doors, pipeline, quality_table
from pages.components.style import header
from pages.components.text import md

header("Overview", QUESTIONS["Overview"])

try:
    bench = state.current()
except WorkspaceError as error:
    state.show_error(error)
    st.html(pipeline(health.empty("DIR", "")))
    st.info("A workspace is made from raw tables by two commands:", icon=":material/terminal:")
    st.code("python -m backend build --workspace DIR\npython -m backend train --workspace DIR", language="bash")
    st.stop()

info = bench.info()
with state.guard():
    quality = bench.quality()
    fusion = bench.fusion()

st.html(cards(info, quality))

st.subheader("How it was made", anchor=False)
st.html(pipeline(info, fusion))
for stage in info.stages.values():
    if stage.state != "ok" and not (stage.name == "evaluation" and stage.state == "missing"):  # that is said below
        reason = f": {md(stage.reason)}" if stage.reason else ""
        st.warning(f"**{stage.name}** is {stage.state}{reason}. This makes it:", icon=":material/build:")
        st.code(stage.command, language="bash")

st.subheader("How good is it?", anchor=False)
if quality.empty:
    st.info("Nothing was measured yet. This evaluates the model against the baselines:", icon=":material/straighten:")
    st.code(info.stages["evaluation"].command, language="bash")
else:
    metric = st.segmented_control(
        "Metric",
        ["HR@10", "NDCG@10", "Recall@10", "HR@1", "HR@20"],
        default="HR@10",
        label_visibility="collapsed",
        required=True,
        key="overview-metric",
        bind="query-params",
    )
    name, at = str(metric or "HR@10").split("@")
    shown = bench.quality(name.lower(), int(at))
    chart, table = st.columns([1, 1], gap="large")
    chart.plotly_chart(figures.quality(shown, f"{metric} (95 % interval)"), key="quality", config={"displayModeBar": False},
                       alt=f"{metric} of Sigmascope and of the best baseline on every task, with 95 % intervals.")  # fmt: skip
    table.html(quality_table(shown))

if info.usable:
    st.subheader("Where to go", anchor=False)
    with state.guard():
        doors(bench, RECOMMEND)
