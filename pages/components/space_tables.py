"""Under the maps: an item and its neighbours in each space, the chosen set, what moved most, the typed text's neighbours."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from backend.figures import style
from backend.frames import records
from backend.inspection.vectors import SPACES
from backend.workbench import Workbench
from pages.components import address, chips, form, inspector, space_saved
from pages.components import space_state as state
from pages.components.navigation import RECOMMEND
from pages.components.text import count, esc, md, money, three

BARS = {"text": "#56B4E9", "id": "#E69F00", "grounded": style.ACCENT, "fused": "#009E73"}


def neighbours(bench: Workbench, row: int, left: str, right: str) -> None:
    """The item in focus: its card, then its nearest in each of the two spaces, side by side."""
    item = bench.dataset.items.iloc[row]
    icon = chips.symbol(chips.department_icon(str(item["department"])))
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.html(f'<div class="sg-title">{esc(item["title"])}</div><div class="sg-path">{icon} {esc(item["department"])} › '
                f'{esc(item["category"])} · {esc(money(float(item["price"])))}</div>', width="content")  # fmt: skip
        with st.container(horizontal=True, width="content"):
            if st.button("Details", icon=":material/search:", key="space-details"):
                inspector.inspect(bench, str(item["item_id"]))
            st.button("Let go", icon=":material/close:", key="space-release", on_click=lambda: state.put(item=None, fly=None))
    shown = [name for name in dict.fromkeys([left, right]) if name]
    ready = [name for name in SPACES if name in shown or (not bench.space.available()[name] and bench.space.quick(name))]
    if any(bench.space.available()[name] for name in shown):
        return
    tables = {name: bench.space.neighbours(name, row, others=[other for other in ready if other != name]) for name in shown}
    everywhere = set.intersection(*(set(table["row"]) for table in tables.values())) if len(tables) > 1 else set()
    if len(tables) > 1:
        share = len(everywhere) / max(1, min(map(len, tables.values())))
        told = "the two spaces agree on" if share >= 0.5 else "the two spaces disagree: they share"
        st.html(f'<div class="sg-small">Of the ten nearest, {told} {len(everywhere)}. They are marked ◆. Measured in the original spaces, '
                "not on the maps.</div>")  # fmt: skip
    for column, (name, table) in zip(st.columns(len(tables), gap="large"), tables.items(), strict=True):
        with column:
            st.html(f"<b>Nearest in {esc(SPACES[name].title)}</b>")
            if table.empty:
                st.caption("This item is not in this space: nobody bought it in the training weeks.")
            for number, line in enumerate(records(table)):
                _line(bench, line, number, name, ready, line["row"] in everywhere)


def _line(bench: Workbench, line: dict, number: int, space: str, ready: list[str], both: bool) -> None:
    """One neighbour: title (opens the inspector), and how similar it is in each space."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False, key=f"space-near-{space}-{number}"):
        st.html(f'<span class="sg-small">{number + 1}{" ◆" if both else ""}</span>', width=30)
        with st.container(gap=None):
            if st.button(md(line["title"]), key=f"open-near-{space}-{number}", type="tertiary"):
                inspector.inspect(bench, str(line["item_id"]))
            st.html(bars(line, [space, *[name for name in ready if name != space]], space))


def bars(line: dict, spaces: list[str], own: str) -> str:
    """Similarity of a neighbour in each space as small bars, with its place there."""
    parts = []
    for name in spaces:
        cos = float(line[name])
        place = "" if name == own else f" · place {line[f'{name}_rank']:,}"
        parts.append(
            f'<span class="sg-sim" title="cosine {cos:.4f} in {esc(SPACES[name].title)}{esc(place)}">'
            f'<i style="width:{max(0.0, min(1.0, cos)) * 3.2:.2f}rem;background:{BARS[name]}"></i>'
            f"{esc(SPACES[name].title)} {three(cos)}<small>{esc(place)}</small></span>"
        )
    return f'<div class="sg-sims">{"".join(parts)}</div>'


def chosen(bench: Workbench) -> None:
    """The chosen set: table, download, recommend from it, colour nothing else."""
    rows = state.get("set")
    if not rows:
        st.info(
            "Choose items with the box or the lasso (the control “Dragging”), or take all that a search finds.",
            icon=":material/lasso_select:",
        )
        find = str(st.session_state.get(state.key("find")) or "")
        if find:
            found = [bench.lookup.people.item_rows[item] for item in bench.items_search(find, limit=2000)["item_id"]]
            st.button(f"Take the {count(len(found))} found by “{md(find)}”", key="space-take", disabled=not found,
                      on_click=lambda: state.put(set=found))  # fmt: skip
        space_saved.panel(bench, [])
        return
    rows = np.array(rows, int)
    items = bench.dataset.items.iloc[rows]
    table = pd.DataFrame(
        {name: items[name].to_numpy() for name in ("item_id", "title", "department", "category", "type", "price")}
    )
    table["purchases"] = bench.space.purchases()[rows]
    shares = items["category"].value_counts(normalize=True).head(3)
    told = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    st.html(
        f'<div class="sg-small"><b>{count(len(table))} items</b>: {esc(told)}; median price {esc(money(float(table["price"].median())))}</div>'
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button("Table", table.to_csv(index=False), "selection.csv", "text/csv", icon=":material/download:", on_click="ignore",
                           key="space-download")  # fmt: skip
        most = space_saved.MOST_IN_BASKET
        part = f" ({most} bought most)" if len(table) > most else ""
        st.page_link(str(RECOMMEND), label=f"Recommend from this set{part}", icon=":material/auto_awesome:",
                     query_params=address.door(form.PAGE, {"basket": ",".join(space_saved.basket(bench, rows.tolist()))},
                                               instead_of=("user", "drop")))  # fmt: skip
        space_saved.panel(bench, rows.tolist())
        st.button("Let go", icon=":material/close:", key="space-unselect", on_click=_unselect)
    picked = st.dataframe(table, hide_index=True, height=300, on_select="rerun", selection_mode="single-row", key="space-table",
                          column_config={"price": st.column_config.NumberColumn(format="$%.2f")})  # fmt: skip
    _focus(picked.selection.rows, table["item_id"].tolist(), "space-table")


def _unselect() -> None:
    state.put(set=None, drawing=(state.get("drawing") or 0) + 1)  # a new chart: the old one would keep its lasso


def moved(bench: Workbench, left: str, right: str) -> None:
    """The items whose neighbours change most between the two spaces."""
    if not right or left == right:
        st.info("Choose two different spaces.", icon=":material/compare:")
        return
    waiting = [SPACES[name].title for name in (left, right) if not bench.space.listed(name)]
    if waiting:
        st.info(f"Needs the neighbours of {md(', '.join(waiting))}, which are made with the maps.", icon=":material/hourglass:")
        return
    table = bench.space.moved(left, right)
    kept = bench.space.agreement(left, right)
    known = kept[np.isfinite(kept)]
    st.html(f'<div class="sg-small">From {esc(SPACES[left].title)} to {esc(SPACES[right].title)} an item keeps on average '
        f"<b>{three(10 * known.mean())}</b> "
            f"of its ten nearest (n = {count(len(known))}); {count(int((known == 0).sum()))} keep none. Most moved first, those bought most "
            "before others. Choose a row to see it on the maps.</div>")  # fmt: skip
    shown = table[["title", "category", "kept", "purchases"]].assign(kept=table["kept"] * 10)
    picked = st.dataframe(shown, hide_index=True, height=300, on_select="rerun", selection_mode="single-row", key="space-moved",
                          column_config={"kept": st.column_config.NumberColumn("kept of 10", format="%d")})  # fmt: skip
    _focus(picked.selection.rows, table["item_id"].tolist(), "space-moved")


def _focus(rows: list[int], items: list[str], table: str) -> None:
    """A chosen row of a table becomes the item in focus, once."""
    item = items[rows[0]] if rows and rows[0] < len(items) else None
    if item and st.session_state.get(f"{table}-last") != item:
        state.put(item=item, fly=item)
        st.session_state[f"{table}-last"] = item
        st.rerun()
    if not item:
        st.session_state.pop(f"{table}-last", None)


def text_neighbours(bench: Workbench, left: str, right: str) -> None:
    """What lies nearest to the typed text in each of the two spaces."""
    text = str(state.get("text") or "").strip()
    spaces = [name for name in dict.fromkeys([left, right]) if name and name != "id" and bench.space.quick(name)]
    if not text or not spaces:
        return
    st.html(f"<b>Nearest to “{esc(text)}”</b>")
    for column, name in zip(st.columns(max(2, len(spaces)), gap="large"), spaces, strict=False):
        found = bench.space.probe(name, text, state.layout())
        if found is not None:
            lines = "".join(
                f'<li>{esc(line["title"])} <span class="sg-small">cos {three(line["cos"])}</span></li>' for line in records(found)
            )
            column.html(f'<div class="sg-small">in {esc(SPACES[name].title)}</div><ol class="sg-list">{lines}</ol>')
