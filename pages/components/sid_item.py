"""One item, level by level: its residual path, its title edited live, who shares its codes."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from backend.errors import SigmascopeError
from backend.figures import sids as figures_sid
from backend.frames import records
from backend.workbench import Workbench
from pages.components import chips, inspector, sid_state, state
from pages.components.sid_tree import CHART
from pages.components.text import count, esc, labels, md, three


def section(bench: Workbench) -> tuple[Any, str]:
    """Draw the section; returns the place for the soft token (it may have to wait for the model) and the item."""
    item = _pick(bench)
    row = bench.sids.row(item)
    facts = bench.dataset.items.iloc[row]
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="card-sid-item"):
        if st.button(md(facts["title"]), key="open-sid-item", type="tertiary"):
            inspector.inspect(bench, item)
        st.html(f'<span class="sg-row">{chips.sid(bench.sids.sid(row), soft=True)}<span class="sg-path">{esc(facts["department"])} › '
                f'{esc(facts["category"])}</span></span>', width="content")  # fmt: skip
    left, right = st.columns([0.55, 0.45], gap="large")
    with left:
        _path(bench, row)
        _sharing(bench, row)
    with right:
        _edit(bench, item, str(facts["title"]))
        return st.container(), item


def _pick(bench: Workbench) -> str:
    """The item in focus: chosen here or by the link, else the best seller of the open node."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input(
            "Find an item", key="sid-find", placeholder="name, category or item id", icon=":material/search:", width=320
        )
        found = bench.items_search(st.session_state.get("sid-find") or "", limit=8)
        if len(found):
            titles = labels(dict(zip(found["item_id"], found["title"], strict=True)), 30)
            st.pills(
                "Found",
                list(titles),
                format_func=lambda item: titles[item],
                key="sid-found",
                on_change=_take,
                label_visibility="collapsed",
            )
        elif st.session_state.get("sid-find"):
            st.caption("No item has these words.")
    chosen = str(sid_state.get("item"))
    return chosen or bench.sids.best_seller(str(sid_state.get("node")))


def _take() -> None:
    if st.session_state.get("sid-found"):
        sid_state.put("item", st.session_state["sid-found"])
        st.session_state["sid-found"] = None


def _path(bench: Workbench, row: int) -> None:
    path = bench.sids.path(row)
    st.html("<b>How its vector became these codes</b>")
    st.plotly_chart(figures_sid.residuals(path.levels, path.codes, _held(bench, row)), key="sid-path", config=CHART,
                    alt="For each level: distances of the residual to all codes, and the share of the vector explained so far.")  # fmt: skip
    last, odd = path.levels.iloc[-1], path.levels[path.levels["place"] > 1]
    said = f"{last['explained']:.0%} of the vector is in the codes; what is left, {1 - last['explained']:.0%}, only the soft token knows."
    if len(odd):
        said += f" At level {odd['level'].iat[0]} it took code number {odd['place'].iat[0]} by distance: the nearest was full."
    st.html(f'<div class="sg-small">A dot is a code; pale ones lead to no item from here. {said}</div>')


def _held(bench: Workbench, row: int) -> dict[str, str]:
    """What each code beside the path holds, by "level:code"."""
    tree, held = bench.sids.tree, {}
    for level, parent in enumerate(tree.lineage(bench.sids.sid(row))[:-1], start=1):
        children = tree.nodes[tree.nodes["parent"] == parent]
        for code, category, purity, n in children[["code", "category", "purity", "n_items"]].itertuples(index=False):
            held[f"{level}:{code}"] = f"{n} items, {purity:.0%} {category}"
    return held


def _edit(bench: Workbench, item: str, title: str) -> None:
    st.html("<b>What if its title were another?</b>")
    alone = st.toggle(
        "A text of its own, without the item's category",
        key="sid-alone",
        help="Off: the title is exchanged inside the item's text.",
    )
    text = st.text_input("Title", value=title, key=f"sid-title-{item}", max_chars=300, label_visibility="collapsed")
    try:
        with st.spinner("Encoding…", show_time=False):
            placed = bench.sids.retitle(None if alone else item, text or "")
    except SigmascopeError as error:
        state.show_error(error)
        return
    codes = "".join(
        f'<span class="sg-code sg-l{min(level, 3)}{" sg-moved" if level + 1 in placed.changed else ""}">{esc(code)}</span>'
        for level, code in enumerate(placed.after.split("·"))
    )
    if not placed.before:
        said = "gets"
    elif not placed.changed:
        said = "keeps its SID:"
    else:
        said = f"moves at level {placed.changed[0]}:" if len(placed.changed) == 1 else f"moves from level {placed.changed[0]} on:"
    cosine = f"cosine to the old vector {three(placed.cosine)}" if placed.before else ""
    before = chips.sid(placed.before) + " → " if placed.before and placed.changed else ""
    st.html(
        f'<div class="sg-row" role="status"><span>{said}</span>{before}<span class="sg-sid">{codes}</span>'
        f'<span class="sg-small">{cosine}</span></div>'
    )
    if placed.displaced and not alone:
        st.html(
            '<div class="sg-small">Its first code is not its nearest (that one was full); it is kept while the nearest stays the same.</div>'
        )
    rows = "".join(
        f"<li>{esc(row['title'])} {chips.sid(str(row['sid']), _common(str(row['sid']), placed.after))} "
        f'<span class="sg-small">{three(row["cosine"])}</span></li>'
        for row in records(placed.near.head(4))
    )
    st.html(f'<div class="sg-small">Nearest items to this text</div><ul class="sg-list">{rows}</ul>')


def _common(one: str, two: str) -> str:
    """The leading codes that two SIDs share."""
    shared = []
    for a, b in zip(one.split("·"), two.split("·"), strict=False):
        if a != b:
            break
        shared.append(a)
    return "·".join(shared) or "none"


def _sharing(bench: Workbench, row: int) -> None:
    sids = bench.sids
    levels = sids.tree.levels
    st.html("<b>Who shares its codes</b>")
    groups = {level: sids.sharing(row, level) for level in range(levels, 0, -1)}
    names = {
        level: f"{'all ' if level == levels else ''}{level} code{'s' if level > 1 else ''}: {count(len(frame))}"
        for level, frame in groups.items()
    }
    first = next((level for level, frame in groups.items() if len(frame)), levels)
    level = st.segmented_control("Codes shared", list(names), format_func=lambda level: names[level], default=first, key=f"sid-share-{row}",
                                 required=True,
                                 label_visibility="collapsed")  # fmt: skip
    _shared(groups[int(level or first)], int(level or first), levels, sids.sid(row))


def _shared(frame: pd.DataFrame, level: int, levels: int, sid: str) -> None:
    if frame.empty:
        st.html(
            f'<div class="sg-small">{"No collision: this SID is its own." if level == levels else "No item shares exactly so many."}</div>'
        )
        return
    shared = "·".join(sid.split("·")[:level])
    rows = "".join(
        f'<li>{esc(row["title"])} {chips.sid(str(row["sid"]), shared)} <span class="sg-small">{count(row["purchases"])} purchases</span></li>'
        for row in records(frame.head(6))
    )
    more = f'<div class="sg-small">and {len(frame) - 6:,} more</div>' if len(frame) > 6 else ""
    head = "Collisions: these items have the very same SID." if level == levels else ""
    st.html(f'<div class="sg-small">{head}</div><ul class="sg-list">{rows}</ul>{more}')
