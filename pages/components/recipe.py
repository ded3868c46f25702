"""Which recipe answers on the Recommend page: the switch, and what to do where its model is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from backend.workbench import Recommendation, Workbench
from pages.components.form import JD, SGREC, SIGMA

if TYPE_CHECKING:
    from backend.generation.request import Request


def switch() -> str:
    """Draw the choice of the recipe; returns it."""
    st.session_state.setdefault("recipe", SIGMA)
    return str(
        st.segmented_control("Recipe", [SIGMA, JD, SGREC], key="recipe", required=True, persist_state="session", label_visibility="collapsed",
                             help="SIGMA: short prefix, soft item tokens, three steps. JD: every item written out in full, one beam search. "
                             "S-GRec: SIGMA's three steps with the weights of a policy that was trained with a judge.")
    )  # fmt: skip


def missing(bench: Workbench, what: str, first: str, minutes: str, command: str) -> None:
    """What to do where something of a recipe is not there.

    Args:
        what: that is not there, e.g. "model of the JD recipe".
        first: how to train it, as a sentence begins.
        command: that trains it in this workspace.
    """
    demo = bench.info().demo
    where = (
        f"The shipped demo holds none and is read-only: {first} in a workspace of your own"
        if demo
        else f"{first[:1].upper()}{first[1:]} ({minutes})"
    )
    st.info(f"This workspace has no {what}. {where}, then open this page again.", icon=":material/model_training:")
    st.code(command if not demo else f"{command.split(' --workspace ')[0]} --workspace DIR", language="sh")


def first(bench: Workbench, asked: Request) -> Recommendation:
    """The first recipe's answer, to compare with; the one that its own view keeps, where that is the same request."""
    key, kept = asked.model_dump_json(), st.session_state.get("answer")
    if kept is None or kept[0] != key:
        kept = (key, bench.recommend(asked))
        st.session_state["answer"] = kept
    return kept[1]
