"""The item card, the same everywhere; its title opens the item inspector."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import streamlit as st

from backend.figures.style import OTHER
from pages.components import chips
from pages.components.text import esc, md, money, three


def move(rank: int, before: float) -> str:
    """How an item moved against the plain product, as arrow and number."""
    if pd.isna(before):
        return ""
    step = int(before) - rank
    if step == 0:
        return '<span class="sg-move" title="same place without APF">=</span>'
    kind, arrow = ("sg-up", "▲") if step > 0 else ("sg-down", "▼")
    return f'<span class="sg-move {kind}" title="place {int(before)} without APF">{arrow} {abs(step)}</span>'


def body(item: Mapping[str, Any]) -> str:
    """What stands under the title: path, price, SID chips, why, and the scores on hover."""
    scores = f"φ {three(item['phi'])} · cos {three(item['cos'])} · P {three(item['p_item'])} · score {three(item['score'])}"
    judged = item.get("judge")
    scores += f" · judge {three(judged)}" if judged is not None and not pd.isna(judged) else ""
    icon = chips.symbol(chips.department_icon(str(item["department"])))
    marks = [
        f'<span class="sg-price">{esc(money(float(item["price"])))}</span>',
        chips.sid(str(item["sid"]), str(item["prefix"])),
        move(int(item["rank"]), item.get("rank_without_apf", float("nan"))),
    ]
    return (
        f'<div class="sg-path">{icon} {esc(item["path"])}</div>'
        f'<div class="sg-row" style="margin-top:.15rem" title="{esc(scores)}">{"".join(marks)}</div>'
        f'<div class="sg-why">{chips.symbol("history") + " " if item.get("seen") else ""}{esc(item["why"])}</div>'
    )


def card(item: Mapping[str, Any], colours: Mapping[str, str], scope: str, add: Callable[[str], None] | None = None) -> bool:
    """Draw a card; whether its title was clicked.

    Args:
        add: called with the item's id by the button that adds it to the basket; None = no such button.
    """
    rank, colour = int(item["rank"]), colours.get(str(item["department"]), OTHER)
    row = st.container(key=f"card-{scope}-{rank}", horizontal=True, vertical_alignment="top", gap="small", wrap=False)
    row.html(f'<div class="sg-rank" style="background:{esc(colour)}">{rank}</div>', width="content")
    with row.container(gap=None):
        clicked = st.button(md(item["title"]), key=f"open-{scope}-{rank}", type="tertiary")
        st.html(body(item))
    if add is not None:
        row.button("", key=f"add-{scope}-{rank}", type="tertiary", icon=":material/add_shopping_cart:", on_click=add,
                   args=(str(item["item_id"]),), help="Add to the basket", width="content")  # fmt: skip
    return bool(clicked)
