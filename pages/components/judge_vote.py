"""Vote between two items for a household; what the judge says of them stands there once the vote is in."""

from __future__ import annotations

import random
import time
from typing import Any

import streamlit as st

from backend.errors import SigmascopeError
from backend.frames import records
from backend.generation.request import Request
from backend.inspection.judge import Ballot
from backend.workbench import Workbench
from pages.components import inspector, judge_parts, judge_votes, state
from pages.components.text import esc, md

_KEPT = 20  # votes of this session that can be taken back
LEFT, NEITHER, RIGHT = 0, None, 1


def section(bench: Workbench, asked: Request) -> None:
    """Draw the pair, the household, the last vote's answer, and what can be done with all votes."""
    st.session_state.setdefault("judge-number", 0)
    who = (asked.user, asked.instruction)
    if st.session_state.setdefault("judge-whom", who) != who:  # chosen by hand
        st.session_state.update({"judge-whom": who, "judge-number": 0})
    error = st.session_state.pop("judge-error", None)
    if error is not None:
        state.show_error(error)
    if judge_parts.has_model(bench):
        try:
            ballot = bench.judging.ballot(str(asked.user), asked.instruction, int(st.session_state["judge-number"]))
        except SigmascopeError as problem:  # this household cannot be voted for; another one can
            state.show_error(problem)
            _offer(bench)
        else:
            question, household = st.columns([0.7, 0.3], gap="medium")  # on a phone the question comes first
            with question:
                _pair(bench, ballot)
                _last(bench)
            with household:
                _household(bench, ballot)
    judge_votes.panel(bench)


def _pair(bench: Workbench, ballot: Ballot) -> None:
    st.html(
        f'<b>Which suits this household better?</b> <span class="sg-small">pair {ballot.number + 1} of {ballot.of}, drawn by chance from the '
        f"{2 * ballot.of} items that the model lists first</span>"
    )
    scope = f"{ballot.user_id}-{ballot.number}-{len(st.session_state.get('judge-cast', []))}"
    rows = records(ballot.items)
    for place, column in enumerate(st.columns(2, gap="small")):
        with column.container(border=True, key=f"judge-side-{place}"):
            if st.button(md(rows[place]["title"]), key=f"open-vote-{place}-{scope}", type="tertiary"):
                inspector.inspect(bench, str(rows[place]["item_id"]))
            st.html(judge_parts.facts(rows[place]))
    columns = st.columns(3, gap="small")
    for column, label, choice, shortcut, icon in (
        (columns[0], "The left one", LEFT, "Left", ":material/arrow_back:"),
        (columns[1], "Neither", NEITHER, "Space", ":material/block:"),
        (columns[2], "The right one", RIGHT, "Right", ":material/arrow_forward:"),
    ):
        column.button(label, key=f"judge-{shortcut.lower()}-{scope}", icon=icon, shortcut=shortcut, on_click=_cast, args=(bench, ballot, choice),
                      width="stretch")  # fmt: skip


def _household(bench: Workbench, ballot: Ballot) -> None:
    shopper = bench.shopper(ballot.user_id, baskets=5)
    st.html(
        f'<b>The household</b><div style="font-size:.9rem">{esc(shopper.profile)}</div>'
        '<div class="sg-small">as it stood before its latest basket, which stays hidden until you voted</div>'
    )
    _offer(bench)
    for basket in shopper.baskets[1:]:
        lines = "".join(f"<li>{esc(title)}</li>" for title in basket.items["title"].head(8))
        more = len(basket.items) - 8
        rest = f'<div class="sg-small">and {more} more</div>' if more > 0 else ""
        st.html(f'<div class="sg-small">{basket.time:%d %b %Y}</div><ul class="sg-list">{lines}</ul>{rest}')


def _offer(bench: Workbench) -> None:
    st.button(
        "Another household", icon=":material/shuffle:", key="judge-another", on_click=_another, args=(bench,), type="tertiary"
    )


def _last(bench: Workbench) -> None:
    """The last vote: what the judge says of its two items, and what the household then bought."""
    cast: list[tuple[int, Ballot, int | None]] = st.session_state.get("judge-cast", [])
    if not cast:
        st.caption("The judge's aspects, evidence and weights for a pair are shown after the vote, so that they cannot sway it.")
        return
    _, ballot, choice = cast[-1]
    with st.container(border=True, key="judge-last"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            told = "neither" if choice is None else "the left one" if choice == LEFT else "the right one"
            st.html(
                f'<b>Your last vote: {told}</b> <span class="sg-small">household {esc(ballot.user_id)}</span>', width="content"
            )
            st.button("Undo", icon=":material/undo:", shortcut="U", key="judge-undo", type="tertiary", on_click=_undo)
        there = bench.judging.stage("judge").state == "ok"
        if there:
            if not bench.judging.judge_ready:
                with st.spinner("The judge is being opened; this happens once."):
                    bench.judging.judge()
            chosen = judge_parts.weighting(bench)
            opinion = bench.judging.said_of(ballot, chosen)
            st.html(judge_parts.weights(opinion))
        for row, (column, item) in enumerate(zip(st.columns(2, gap="small"), records(ballot.items), strict=True)):
            bought = int(item["item"]) in ballot.bought
            mark = (
                '<span class="sg-tag good">in its next basket</span>'
                if bought
                else '<span class="sg-tag">not in its next basket</span>'
            )
            said = f"{judge_parts.score(float(opinion.score[row]))}" if there else ""
            body = judge_parts.aspects(opinion, row) if there else ""
            column.html(
                f'<div class="sg-versus{" won" if choice == row else ""}"><b>{esc(item["title"])}</b>'
                f'<div class="sg-row" style="margin-top:.2rem">{said}{mark}</div>{body}</div>'
            )
        if not there:
            judge_parts.has_stage(bench, "judge")


_TWICE = 0.6  # seconds: the space key also presses the button that has the focus; nobody weighs a pair in so short a time


def _cast(bench: Workbench, ballot: Ballot, choice: int | None) -> None:
    """Write a vote down (a callback) and go on to the next pair, after a household's last pair to another household."""
    session = st.session_state
    now, before = time.monotonic(), session.get("judge-at", 0.0)
    session["judge-at"] = now
    if now - before < _TWICE:
        return
    winner = None if choice is None else int(ballot.items["item"].to_numpy()[choice])
    try:
        vote = bench.judging.vote(state.store(), ballot, winner)
    except SigmascopeError as error:
        session["judge-error"] = error
        return
    session["judge-cast"] = [*session.get("judge-cast", []), (vote, ballot, choice)][-_KEPT:]
    if ballot.number + 1 < ballot.of:
        session["judge-number"] = ballot.number + 1
    else:
        _another(bench)


def _undo() -> None:
    """Take the last vote of this session back (a callback) and show its pair again."""
    session: Any = st.session_state
    cast = list(session.get("judge-cast", []))
    if not cast:
        return
    vote, ballot, _ = cast[-1]
    try:
        state.store().undo_vote(vote)
    except SigmascopeError as error:
        session["judge-error"] = error
        return
    session["judge-cast"] = cast[:-1]
    _show(ballot.user_id, ballot.instruction, ballot.number)


def _another(bench: Workbench) -> None:
    """Go to another household, drawn by chance (a callback)."""
    others = [user for user in bench.judging.households if user != st.session_state.get(judge_parts.key("user"))]
    if others:
        _show(random.choice(others), str(st.session_state.get(judge_parts.key("q")) or ""), 0)


def _show(user: str, instruction: str, number: int) -> None:
    st.session_state.update({judge_parts.key("user"): user, judge_parts.key("q"): instruction, "judge-number": number,
                             "judge-whom": (user, instruction.strip())})  # fmt: skip
