"""Fusion: which weighting serves my goal, and what does it cost?"""

from __future__ import annotations

import streamlit as st

from backend.figures import fusion as fusion_figures
from backend.workbench import Workbench
from pages.components import (
    fusion_controls,
    fusion_example,
    fusion_form,
    fusion_metrics,
    fusion_prepare,
    fusion_report,
    fusion_tradeoff,
    state,
)
from pages.components.fusion_form import reference, shipped
from pages.components.navigation import QUESTIONS
from pages.components.style import header
from pages.components.text import md, three

header("Fusion", QUESTIONS["Fusion"])


@st.fragment
def body(bench: Workbench) -> None:
    """Controls, metrics, trade-off, examples; a moved knob runs this and nothing else of the page."""
    with state.guard():
        default = shipped(bench.fusion())
        lab = fusion_prepare.validation(bench)
        top = st.container()
        with st.container(key="lab-main"):
            left, middle, right = st.columns([0.21, 0.46, 0.33], gap="medium")
        with left:
            fusion_controls.panel(default, bench.judge_missing(lab))
        setting, base = fusion_form.now(default), reference(default)
        fusion_form.publish(setting, default)
        now, before = lab.score(setting), lab.score(base.model_copy(update={"top": setting.top}))
        frame = lab.compare(now, before)
        with top:
            fusion_controls.bar(lab, setting, base, default)
        parts = list(lab.parts)
        with middle:
            st.html("<b>By task, on validation</b>")
            metrics = [name for name in fusion_figures.NAMES if name in set(frame["metric"])]
            with st.container(key="multiples"):
                st.html(fusion_metrics.multiples(frame, parts, metrics, setting.top))
            st.html(
                '<div class="sg-small">Bars: this setting, green or red where the paired 95 % interval of the difference leaves nought out. '
                "Grey: the reference. Whiskers: 95 % intervals of the value.</div>"
            )
            with st.container(horizontal=True, vertical_alignment="center"):
                st.download_button("Table", lambda: frame.to_csv(index=False), "fusion.csv", "text/csv", icon=":material/download:",
                                   on_click="ignore", key="lab-table")  # fmt: skip
                st.html(
                    f'<div class="sg-small">{len(lab):,} lists re-ranked in {three(now.milliseconds)} ms, '
                    f"up to {lab.cases.candidates:,} candidates each</div>", width="content"
                )  # fmt: skip
        with right:
            fusion_tradeoff.section(bench, lab, now, before, default)
        fusion_report.section(bench, setting, base)
        fusion_example.section(bench, lab, now, before)


with state.guard():
    bench = state.current()
    default = shipped(bench.fusion())
    bad = fusion_form.seed(default)
    if bad:
        st.warning(
            f"This link holds something that could not be read: {md(', '.join(bad))}. The rest was restored.",
            icon=":material/link_off:",
        )
    fusion_prepare.gate(bench)
body(bench)
st.caption(
    "Households of the evaluation are anonymous; the queries are synthetic. Settings are chosen on validation, test is for the report."
)
