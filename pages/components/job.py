"""A background job on a page: bar, message, cancel; the page is run again when the job ends."""

from __future__ import annotations

from secrets import token_hex
from typing import Any

import streamlit as st

from backend.serving.jobs import Job, Work, jobs
from pages.components.text import duration, md

EVERY_S = 1.0  # how often a running job is drawn anew


def session() -> str:
    """Whose turn a job takes: this session's."""
    return str(st.session_state.setdefault("job-owner", token_hex(8)))


def start(key: str, work: Work) -> Job:
    """Start a job of this session, or join the one that runs."""
    return jobs().start(key, work, owner=session())


def show(job: Job | None, what: str) -> Any:
    """Draw a job.

    Args:
        job: what `start` or `jobs().get` gave; None draws nothing.
        what: what is being made, as the beginning of a sentence: "The map".

    Returns:
        the job's result once it is done, else None.
    """
    if job is None:
        return None
    if job.active:
        st.fragment(_live, run_every=EVERY_S)(job, what)
    elif job.state == "failed":
        st.error(f"**{md(what)} could not be made.** {md(job.error)}", icon=":material/error:")
    elif job.state == "cancelled":
        st.info(f"{md(what)} was cancelled after {duration(job.seconds)}; nothing was changed.", icon=":material/cancel:")
    return job.result


def _live(job: Job, what: str) -> None:
    """One drawing of a job that may have ended since the last."""
    if not job.active:
        st.rerun()  # the whole page: what was waited for is there
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"job-{job.key}"):
        st.progress(_share(job), text=_line(job, what))
        stopping = job.token.cancelled
        st.button("Stopping…" if stopping else "Cancel", key=f"cancel-{job.key}", icon=":material/stop_circle:", disabled=stopping,
                  on_click=job.cancel)  # fmt: skip


def _share(job: Job) -> float:
    event = job.progress
    return min(1.0, max(0.0, event.done / event.total)) if event is not None and event.total > 0 else 0.0


def _line(job: Job, what: str) -> str:
    if job.state == "queued":
        ahead = jobs().ahead(job)
        return f"{md(what)} waits for its turn" + (f"; {ahead} before it" if ahead else "")
    event = job.progress
    told = f": {md(event.message or event.stage)}" if event is not None else ""
    steps = f", {event.done:,} of {event.total:,}" if event is not None and event.total > 1 else ""
    return f"{md(what)}{told}{steps} · {duration(job.seconds)}"
