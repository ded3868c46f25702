"""The weight of the judge's score: a slider where there is a judge, and the reason why not where there is none."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.components.text import md

MOST = 4.0
_HELP = (
    "Exponent of the judge's score s_hol (S-GRec), read from the receipts by a small student; no language model is asked. "
    "1 ranks by P × s_hol."
)


def slider(place: Any, key: str, missing: str) -> None:
    """Draw it.

    Args:
        place: where.
        key: in the session.
        missing: why there is no score to be weighed; "" = there is one.
    """
    if missing:
        st.session_state[key] = 0.0  # what a link or a preset says plays no part here
    place.slider("Judge", 0.0, MOST, step=0.1, key=key, disabled=bool(missing), help=_HELP, persist_state="session")
    if missing:
        place.caption(md(f"The judge: {missing}."))
