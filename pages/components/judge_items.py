"""The items of a request as the judge sees them; and the same request before and after the policy's training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from backend.figures import style
from backend.frames import records
from backend.generation.request import Request
from backend.inspection.judge import ASPECTS
from backend.workbench import Comparison, Recommendation, Workbench
from pages.components import chips, inspector, judge_parts, proof
from pages.components.aligned import aligned
from pages.components.link import to_params
from pages.components.navigation import RECOMMEND
from pages.components.text import esc, md, three

ORDERS = ["As the model lists them", "By the judge's score"]


def candidates(bench: Workbench, asked: Request) -> None:
    """The list of a request, each item with its aspects, reasons and holistic score."""
    if not judge_parts.has_model(bench):
        return
    found = judge_parts.answer(bench, asked)
    if found.items.empty:
        st.info("Nothing passes the filters that the instruction sets.", icon=":material/filter_alt_off:")
        return
    opinion = None
    if judge_parts.has_stage(bench, "judge"):
        opinion = bench.judging.opinion(asked, found.items["item"].to_numpy(), judge_parts.weighting(bench))
    left, right = st.columns([0.3, 0.7], gap="medium")
    rows = list(enumerate(records(found.items)))
    with left:
        if opinion is not None:
            st.html(f"<b>This household's weights</b>{judge_parts.weights(opinion)}")
            st.html(
                f'<div class="sg-small">From the household alone (PSJ-B); the holistic score is weights times levels. {judge_parts.PROXY}</div>'
            )
            order = st.radio("Order", ORDERS, key="judge-order")
            if order == ORDERS[1]:
                rows.sort(key=lambda row: -np.nan_to_num(opinion.score[row[0]]))
            quality(bench)
        to_recommend(asked, bench)
    colours = style.department_colours(bench.departments())
    with right:
        for row, item in rows:
            colour = colours.get(str(item["department"]), style.OTHER)
            line = st.container(
                key=f"card-judge-{item['rank']}", horizontal=True, vertical_alignment="top", gap="small", wrap=False
            )
            line.html(f'<div class="sg-rank" style="background:{esc(colour)}">{item["rank"]}</div>', width="content")
            with line.container(gap=None):
                if st.button(md(item["title"]), key=f"open-judge-{item['rank']}", type="tertiary"):
                    inspector.inspect(bench, str(item["item_id"]))
                if opinion is None:
                    st.html(judge_parts.facts(item))
                else:
                    st.html(
                        judge_parts.facts(item, judge_parts.score(float(opinion.score[row]))) + judge_parts.aspects(opinion, row)
                    )
        if opinion is not None:
            columns = {name: opinion.expected[:, place] for place, name in enumerate(ASPECTS)}
            frame = found.items[["rank", "item_id", "title"]].assign(score=opinion.score, **columns)
            st.download_button("Table", lambda: frame.to_csv(index=False), "judged.csv", "text/csv", icon=":material/download:",
                               on_click="ignore", key="judge-table")  # fmt: skip


def quality(bench: Workbench) -> None:
    """How good the judge is, by proxy, against plain baselines; and the one that rewarded the rollouts, where that is another."""
    told = bench.judging.stage("judge").metrics
    _measured("How good is this judge?", told.get("aspects") or [], str(told.get("labels", "")))
    teacher = told.get("teacher")
    if teacher:
        _measured(f"How good is {md(teacher['name'])}, which rewarded?", teacher["rows"], str(told.get("labels", "")))


def _measured(title: str, found: Sequence[Mapping[str, Any]], labels: str) -> None:
    """PairAUC and PointAcc of a judge and of what it is laid beside, an aspect a line; the judge in question stands first."""
    rows = pd.DataFrame(found)
    if rows.empty:
        return
    with st.expander(title, icon=":material/straighten:"):
        st.caption(f"On {int(rows['n'].max()):,} held-out households, by {md(labels)}. 95 % intervals.")
        shown = rows[rows["metric"].isin(["PairAUC", "PointAcc"])]
        judges = list(dict.fromkeys(shown["judge"]))
        cell = {(row["aspect"], row["metric"], row["judge"]): row for row in records(shown)}
        body = []
        for name in ASPECTS:
            for metric in ("PairAUC", "PointAcc"):
                if (name, metric, judges[0]) not in cell:
                    continue
                own = [cell[name, metric, judge] for judge in judges]
                used = "" if own[0]["used"] else " (not used)"
                cells = [
                    f'<span title="[{three(each["low"])}, {three(each["high"])}], n = {each["n"]:,}">{three(each["mean"])}</span>'
                    for each in own
                ]
                body.append([f"{esc(judge_parts.NAMES[name])}{used}, {metric}", *cells])
        st.html(proof.grid(["", *map(esc, judges)], body))


def to_recommend(asked: Request, bench: Workbench) -> None:
    """A link to the Recommend page with the same request."""
    st.page_link(str(RECOMMEND), label="Same request on the Recommend page", icon=":material/auto_awesome:",
                 query_params=to_params(asked, bench.fusion()))  # fmt: skip


def before_after(bench: Workbench, asked: Request) -> None:
    """The list before and after the training of the policy, side by side."""
    if not (judge_parts.has_stage(bench, "policy") and judge_parts.has_model(bench)):
        return
    before = judge_parts.answer(bench, asked)
    kept = st.session_state.get("judge-compared")
    name = (asked.model_dump_json(), bench.judging.stage("policy").fingerprint)
    if kept is None or kept[0] != name:
        told = "The policy answers…" if bench.sgrec.bench().ready else "The policy is being loaded; this happens once."
        with st.spinner(told):
            kept = (name, Comparison.of(before, bench.sgrec.recommend(asked)))
        st.session_state["judge-compared"] = kept
    pair = kept[1]
    arm = str(bench.judging.stage("policy").settings.get("chosen", "policy"))
    st.html(chips.tags([f"{pair.overlap:.0%} in both lists", f"arm: {arm}"]))
    told_of = _told(bench, asked, pair.left), _told(bench, asked, pair.right)
    body = []
    for (title, first, unit), (_, second, _) in zip(*told_of, strict=True):
        step = second - first
        kind, arrow = ("sg-up", "▲") if step > 1e-9 else ("sg-down", "▼") if step < -1e-9 else ("", "=")
        body.append(
            [esc(title), f"{unit}{three(first)}", f"{unit}{three(second)}", f'<span class="{kind}">{arrow} {step:+.3f}</span>']
        )
    st.html(proof.grid(["Of the list", "before", "after", "change"], body))
    st.caption(
        "One request is an example and decides nothing: the arms, measured on held-out baskets with intervals, stand under Arms."
    )
    if len(pair.moves):
        st.html(
            aligned(pair.moves, "Before: the model as trained", f"After: {arm}", style.department_colours(bench.departments()))
        )
    to_recommend(asked, bench)


def _told(bench: Workbench, asked: Request, found: Recommendation) -> list[tuple[str, float, str]]:
    """What is told of a list: title, value, unit before it."""
    rows = found.items["item"].to_numpy(np.int64)
    if not len(rows):
        return []
    told = [("dollars kept when an item sells, mean (proxy)", float(bench.judging.worth(rows).mean()), "$")]
    if bench.judging.stage("judge").state == "ok":
        told.append(("judge score, mean (proxy)", float(np.nanmean(bench.judging.opinion(asked, rows).score)), ""))
    told.append(("share that is new to the household", float(1 - found.items["seen"].mean()), ""))
    told.append(("categories", float(found.items["category"].nunique()), ""))
    return told
