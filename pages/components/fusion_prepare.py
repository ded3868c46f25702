"""Whether there are stored examples to re-rank; where there are none, a button that makes them in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from backend.errors import WorkspaceError
from backend.serving.jobs import jobs
from backend.workbench import Workbench
from pages.components import job

if TYPE_CHECKING:  # the lab loads numba
    from backend.inspection.lab import FusionLab
SIZES = (100, 300, 1000, 3000)


def gate(bench: Workbench) -> None:
    """Open the lab; or say what is missing and end the page there."""
    if not bench.workspace.has("model"):
        st.info("There is no model yet. This trains one:", icon=":material/model_training:")
        st.code(f"python -m backend train --workspace {bench.workspace.path}", language="bash")
        st.stop()
    try:
        with st.spinner("The stored examples are being opened."):
            labs = bench.fusion_labs()
    except WorkspaceError as error:
        st.warning(f"{error.what}. They can be prepared again.", icon=":material/build:")
        labs = {}
    running = jobs().get(_key(bench))
    if not labs:
        st.info(
            "To re-rank all evaluation examples while a slider moves, the model must be asked about each of them once. "
            "This takes some minutes, in the background; the result is kept for this model.",
            icon=":material/hourglass_empty:",
        )
        offer(bench, "Prepare examples")
        st.stop()
    if running is not None and running.active:
        job.show(running, "Examples")
    elif not bench.judge_missing() and any(bench.judge_missing(lab) for lab in labs.values()):
        with st.expander("A judge was trained after these examples were prepared", icon=":material/balance:"):
            st.caption("To weigh its score, the examples must be prepared again; the ones you see stay until then.")
            offer(bench, "Prepare again")


def offer(bench: Workbench, label: str) -> None:
    """How many households, and the button."""
    running = jobs().get(_key(bench))
    if running is None or not running.active:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            count = st.select_slider("Households of each split", SIZES, value=300, key="lab-households", width=260)
            if st.button(label, type="primary", icon=":material/play_arrow:", key="lab-prepare"):
                job.start(_key(bench), lambda report, cancel: bench.prepare_fusion_lab(int(count), report, cancel))
                st.rerun()
    job.show(running, "Examples")


def _key(bench: Workbench) -> str:
    return f"fusion-lab-{bench.workspace.stage('model').fingerprint}"


def validation(bench: Workbench) -> FusionLab:
    """The lab that settings are chosen on.

    Raises:
        WorkspaceError: nothing is stored any more.
    """
    labs = bench.fusion_labs()
    if not labs:
        raise WorkspaceError("the stored examples are gone", str(bench.workspace.path), "open this page again")
    return labs.get("validation") or next(iter(labs.values()))
