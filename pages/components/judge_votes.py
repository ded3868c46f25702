"""All votes together: how many there are, out and in as a file, and PSJ-B trained on them."""

from __future__ import annotations

import streamlit as st

from backend.errors import SigmascopeError
from backend.inspection.judge import LEAST, VotedWeights
from backend.serving.jobs import jobs
from backend.workbench import Workbench
from pages.components import job, judge_parts, proof, state
from pages.components.text import count, esc, three

NAMES = {"votes": "trained on votes", "proxies": "of the judge stage (proxies)", "uniform": "all aspects alike"}


def panel(bench: Workbench) -> None:
    """Draw it; where the database cannot be read, the reason."""
    with st.container(border=True, key="judge-votes"):
        try:
            store = state.store()
            votes, decided, households = store.vote_counts()
        except SigmascopeError as error:
            state.show_error(error)
            return
        st.html(
            f'<b>Votes</b> <span class="sg-small">{count(votes)} kept, {count(decided)} of them for one of the two items, '
            f"for {count(households)} households. A household is kept as a salted hash; who voted is not kept at all.</span>"
        )
        left, right = st.columns(2, gap="medium")
        with left:
            st.download_button("Export", lambda: bench.judging.export(store), "votes.jsonl", "application/jsonl", icon=":material/download:",
                               on_click="ignore", key="judge-export", disabled=not votes,
                               help="JSON lines: items, winner, instruction, date, and the household's hash.")  # fmt: skip
            _import(bench)
        with right:
            _train(bench, decided)


def _import(bench: Workbench) -> None:
    with st.form("judge-import", border=False, clear_on_submit=True):
        file = st.file_uploader(
            "Import votes that were exported here (JSON lines, at most 1 MB)", type=["jsonl"], key="judge-file"
        )
        sent = st.form_submit_button("Import", icon=":material/upload:")
    if not sent:
        return
    if file is None:
        st.info("Choose a file first.", icon=":material/upload_file:")
        return
    try:
        new = bench.judging.take_in(state.store(), file.getvalue())
    except SigmascopeError as error:
        state.show_error(error)
        return
    st.session_state["judge-imported"] = new
    st.rerun()  # the counts above are those before


def _train(bench: Workbench, decided: int) -> None:
    new = st.session_state.pop("judge-imported", None)
    if new is not None:
        st.success(f"{count(new)} votes were new.", icon=":material/check:")
    stage = bench.judging.stage("judge")
    if stage.state != "ok":
        st.caption(
            "To train the weights (PSJ-B) on votes, the judge stage must be there: it says what the aspects of each item are."
        )
        return
    lacking = max(0, LEAST - decided)
    name = f"judge-votes-{stage.fingerprint}"
    running = jobs().get(name)
    busy = running is not None and running.active
    st.button("Train the weights on votes", icon=":material/model_training:", key="judge-train", disabled=busy or bool(lacking),
              on_click=_start, args=(bench, name))  # fmt: skip
    if lacking:
        st.caption(f"{lacking} more votes for one of the two items are needed ({LEAST} in all).")
    found = job.show(jobs().get(name), "The weights")
    if isinstance(found, VotedWeights):
        st.session_state["judge-voted"] = (stage.fingerprint, found)
    own = judge_parts.voted(bench)
    if own is not None:
        _report(own)


def _start(bench: Workbench, name: str) -> None:
    store = state.store()
    job.start(name, lambda report, cancel: bench.judging.train_on_votes(store, report, cancel))


def _report(found: VotedWeights) -> None:
    """How often each weighting orders a vote rightly."""
    body = [
        [esc(NAMES[name]), f"{three(own.mean)} [{three(own.low)}, {three(own.high)}]"] for name, own in found.accuracy.items()
    ]
    ahead = found.ahead
    kind, arrow = ("sg-up", "▲") if ahead.low > 0 else ("sg-down", "▼") if ahead.high < 0 else ("", "≈")
    shared = "" if found.personal else " With so few households all of them share one weighting."
    st.html(
        proof.grid(["Weights", "Pair accuracy"], body)
        + f'<div class="sg-small">Votes minus proxies <span class="{kind}">{arrow} {ahead.mean:+.3f}</span> [{ahead.low:+.3f}, {ahead.high:+.3f}]; '
        f"95 % intervals over {ahead.n:,} {found.unit}; {found.votes:,} votes, five-fold cross-validated.{shared} Nothing was written: "
        "choose “Votes” under “Weights from” to look through them.</div>"
    )
