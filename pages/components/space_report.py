"""The alignment report: do the spaces agree, and what did grounding gain?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from backend.figures import maps as figures_map
from backend.inspection.vectors import SPACES
from backend.serving.jobs import jobs
from backend.workbench import Workbench
from pages.components import job
from pages.components.text import count, esc, three

HELP = {
    "Uniformity": "log E exp(−2‖x − y‖²) over pairs of different items: lower = more evenly spread (Wang & Isola 2020)",
    "Alignment": "E ‖x − y‖² over pairs that belong together: lower = closer together; 2 = as far apart as chance",
    "Recall@10": "of held-out pairs of items that were bought together: is the partner among the ten nearest?",
}


def section(bench: Workbench) -> None:
    """The report, or what makes it."""
    report = bench.space.report()
    if report is None:
        _make(bench)
        return
    titles = {name: space.title for name, space in SPACES.items()}
    left, right = st.columns([0.4, 0.6], gap="large")
    with left:
        st.html(
            '<b>Shared neighbours</b><div class="sg-small">share of the ten nearest that two spaces agree on, mean over items</div>'
        )
        st.plotly_chart(figures_map.agreement(report, titles), key="space-agreement", config={"displayModeBar": False},
                        alt="Share of the ten nearest items that each two spaces agree on")  # fmt: skip
    with right:
        st.html(f"<b>Each space by itself</b>{spaces_table(report, titles)}")
        if report["views"]:
            st.html(f"<b>What grounding gained</b>{views_table(report['views'])}")


def _make(bench: Workbench) -> None:
    """Start the report as a background job, and watch it."""
    key = f"report-{bench.workspace.path}"
    running = jobs().get(key)
    if running is None or not running.active:
        st.info("Not measured yet for this workspace: neighbours in every space, and which items are bought together (about a minute).",
                icon=":material/straighten:")  # fmt: skip
        if st.button("Measure it", icon=":material/play_arrow:", key="space-report"):
            job.start(key, bench.space.make_report)
            st.rerun()
    job.show(running, "The report")


def spaces_table(report: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """Uniformity, alignment and recall of each space."""
    kinds = list(report["spaces"][0]["alignment"])
    head = [f'<th title="{esc(HELP["Uniformity"])}">Uniformity ↓</th>']
    head += [f'<th title="{esc(HELP["Alignment"])}">Alignment ↓<br>{esc(kind)}</th>' for kind in kinds]
    head += [f'<th title="{esc(HELP["Recall@10"])}">Recall@10 ↑<br>bought together</th>']
    lines = []
    for space in report["spaces"]:
        cells = [
            f'<span title="n = {space["n"]:,} items, {space["dim"]} dimensions">{esc(titles[space["space"]])}</span>',
            three(space["uniformity"]),
        ]
        cells += [
            f'<span title="n = {space["alignment"][kind]["n"]:,} pairs">{three(space["alignment"][kind]["value"])}</span>'
            for kind in kinds
        ]
        recall = space["recall"]
        cells += [f'<span title="n = {recall["n"]:,} anchors">{three(recall["value"])}</span>' if recall else "–"]
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return _table(f"<th>Space</th>{''.join(head)}", lines)


def _table(head: str, lines: list[str]) -> str:
    body = f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f'<div class="sg-scroll"><table class="sg-table">{body}</table></div>'


def views_table(views: list[Mapping[str, Any]]) -> str:
    """Recall@10 of each view's held-out pairs, before and after grounding, as the grounding stage measured it."""
    lines = []
    for view in views:
        before, after = float(view.get("recall_before", float("nan"))), float(view.get("recall_after", float("nan")))
        gain = after - before
        known = gain == gain
        kind, arrow = ("sg-up", "▲") if gain > 0 else ("sg-down", "▼")
        change = f'<span class="{kind}">{arrow} {"+" if gain >= 0 else "−"}{three(abs(gain))}</span>' if known else "–"
        cells = (esc(view["view"]), three(before), three(after), change, count(view.get("anchors")))
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th>{name}</th>" for name in ("View", "Recall@10 before", "after", "Change", "n anchors"))
    return _table(head, lines)
