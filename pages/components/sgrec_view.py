"""The third recipe on the Recommend page: SIGMA's three steps with a policy's weights, and what the policy changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from backend.figures import style
from backend.workbench import Comparison, Recommendation, Workbench
from pages.components import chips, recipe
from pages.components.aligned import aligned
from pages.components.form import SGREC, SIGMA

if TYPE_CHECKING:
    from backend.generation.request import Request

MEANING = {
    "business only": "trained on money alone",
    "reward sum": "trained on the sum of money and the judge's score",
    "advantage sum": "trained on the sum of both advantages",
    "gate only": "trained on both where they agree",
    "magnitude only": "trained on both, the judge's never larger than money's",
    "a2po": "trained on both: where they agree, the judge's never larger than money's",
}


def missing(bench: Workbench) -> None:
    """What to do where no policy is there."""
    recipe.missing(
        bench, "policy of the S-GRec recipe", "train the judge and the policies", "six or seven minutes", bench.sgrec.command
    )


def pick(bench: Workbench) -> str:
    """Draw the choice of the arm whose weights answer; returns it."""
    arms = bench.sgrec.arms
    if st.session_state.get("arm") not in arms:
        st.session_state["arm"] = arms[0]
    return str(
        st.selectbox("Arm of the policy", arms, key="arm", persist_state="session", width=420,
                     format_func=lambda arm: f"{arm}: {MEANING.get(arm, 'trained with the judge')}")
    )  # fmt: skip


def loaded(bench: Workbench, arm: str) -> Workbench:
    """The bench that answers with an arm's weights, its model loaded."""
    own = bench.sgrec.bench(arm)
    if not own.ready:
        with st.spinner("The policy's model is being loaded; this happens once."):
            own.generator()
    return own


def version(bench: Workbench, arm: str) -> str:
    """What an answer depends on beside the request."""
    return f"{bench.workspace.path} {bench.workspace.stage('policy').fingerprint} {arm}"


def beside(bench: Workbench, asked: Request, found: Recommendation, arm: str) -> None:
    """The same request before the policy's training and after it, aligned."""
    with st.container(border=True, key="sgrec-compare"):
        st.html("<b>The same request, before and after the policy</b>")
        with st.spinner("The first recipe answers…"):
            pair = Comparison.of(recipe.first(bench, asked), found)
        spent = [float(side.items["price"].mean()) if len(side.items) else 0.0 for side in (pair.left, pair.right)]
        st.html(chips.tags([f"{pair.overlap:.0%} in both lists", f"mean price ${spent[0]:.2f} → ${spent[1]:.2f}"]))
        if len(pair.moves):
            st.html(aligned(pair.moves, SIGMA, f"{SGREC}, {arm}", style.department_colours(bench.departments())))
        st.caption("The judge took part in the training; for this list it is asked only where its weight is drawn under Fusion.")
