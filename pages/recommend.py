"""Recommend: what does the model propose, and by which path?"""

from __future__ import annotations

import streamlit as st

from backend.figures import style
from backend.generation.request import Request
from backend.workbench import Recommendation, Workbench
from pages.components import ask, chips, compare, form, jd_view, sgrec_view, shopper, state
from pages.components import recipe as recipes
from pages.components.navigation import QUESTIONS
from pages.components.steps import Steps
from pages.components.style import header
from pages.components.text import duration, md

header("Recommend", QUESTIONS["Recommend"])


def answer(bench: Workbench, asked: Request, steps: Steps, version: str = "") -> Recommendation:
    """The recommendation; kept while nothing of the request changes, so that other clicks do not compute it again.

    Args:
        version: what else it depends on; "" = the first recipe.
    """
    place, key = "sgrec-answer" if version else "answer", asked.model_dump_json() + version
    kept = st.session_state.get(place)
    if kept is None or kept[0] != key:
        steps.start()
        kept = (key, bench.recommend(asked, steps.on_step))
        st.session_state[place] = kept
    return kept[1]


def footer(bench: Workbench, asked: Request, result: Recommendation, params: dict[str, str]) -> None:
    """Timings, the trace as a file, the link."""
    with st.container(horizontal=True, vertical_alignment="center"):
        order = ("reading", "prompt", "prefixes", "subsets", "fusion", "total")
        times = [f"{name} {duration(result.timings_ms[name] / 1000)}" for name in order if name in result.timings_ms]
        st.html(chips.tags([*times, f"σ {style.three(result.trace.sigma)}"]), width="content")
        st.download_button("Trace", lambda: result.trace.to_json(bench.dataset.items), "trace.json", "application/json",
                           icon=":material/download:", on_click="ignore", key="trace")  # fmt: skip
        with st.popover("Link", icon=":material/link:"):
            st.caption(
                "Opens this page in this state." + (" The stock list is a file and not part of it." if asked.stock else "")
            )
            base = (st.context.url or "").split("?")[0]
            from urllib.parse import urlencode

            st.code(f"{base}?{urlencode(params)}", language=None, wrap_lines=True)


with state.guard():
    bench = state.current()
    defaults = bench.fusion()
    bad = form.seed(bench, defaults)
    if bad:
        st.warning(
            f"This link holds something that could not be read: {md(', '.join(bad))}. The rest was restored.",
            icon=":material/link_off:",
        )
    left, right = st.columns([0.38, 0.62], gap="medium")
    with left:
        shopper.panel(bench)
    with right:
        understood, stock = ask.panel(bench, defaults)
        forced = st.session_state.get("forced")
        if forced and st.button(f"forced prefix {forced}: let go", icon=":material/close:", key="release"):
            st.session_state["forced"] = None
            st.rerun()
        recipe = recipes.switch()
        policy = recipe == form.SGREC and bench.sgrec.there
        arm = sgrec_view.pick(bench) if policy else ""
        legend = st.container()
    asked = form.request(defaults, stock)
    params = form.publish(asked, defaults)
    if recipe == form.JD:
        if bench.jd.there:
            found = jd_view.answer(bench, asked)
            ask.understood(understood, found.reading)
            jd_view.section(bench, found)
            jd_view.beside(bench, asked, found)
        else:
            jd_view.missing(bench)
        st.stop()
    if recipe == form.SGREC and not policy:
        sgrec_view.missing(bench)
        st.stop()
    if not policy and not bench.ready:
        with st.spinner("The model is being loaded; this happens once."):
            bench.generator()
    answering, version = (sgrec_view.loaded(bench, arm), sgrec_view.version(bench, arm)) if policy else (bench, "")
    steps = Steps(answering)
    result = answer(answering, asked, steps, version)
    ask.understood(understood, result.reading)
    colours = style.department_colours(bench.departments())
    present = [name for name in colours if name in set(result.items["department"])]
    legend.html(chips.legend(present, colours))
    steps.finish(result)
    footer(bench, asked, result, params)
    if policy:
        sgrec_view.beside(bench, asked, result, arm)
    compare.section(answering, asked, result, version)
st.caption("Suggestions and the queries that the model learned from are synthetic; shoppers are anonymous households.")
