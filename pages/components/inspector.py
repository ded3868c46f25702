"""The item inspector: a dialog with everything that is known about one item, from anywhere."""

from __future__ import annotations

import streamlit as st

from backend.figures import generation as figures
from backend.workbench import Workbench
from pages.components import chips, item_links
from pages.components.text import count, esc, money


@st.dialog("Item", width="medium", icon=":material/search:")
def inspect(bench: Workbench, item_id: str) -> None:
    """Open the dialog."""
    item = bench.item(item_id)
    icon = chips.symbol(chips.department_icon(str(item["department"])))
    path = " › ".join(str(item[name]) for name in ("department", "category", "type"))
    st.html(f'<div class="sg-title">{esc(item["title"])}</div><div class="sg-path">{icon} {esc(path)}</div>')
    facts = {
        "price": money(float(item["price"])), "brand": item["brand"], "size": item["size"], "item id": item["item_id"],
        "purchases": f"{count(item['purchases'])} by {count(item['shoppers'])} shoppers",
        "in the source": " / ".join(str(item[name]) for name in ("source_department", "source_category", "source_type")),
    }  # fmt: skip
    rows = "".join(f"<dt>{esc(name)}</dt><dd>{esc(value)}</dd>" for name, value in facts.items() if str(value).strip())
    st.html(f'<dl class="sg-facts">{rows}<dt>semantic ID</dt><dd>{chips.sid(str(item["sid"] or ""), soft=True) or "–"}</dd></dl>')
    item_links.draw(bench, str(item["item_id"]))
    if len(item["weekly"]):
        st.html('<div class="sg-small">Purchases by week</div>')
        st.plotly_chart(figures.sales(item["weekly"]), key="sales", config={"displayModeBar": False},
                        alt="Purchases of this item by week, as bars.")  # fmt: skip
    if len(item["siblings"]):
        lines = "".join(f"<li>{esc(title)} <span class='sg-small'>{esc(money(float(price)))}</span></li>"
                        for title, price in zip(item["siblings"]["title"], item["siblings"]["price"], strict=True))  # fmt: skip
        st.html(
            f'<div class="sg-small">Bought most among the same type</div><ul style="margin:.2rem 0;font-size:.85rem">{lines}</ul>'
        )
