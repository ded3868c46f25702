"""The codebook tree: what is drawn, how large, in which colour; a click opens a node."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from backend.figures import sids as figures_sid
from backend.figures import style
from backend.workbench import Workbench
from pages.components import chips, sid_state
from pages.components.text import esc, three

CHART = {"displayModeBar": False}
VIEWS = {"all": "", "new": ", items new to the shopper"}


def controls(bench: Workbench) -> None:
    """Chart kind, size, colour, and the task whose hits are meant."""
    measured = bench.sids.measured()
    options = [name for name in figures_sid.COLOURS if name != "recall@10" or measured]
    if sid_state.get("colour") not in options:
        sid_state.put("colour", sid_state.DEFAULTS["colour"])
    with st.container(horizontal=True, vertical_alignment="bottom", key="sid-controls"):
        st.segmented_control("Drawn as", figures_sid.KINDS, key=sid_state.key("kind"), required=True, persist_state="session")
        st.segmented_control("Size", list(figures_sid.SIZES), key=sid_state.key("size"), required=True, persist_state="session")
        st.selectbox("Colour", options, key=sid_state.key("colour"), width=150, persist_state="session")
        if measured:
            names = [f"{task}.{view}" for task, view in measured]
            if sid_state.get("task") not in names:
                sid_state.put("task", names[0])
            st.selectbox(
                "Evaluation task", names, key=sid_state.key("task"), width=210, persist_state="session", format_func=task_name
            )


def task_name(name: str) -> str:
    """ "JustForYou.new" as one would say it."""
    task, _, view = name.partition(".")
    return task + VIEWS.get(view, f", {view}")


def draw(bench: Workbench) -> None:
    """The chart under the open node, with the way back above it and its legend below."""
    sids, node = bench.sids, str(sid_state.get("node"))
    tree = sids.tree
    facts = tree.facts(node)
    root = str(facts["parent"]) if facts["level"] == tree.levels else node  # a leaf is marked in its parent's drawing
    frame = tree.below(root)
    hits = sids.hits(*str(sid_state.get("task")).split(".", 1)) if sids.measured() else None
    if hits is not None:
        frame = frame.join(hits)
    colour, colours = str(sid_state.get("colour")), style.department_colours(bench.departments())
    _way_back(tree.lineage(node), frame)
    figure = figures_sid.tree(frame, str(sid_state.get("kind")), str(sid_state.get("size")), colour, colours, selected=node)
    place = f"sid-tree-{sid_state.get('kind')}-{node}"  # a new key a drawn node: the last click must not linger
    st.plotly_chart(figure, key=place, on_select=lambda: _open(place, root, str(tree.facts(root)["parent"])), selection_mode="points",
                    config=CHART, alt=f"Codebook tree under {node}: {len(frame)} nodes. The same nodes are listed beside it.")  # fmt: skip
    if colour == "department":
        held = frame[frame["level"] > 0].groupby("department")["n_items"].sum().sort_values(ascending=False).index
        st.html(chips.legend([name for name in colours if name in set(held)][:9], colours))
    else:
        st.html(_scale(*figures_sid.scale(frame, colour), colour))


def _way_back(lineage: list[str], frame: pd.DataFrame) -> None:
    """The nodes above the open one, as small buttons; at the top, examples of what one can open."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="sid-lineage"):
        for name in lineage[:-1]:
            st.button("all items" if name == "·" else name, key=f"sid-up-{name}", type="tertiary", icon=":material/arrow_upward:",
                      on_click=go, args=(name,))  # fmt: skip
        if len(lineage) == 1:
            st.html('<span class="sg-small">Click a part of the drawing to open it, for example</span>', width="content")
            for name, said in _examples(frame[frame["level"] == 1]).items():
                st.button(f"{said}: {name}", key=f"sid-example-{name}", type="tertiary", on_click=go, args=(name,))


def _examples(first: pd.DataFrame) -> dict[str, str]:
    """First prefixes worth a look, by name."""
    found = {str(first["purity"].idxmin()): "the most mixed", str(first["purity"].idxmax()): "the purest"}
    if "recall" in first and first["recall"].notna().any():
        found[str(first["recall"].idxmax())] = "where most is hit"
    return found


def _open(place: str, root: str, parent: str) -> None:
    """A clicked node opens; a click on the root of the drawing leads one level up."""
    points = st.session_state[place].selection.points
    if points:
        clicked = str(points[0].get("id") or points[0].get("label") or "")
        go(parent or root if clicked == root else clicked)


def go(node: str) -> None:
    """Open a node; the item below follows it until one is chosen."""
    sid_state.put("node", node)
    sid_state.put("item", "")


def _scale(low: float, high: float, colour: str) -> str:
    """The legend of a colour scale."""
    form = (lambda value: f"{value:.0%}") if colour == "purity" else three
    stops = ",".join(f"{name} {100 * at:g}%" for at, name in figures_sid.SEQUENTIAL)
    title = {"popularity": "purchases an item (log scale)", "purity": "share of the commonest category"}.get(
        colour, f"{colour} inside the node"
    )
    grey = f'<i style="background:{figures_sid.UNKNOWN}"></i>no target here' if colour == "recall@10" else ""
    return (
        f'<div class="sg-scale sg-small"><span>{esc(title)}</span><span>{esc(form(low))}</span>'
        f'<b style="background:linear-gradient(90deg,{stops})"></b><span>{esc(form(high))}{"+" if colour == "recall@10" else ""}</span>'
        f'<span class="sg-key">{grey}</span></div>'
    )
