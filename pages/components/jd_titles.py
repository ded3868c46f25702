"""Titles ↔ semantic IDs: the two alignment tasks of the second recipe, to be asked by hand."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from backend.errors import RequestError
from backend.frames import records
from backend.workbench import Workbench
from pages.components import chips, state
from pages.components.text import esc, labels, three

_MOST = 5


def section(bench: Workbench) -> None:
    """Draw the tool."""
    with st.expander("Titles and semantic IDs: ask the model for one by the other", icon=":material/translate:"):
        left, right = st.columns(2, gap="medium")
        with left:
            text = st.text_input("Title → semantic ID", key="jd-title", placeholder="Greek yogurt, 16 oz", max_chars=200)
            if text.strip():
                _items(bench, text)
            else:
                st.caption("Type a title, of the catalogue or your own.")
        with right:
            _title(bench)


def _items(bench: Workbench, text: str) -> None:
    """What the model takes a title for."""
    try:
        found = bench.jd.title_to_sid(text)
    except RequestError as error:
        state.show_error(error)
        return
    titles = bench.dataset.items["title"]
    for name, beams in (("along the trie", found.beams), ("free", found.free)):
        st.html(f'<div class="sg-small">{name}</div>' + "".join(_line(row, titles) for row in records(beams.head(_MOST))))


def _line(row: dict, titles: pd.Series) -> str:
    told = esc(titles.iat[row["item"]]) if row["valid"] else chips.tag("✗ no such item", "bad")
    return f'<div class="sg-row">{chips.sid(str(row["sid"]))}<span class="sg-small">{esc(three(row["path"]))}</span><span>{told}</span></div>'


def _title(bench: Workbench) -> None:
    """What the model says an item is called."""
    words = st.text_input("Semantic ID → title: find an item", key="jd-find", placeholder="yogurt", max_chars=100)
    if not words.strip():
        st.caption("Find an item; the model sees its semantic ID alone.")
        return
    matches = bench.items_search(words, 12)
    if matches.empty:
        st.caption("No item's title or category holds these words.")
        return
    names = labels(dict(zip(matches["item_id"], matches["title"], strict=True)), 60)
    chosen = st.selectbox("Item", list(names), key="jd-item", format_func=names.__getitem__, label_visibility="collapsed")
    sid, said = bench.jd.sid_to_title(str(chosen))
    st.html(f'<div class="sg-row">{chips.sid(sid)}<span>“{esc(said) or "nothing"}”</span></div>')
