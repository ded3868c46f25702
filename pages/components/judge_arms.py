"""The arms: what each was worth beside the common start, what its training looked like, and what the judge's calls bought."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from backend.figures import judge as figures_judge
from backend.inspection.judge import Arms
from backend.workbench import Workbench
from pages.components import bound, judge_parts, proof
from pages.components.text import md

_POINTS = 15  # a curve is smoothed over so many'th of its steps
_SAME = (
    "The judge that rewards is the judge that measures, and both go by proxies: a higher judge score says that the policy learned what the "
    "judge asks for."
)


def chosen(bench: Workbench) -> Arms | None:
    """The run to look at; says how to make one where there is none."""
    found = bench.judging.arms()
    if not found:
        judge_parts.has_stage(bench, "policy")
        return None
    if bench.judging.stage("policy").state == "stale":
        st.warning("The model is newer than its policies.", icon=":material/history:")
    if len(found) == 1:
        return found[0]
    names = [run.name for run in found]
    name = st.selectbox("Run", names, key=bound.choose(judge_parts.PAGE, "run", names, names[0]), width=320)
    return found[names.index(str(name))]


def section(bench: Workbench) -> None:
    """Arms against the start, then their curves."""
    run = chosen(bench)
    if run is None:
        return
    frame = run.frame
    there = [name for name in figures_judge.METRICS if name in set(frame["metric"])]
    first = [name for name in ("value", "judge", "hr", "ndcg") if name in there]
    shown = st.pills(
        "Figures",
        there,
        selection_mode="multi",
        default=first,
        key="judge-figures",
        format_func=lambda name: md(figures_judge.METRICS[name]),
    )
    metrics = [name for name in there if name in shown]
    if metrics:
        told = figures_judge.against_start(frame, metrics)
        proof.block("Arms minus their common start", figures_judge.forest(frame, metrics), told, run.origin,
                    "Differences of each arm to the start with 95 % intervals around zero, a panel a figure.", proof.changes(told, "Arm minus start"),
                    note=f"Paired over held-out baskets, means over seeds; every panel has its own axis. {_SAME}", wide=True)  # fmt: skip
    else:
        st.info("Choose at least one figure.", icon=":material/filter_alt_off:")
    if run.name != "this workspace":
        st.caption("The curves of this run are not in its file.")
        return
    curves = bench.judging.curves()
    offered = [name for name in figures_judge.CURVES if name in curves]
    what = st.segmented_control("Over training", offered, key=bound.choose(judge_parts.PAGE, "curve", offered, offered[0]), required=True, wrap=True,
                                format_func=lambda name: figures_judge.CURVES[name])  # fmt: skip
    window = max(1, int(curves["step"].max()) // _POINTS)
    smooth = figures_judge.smoothed(curves, str(what), window)
    proof.block(f"Training: {figures_judge.CURVES[str(what)]}", figures_judge.curves(smooth, str(what)), smooth, run.origin,
                f"{figures_judge.CURVES[str(what)]} over the steps of training, a line an arm.",
                note=f"Means over seeds, for a2po with their span{f'; trailing means over {window} steps' if window > 1 else ''}.")  # fmt: skip


def cost(bench: Workbench) -> None:
    """What the judge's calls bought."""
    found = bench.judging.arms()
    if not [run for run in found if run.table in ("", "judged-share")]:
        judge_parts.has_stage(bench, "policy")
        return
    found = [run for run in found if run.table in ("", "judged-share")]  # other tables change more than the judge's share
    arms = pd.concat([run.frame for run in found], ignore_index=True)
    there = [name for name in figures_judge.METRICS if name in set(arms["metric"])]
    metric = str(st.segmented_control("Effect on", there, key=bound.choose(judge_parts.PAGE, "effect", there, there[0]), required=True, wrap=True,
                                      format_func=lambda name: md(figures_judge.METRICS[name])))  # fmt: skip
    told = figures_judge.against_calls(arms, metric)
    proof.block(f"Effect against judge calls: {figures_judge.METRICS[metric]}", figures_judge.cost(told, metric), told, found[0].origin,
                "Difference of each arm to the start over the number of items that the judge was asked about.",
                note="Paired 95 % intervals; arms of one cost stand side by side. An item judged is one call; the student "
                "answers in microseconds, an endpoint costs a request "
                f"for sixteen. {judge_parts.NOT_SERVED}")  # fmt: skip
    shares = sorted({float(share) for share in arms["judged"].dropna()})
    if len(shares) < 2:
        told_shares = ", ".join(f"{share:.0%}" for share in shares) or "an unknown share"
        st.info(
            f"All runs asked the judge about {md(told_shares)} of the contexts. This compares 0, 5, 20 and 100 %:",
            icon=":material/straighten:",
        )
        st.code("python -m backend experiment judged-share --workspace DIR --split validation --out assets/results/judged-share.json",
                language="sh", wrap_lines=True)  # fmt: skip
