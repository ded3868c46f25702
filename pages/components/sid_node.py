"""What is inside the open node: what it holds, hits and misses, the codes beside it, its items."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from backend.frames import records
from backend.workbench import Workbench
from pages.components import chips, inspector, sid_state, sid_tree
from pages.components.text import count, esc, md, money, three

SHOWN = 8  # items drawn as buttons; all of them are in the table


def panel(bench: Workbench) -> None:
    """Draw the panel of the open node."""
    node = str(sid_state.get("node"))
    facts = bench.sids.tree.facts(node)
    with st.container(border=True, key="sid-node"):
        name = chips.sid(node) or "<b>All items</b>"
        st.html(
            f'<div class="sg-row" style="font-size:1.25rem">{name}<span class="sg-title">{esc(_headline(node, facts))}</span></div>'
        )
        st.html(_facts(facts) + _words(bench, node))
        _hits(bench, node)
        if node != "·":
            _siblings(bench, node)
        _items(bench, node)


def _headline(node: str, facts: dict[str, Any]) -> str:
    if node == "·":
        return ""
    sure = "" if facts["purity"] >= 0.999 else f", {facts['purity']:.0%}"
    return f"{facts['category']}{sure}"


def _facts(facts: dict[str, Any]) -> str:
    rows = {
        "items": f"{count(facts['n_items'])}, bought {count(facts['sales'])} times ({three(facts['popularity'])} an item)",
        "category": f"{facts['category']} ({facts['purity']:.0%} of the items: the node's purity)",
        "department": f"{facts['department']} ({facts['department_share']:.0%})",
        "price": f"{money(facts['price_low'])} to {money(facts['price_high'])}, half of them up to {money(facts['price_median'])}",
    }
    return (
        '<dl class="sg-facts">' + "".join(f"<dt>{esc(name)}</dt><dd>{esc(value)}</dd>" for name, value in rows.items()) + "</dl>"
    )


def _words(bench: Workbench, node: str) -> str:
    if node == "·":
        return ""
    words = records(bench.sids.typical_words(node))
    marks = [f'<span class="sg-tag" title="{esc(_word(row))}">{esc(row["word"])}</span>' for row in words]
    return (
        f'<div class="sg-row" style="margin-top:.5rem"><span class="sg-small">typical words</span>{"".join(marks)}</div>'
        if marks
        else ""
    )


def _word(row: dict[str, Any]) -> str:
    return f"in {row['n']} titles here ({row['share']:.0%}), {row['lift']:.3g} times as often as overall"


def _hits(bench: Workbench, node: str) -> None:
    """Recall inside the node, ours and the others'; the items that were hit and missed most."""
    sids = bench.sids
    if not sids.measured():
        stage = bench.info().stages["evaluation"]
        said = "no evaluation of this workspace" if stage.state != "ok" else "the evaluation holds no counts by item"
        st.html(f'<div class="sg-small" style="margin-top:.4rem">Hits and misses: {said}. This makes them:</div>')
        st.code(stage.command, language="bash")
        return
    task, view = str(sid_state.get("task")).split(".", 1)
    lines = []
    for place, name in enumerate(sids.recommenders()):
        table = sids.hits(task, view, name)
        if table is None:
            continue
        lines.append((place == 0, name, records(table.loc[[node]])[0]))
    if not lines or not lines[0][2]["targets"]:
        st.html('<div class="sg-small">The evaluation asked for nothing that lies here.</div>')
        return
    ours, best = lines[0], max(lines[1:], key=lambda line: line[2]["recall"], default=None)
    marks = "".join(_recall(name, row, first) for first, name, row in [ours, *([best] if best else [])])
    if best:
        gap = ours[2]["recall"] - best[2]["recall"]
        kind, arrow = ("sg-up", "▲") if gap > 0 else ("sg-down", "▼") if gap < 0 else ("", "=")
        against = f"against the best baseline here (n = {count(ours[2]['targets'])})"
        marks += f'<div class="sg-small"><span class="{kind}">{arrow} {gap:+.3f}</span> {against}</div>'
    st.html(
        f'<div class="sg-small" style="margin-top:.5rem">Hits in the first 10 places, {esc(sid_tree.task_name(f"{task}.{view}"))}</div>{marks}'
    )
    own = sids.item_hits(task, view)
    if own is not None and len(own):
        members = own[own["item"].isin(sids.tree.rows(node))]
        with st.popover("Most missed and shown in vain", icon=":material/target:", width="stretch"):
            _missed(bench, members.assign(missed=members["targets"] - members["hits"], vain=members["shown"] - members["hits"]))


def _recall(name: str, row: dict[str, Any], ours: bool) -> str:
    width = 100 * float(row["recall"])
    told = f"{row['hits']:,.0f} of {row['targets']:,.0f} wanted items; 95 % interval {three(row['recall_low'])} to {three(row['recall_high'])}"
    precision = f", {row['precision']:.1%} of {row['shown']:,.0f} shown were wanted" if row["shown"] else ", never shown"
    return (
        f'<div class="sg-meter" title="{esc(told + precision)}"><span>{esc(name)}</span>'
        f'<i><b class="{"ours" if ours else ""}" style="width:{width:.1f}%"></b></i><span>{three(row["recall"])}</span></div>'
    )


def _missed(bench: Workbench, members: pd.DataFrame) -> None:
    titles = bench.dataset.items["title"]
    for column, head, form in (
        ("missed", "Wanted, not shown", "{missed:,.0f} of {targets:,.0f}"),
        ("vain", "Shown, not wanted", "{vain:,.0f} of {shown:,.0f}"),
    ):
        rows = records(members[members[column] > 0].sort_values(column, ascending=False, kind="stable").head(6))
        lines = "".join(
            f"<li>{esc(titles.iat[int(row['item'])])} <span class='sg-small'>{form.format(**row)}</span></li>" for row in rows
        )
        st.html(f'<div class="sg-small">{head}</div><ul style="margin:.2rem 0;font-size:.85rem">{lines or "<li>none</li>"}</ul>')


def _siblings(bench: Workbench, node: str) -> None:
    beside = records(bench.sids.siblings(node, 4))
    if not beside:
        return
    st.html('<div class="sg-small" style="margin-top:.5rem">Nearest codes beside it</div>')
    with st.container(horizontal=True, gap="small", key="sid-beside"):
        for row in beside:
            st.button(f"**{row['node'].split('·')[-1]}** {md(row['category'])}", key=f"sid-beside-{row['node']}", on_click=sid_tree.go,
                      args=(row["node"],), help=f"{row['n_items']} items, centroids {three(row['distance'])} apart")  # fmt: skip


def _items(bench: Workbench, node: str) -> None:
    members = bench.sids.members(node)
    st.html(
        f'<div class="sg-small" style="margin-top:.5rem">Items, bought most first ({min(SHOWN, len(members))} of {len(members):,})</div>'
    )
    for place, row in enumerate(records(members.head(SHOWN))):
        with st.container(horizontal=True, gap="small", vertical_alignment="center", key=f"card-sid-{place}"):
            if st.button(md(row["title"]), key=f"open-sid-{place}", type="tertiary"):
                inspector.inspect(bench, str(row["item_id"]))
            st.html(
                f'<span class="sg-row sg-small">{esc(money(float(row["price"])))}{chips.sid(str(row["sid"]), node)}</span>',
                width="content",
            )
    with st.popover(f"All {len(members):,} as a table", icon=":material/table:", width="stretch"):
        st.dataframe(members.head(1000), hide_index=True, height=320, key="sid-members")
        st.download_button("CSV", lambda: members.to_csv(index=False), f"items-{node.replace('·', '-')}.csv", "text/csv",
                           icon=":material/download:", on_click="ignore", key="sid-members-csv")  # fmt: skip
