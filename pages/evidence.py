"""Evidence: what was measured, by which command?"""

from __future__ import annotations

import pandas as pd
import streamlit as st

from backend.figures import evidence as figures_evidence
from backend.figures import profiles as figures_profiles
from backend.inspection import evidence as ev
from backend.inspection.evidence import Evaluation, Evidence
from backend.inspection.published import beside, published_table
from pages.components import bound, proof, proof_speed, state
from pages.components.navigation import QUESTIONS
from pages.components.style import header
from pages.components.text import esc, md

PAGE = "evidence"
DEFAULTS: dict[str, bound.Value] = {"section": "Quality", "run": ev.SHIPPED, "metric": "hr", "k": "10", "published": False}
SECTIONS = ["Quality", "Differences", "Ablations", "By task", "By household", "Speed", "Scale", "Making"]
METRICS = {"hr": "HR", "ndcg": "NDCG", "recall": "Recall", "constraint": "Constraint kept", "value": "Value of hits, $",
           "breadth": "Categories in the list", "diversity": "Diversity", "novelty": "Novelty", "tail": "Long tail",
           "coverage": "Coverage"}  # fmt: skip
FAMILIES = {"ours": "Sigmascope", "baseline": "Baselines", "variant": "Changes of it", "other": "Other models"}


def controls(found: Evidence) -> tuple[Evaluation, str, int]:
    """Which run, which figure, at which cut-off."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        runs = list(found.evaluations)
        run = bound.choose(PAGE, "run", runs, runs[0])
        if len(runs) > 1:
            st.selectbox("Run", runs, key=run, width=220)
        chosen = found.evaluations[st.session_state[run]]
        offered = ev.choices(chosen)
        order = [name for name in METRICS if name in offered] + [name for name in offered if name not in METRICS]
        metric = st.selectbox("Figure", order, format_func=lambda name: METRICS.get(name, name), width=220,
                              key=bound.choose(PAGE, "metric", order, order[0]))  # fmt: skip
        ks = [str(k) for k in offered[metric]]
        k = st.segmented_control(
            "At the first", ks, required=True, key=bound.choose(PAGE, "k", ks, "10" if "10" in ks else ks[0])
        )
    return chosen, str(metric), int(k or ks[0])


def strongest(frame: pd.DataFrame, count: int) -> list[str]:
    """Ours, then the baselines that are highest over all tasks: what a first look should compare."""
    ranked = (
        ev.radar(frame).groupby(["recommender", "family"])["share"].mean().reset_index().sort_values("share", ascending=False)
    )
    own = ranked.loc[ranked["family"] == "ours", "recommender"].tolist()
    return own + ranked.loc[ranked["family"] == "baseline", "recommender"].tolist()[:count]


def compared(frame: pd.DataFrame, count: int) -> list[str]:
    """Recommenders to draw, as chosen."""
    names = list(dict.fromkeys(frame["recommender"]))
    chosen = st.pills("Compare", names, selection_mode="multi", default=strongest(frame, count), key=f"compared-{count}",
                      format_func=lambda name: md(str(name).removeprefix("SIGMA, ")))  # fmt: skip
    return [name for name in names if name in chosen]


def quality(chosen: Evaluation, metric: str, k: int, name: str) -> None:
    """Every recommender on every task."""
    frame = ev.quality(chosen, metric, k)
    there = [family for family in FAMILIES if family in set(frame["family"])]
    shown = st.pills("Show", there, selection_mode="multi", default=[family for family in there if family != "variant"], key="families",
                     format_func=lambda family: FAMILIES[family], label_visibility="collapsed")  # fmt: skip
    frame = frame[frame["family"].isin(shown)].reset_index(drop=True)
    if frame.empty:
        st.info("Choose at least one kind of recommender.", icon=":material/filter_alt_off:")
        return
    proof.block(f"{name}, every recommender on every task", figures_evidence.whiskers(frame), frame, chosen.origin,
                f"{name} with 95 % intervals, a panel a task, a row a recommender.", proof.means(frame),
                note="Whiskers: 95 % bootstrap intervals over households; every panel has its own axis. Baselines cannot read: they get a "
                "task's constraint as a hard filter.", wide=True)  # fmt: skip


def forest(frame: pd.DataFrame, chosen: Evaluation, title: str, first: str, note: str) -> None:
    """Paired differences, or that none were stored."""
    if frame.empty:
        st.info(f"{esc(chosen.origin.file)} holds no paired differences of this figure.", icon=":material/compare_arrows:")
        return
    proof.block(title, figures_evidence.forest(frame), frame, chosen.origin, f"{title}, with 95 % intervals around zero.",
                proof.changes(frame, first), note=note, wide=True)  # fmt: skip


def ablations(found: Evidence, chosen: Evaluation, metric: str, k: int, name: str, published: bool) -> None:
    """What each part is worth, and what it is worth in the paper."""
    forest(ev.ablations(chosen, metric, k), chosen, f"One change at a time, minus Sigmascope as tuned: {name}", "Change",
           "Left of zero: the change costs quality, so the part is worth having. Everything else stays as tuned on validation.")  # fmt: skip
    if "ablations" in found.missing:
        proof.missing("Parts that need another training (SID only, ID only, without grounding)", found.missing["ablations"])
    group = found.published.get("sigma")
    if published and group:
        both = beside(group, list(found.evaluations.values()))
        origin = ev.Origin(
            "published.json and the files named above", chosen.origin.command, chosen.origin.commit, chosen.origin.date
        )
        proof.block("What taking a part away costs: the paper's and ours", figures_profiles.beside(both), both, origin,
                    "Relative change of HR@10 when a part is taken away, published and measured here.",
                    note="Relative to each own full system; ours on JustForYou, with its paired interval. What differs stands below.")  # fmt: skip


def papers(found: Evidence) -> None:
    """Published figures, marked as such, with what differs."""
    st.subheader("Published figures", anchor=False)
    st.caption(
        "Copied from papers, not measured here. P: read in the paper; S: a third party's transcription; C: collected, not checked again."
    )
    for group in found.published.values():
        table = published_table(group)
        with st.container(border=True):
            st.html(
                f'<b>{esc(group["title"])}</b> <span class="sg-small">{esc(group["unit"])}, {esc(group["source"])}</span>{proof.plain(table)}'
            )
            st.markdown("\n".join(f"- {md(line)}" for line in group["differs"]))
            st.link_button("Paper", str(group["url"]), icon=":material/open_in_new:", type="tertiary")


header("Evidence", QUESTIONS["Evidence"])
with state.guard():
    bench = state.current()
    found = bench.evidence()
bound.seed(PAGE, DEFAULTS)
bound.publish(PAGE, DEFAULTS)  # before anything is drawn: what was chosen is known, and Back may come soon
for file, why in found.unread.items():
    st.warning(f"{md(file)} is left out: {md(why)}", icon=":material/broken_image:")
with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
    section = st.segmented_control("What", SECTIONS, key=bound.choose(PAGE, "section", SECTIONS, SECTIONS[0]), required=True,
                                   label_visibility="collapsed", wrap=True)  # fmt: skip
    published = st.toggle("Published figures", key=bound.widget(PAGE, "published"),
                          help="Shows what the papers report, beside ours where the two can be compared, and what differs.")  # fmt: skip

if section in ("Speed", "Scale"):
    proof_speed.section(found, proof_speed.SPEED if section == "Speed" else proof_speed.SCALE, rest=section == "Speed")
elif section == "Making":
    proof_speed.made(ev.made(bench.workspace))
elif not found.evaluations:
    proof.missing("Quality", bench.info().stages["evaluation"].command)
else:
    stage = bench.info().stages["evaluation"]
    if stage.state == "stale":
        st.warning(
            f"The model is newer than its evaluation: {md(stage.reason)}. `{md(stage.command)}`", icon=":material/history:"
        )
    chosen, metric, k = controls(found)
    name = f"{METRICS.get(metric, metric)}@{k}"
    if section == "Quality":
        quality(chosen, metric, k, name)
    elif section == "Differences":
        forest(ev.differences(chosen, metric, k), chosen, f"Sigmascope minus each baseline: {name}", "Sigmascope minus",
               "Paired over households: right of zero, Sigmascope is ahead; an interval that holds zero decides nothing.")  # fmt: skip
    elif section == "Ablations":
        ablations(found, chosen, metric, k, name, published)
    else:
        frame = ev.quality(chosen, metric, k)
        if section == "By task":
            shares, shown = ev.radar(frame), compared(frame, 3)
            proof.block(f"{name} over tasks, as a share of the best baseline", figures_profiles.radar(shares, shown),
                        shares[shares["recommender"].isin(shown)], chosen.origin,
                        "A radar chart, an axis a task; 100 % is the best baseline of that task.",
                        note="100 % = the baseline with the highest mean on that task, the hardest one to beat; a task where none scores is "
                        "left out.")  # fmt: skip
        else:
            activity, shown = ev.by_activity(chosen, metric, k), compared(frame, 2)
            activity = activity[activity["recommender"].isin(shown)].reset_index(drop=True)
            if activity.empty:
                st.info(
                    f"{esc(chosen.origin.file)} holds no slices by activity, or nothing is chosen.", icon=":material/group_off:"
                )
            else:
                proof.block(f"{name} by household activity", figures_profiles.by_activity(activity, name, shown), activity, chosen.origin,
                            f"{name} of households with few, some and many baskets, a panel a task.",
                            note="Thirds of the households by how many baskets they had before; whiskers are 95 % intervals.", wide=True)  # fmt: skip
if published:
    papers(found)
