"""The second recipe on the Recommend page: the same request answered by a beam over full semantic IDs, and its trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from backend.figures import jd as figures_jd
from backend.figures import style
from backend.frames import records
from backend.workbench import Comparison, Workbench
from pages.components import chips, form, inspector, jd_titles, recipe
from pages.components.aligned import aligned
from pages.components.form import JD, SIGMA
from pages.components.text import duration, esc, md, money, three

if TYPE_CHECKING:
    from backend.generation.request import Request
    from backend.inspection.jd import JdAnswer

CHART = {"displayModeBar": False}
_FAULT = '<span class="sg-tag bad" title="no item of the catalogue has this semantic ID">✗ no such item</span>'


def missing(bench: Workbench) -> None:
    """What to do where no model of the recipe is there."""
    recipe.missing(bench, "model of the JD recipe", "train one", "ten minutes", bench.jd.command)


def answer(bench: Workbench, asked: Request) -> JdAnswer:
    """The answer; kept while nothing of the request changes and the model is the same."""
    key = (asked.model_dump_json(), str(bench.workspace.path), bench.workspace.stage("jd").fingerprint)
    kept = st.session_state.get("jd-answer")
    if kept is None or kept[0] != key:
        told = "The search runs…" if bench.jd.ready else "The model of the JD recipe is being loaded; this happens once."
        with st.spinner(told):
            kept = (key, bench.jd.recommend(asked))
        st.session_state["jd-answer"] = kept
    return kept[1]


def section(bench: Workbench, found: JdAnswer) -> None:
    """Draw the list and how it came about."""
    colours = style.department_colours(bench.departments())
    trace = found.jd
    for note in found.notes[:-1]:
        st.html(f'<div class="sg-tag warn" style="white-space:normal">{esc(note)}</div>')
    st.html(f'<div class="sg-small">{esc(found.notes[-1].capitalize())}.</div>')
    left, right = st.columns([0.62, 0.38], gap="medium")
    titles = _titles(bench, trace.constrained)
    with left:
        st.subheader("Beam tree", anchor=False)
        if trace.nodes.empty:
            st.caption("There was nothing to search.")
        shown = figures_jd.drawn(trace.nodes)
        st.plotly_chart(figures_jd.beam_tree(shown, titles), key="jd-tree", config=CHART,
                        alt="The beam's tree, one column a level: kept codes filled, pruned ones hollow, impossible ones crossed.")  # fmt: skip
        hidden = len(trace.nodes) - len(shown)
        st.html(
            f'<div class="sg-small">A column is a level of the semantic ID; larger = more probable. {hidden:,} more nodes: see the trace.</div>'
        )
    with right:
        st.subheader("List", anchor=False)
        if found.items.empty:
            st.info("Nothing passes the filters. Let go of one of them.", icon=":material/filter_alt_off:")
        for item in records(found.items):
            if _card(item, colours, lambda item_id: form.add(bench, item_id)):
                inspector.inspect(bench, str(item["item_id"]))
    _way(trace.nodes, trace.constrained, titles)
    _beams(trace.constrained, trace.free, bench.dataset.items["title"])
    with st.container(horizontal=True, vertical_alignment="center"):
        st.html(chips.tags([f"{name} {duration(value / 1000)}" for name, value in found.timings_ms.items()]), width="content")
        st.download_button("Trace", lambda: trace.to_json(), "trace_jd.json", "application/json", icon=":material/download:",
                           on_click="ignore", key="jd-trace")  # fmt: skip
    jd_titles.section(bench)


def beside(bench: Workbench, asked: Request, found: JdAnswer) -> None:
    """Both recipes' lists, aligned; where the workspace has a model of the first one."""
    if not bench.info().usable:
        return
    with st.container(border=True, key="jd-compare"):
        st.html("<b>The same request, two recipes</b>")
        with st.spinner("The first recipe answers…"):
            pair = Comparison.of(recipe.first(bench, asked), found)
        st.html(chips.tags([f"{pair.overlap:.0%} in both lists"]))
        if len(pair.moves):
            st.html(aligned(pair.moves, SIGMA, JD, style.department_colours(bench.departments())))


def _titles(bench: Workbench, beams: pd.DataFrame) -> dict[str, str]:
    all_titles = bench.dataset.items["title"]
    return {row["sid"]: str(all_titles.iat[row["item"]]) for row in records(beams) if row["item"] >= 0}


def _card(item: Mapping[str, Any], colours: Mapping[str, str], add: Any) -> bool:
    """A card like those of the first recipe; its scores are those of this one."""
    rank, colour = int(item["rank"]), colours.get(str(item["department"]), style.OTHER)
    row = st.container(key=f"card-jd-{rank}", horizontal=True, vertical_alignment="top", gap="small", wrap=False)
    row.html(f'<div class="sg-rank" style="background:{esc(colour)}">{rank}</div>', width="content")
    with row.container(gap=None):
        clicked = st.button(md(item["title"]), key=f"open-jd-{rank}", type="tertiary")
        share = f"P {three(item['score'])}" + (f", shared by {item['shared']} items" if item["shared"] > 1 else "")
        seen = chips.symbol("history") + " bought before" if item["seen"] else ""
        st.html(
            f'<div class="sg-path">{chips.symbol(chips.department_icon(str(item["department"])))} {esc(item["path"])}</div>'
            f'<div class="sg-row" style="margin-top:.15rem" title="{esc(share)}"><span class="sg-price">{esc(money(float(item["price"])))}</span>'
            f'{chips.sid(str(item["sid"]))}<span class="sg-small">{esc(share)}</span></div><div class="sg-why">{seen}</div>'
        )
    row.button("", key=f"add-jd-{rank}", type="tertiary", icon=":material/add_shopping_cart:", on_click=add, args=(str(item["item_id"]),),
               help="Add to the basket", width="content")  # fmt: skip
    return bool(clicked)


def _way(nodes: pd.DataFrame, beams: pd.DataFrame, titles: Mapping[str, str]) -> None:
    """One way through the tree, step by step."""
    if beams.empty:
        return
    st.subheader("One way, step by step", anchor=False)
    names = beams["sid"].tolist()
    chosen = st.selectbox(
        "Semantic ID", names, key="jd-way", format_func=lambda sid: f"{sid}  {titles.get(sid, '')}", label_visibility="collapsed"
    )
    parts = str(chosen).split("·")
    way = nodes[nodes["sid"].isin(["·".join(parts[:length]) for length in range(1, len(parts) + 1)])].sort_values("level")
    st.plotly_chart(figures_jd.steps(way), key="jd-steps", config=CHART,
                    alt="Probability of each code before and after the constraint, with the number of legal continuations.")  # fmt: skip
    before, after = way["before"].to_numpy(float), way["after"].to_numpy(float)
    lost = 1 - float((before / after.clip(min=1e-12)).prod())
    st.html(f'<div class="sg-small">Along this way {lost:.0%} of the probability stood on codes that no allowed item has.</div>')


def _beams(constrained: pd.DataFrame, free: pd.DataFrame, titles: pd.Series) -> None:
    """The free beam beside the constrained one; what does not exist is marked."""
    left, right = st.columns(2, gap="medium")
    for place, name, beams in ((left, "Constrained beam", constrained), (right, "Free beam", free)):
        with place:
            st.subheader(name, anchor=False)
            if beams.empty:
                st.caption("Nothing was found.")
                continue
            wrong = int((~beams["valid"]).sum())
            kind = "bad" if wrong else "good"
            st.html(
                chips.tag(f"{wrong} of {len(beams)} are no item ({wrong / len(beams):.0%})", kind, "error" if wrong else "check")
            )
            st.html("".join(_line(row, titles) for row in records(beams)))
    st.caption("The free beam knows neither the catalogue nor the filters; the constrained one walks the catalogue's trie.")


def _line(row: Mapping[str, Any], titles: pd.Series) -> str:
    told = esc(titles.iat[row["item"]]) if row["valid"] else _FAULT
    more = f' <span class="sg-small">+{row["shared"] - 1} more</span>' if row["shared"] > 1 else ""
    return (
        f'<div class="sg-row" title="P {esc(three(row["path"]))}, log P {row["log_p"]:.2f}"><span class="sg-small">{row["rank"]}</span>'
        f'{chips.sid(str(row["sid"]))}<span class="sg-small">{esc(three(row["path"]))}</span><span style="font-size:.85rem">{told}{more}</span></div>'
    )
