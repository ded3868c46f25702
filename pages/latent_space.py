"""Latent space: what lies near what, and in which sense?"""

from __future__ import annotations

import streamlit as st

from backend.figures import colouring
from backend.generation.request import Request
from backend.inspection.vectors import SPACES
from backend.serving.jobs import jobs
from backend.workbench import Workbench
from pages.components import job, space_report, space_tables, state
from pages.components import space_controls as controls
from pages.components import space_state as own
from pages.components.navigation import QUESTIONS
from pages.components.space_maps import Maps, notes
from pages.components.style import header
from pages.components.text import md

header("Latent space", QUESTIONS["Latent space"])


def lay_out(bench: Workbench, spaces: list[str]) -> None:
    """Offer to lay out the maps that are missing, and watch it; ends the page until they are there."""
    settings = own.layout()
    missing = bench.space.missing(settings, spaces)
    if not missing:
        return
    key = bench.space.key(settings, missing)
    running = jobs().get(key)
    if running is None or not running.active:
        names = " and ".join(SPACES[name].title for name in missing)
        more = " The texts have to be encoded first (minutes)." if "text" in missing and not bench.space.quick("text") else ""
        st.info(f"{names}: not laid out yet with {settings.n_neighbors} neighbours, least distance {settings.min_dist:g}, seed {settings.seed}. "
                f"It takes about a minute, in the background, and is kept.{more}", icon=":material/map:")  # fmt: skip
        if st.button("Lay out", type="primary", icon=":material/play_arrow:", key="space-lay-out"):
            job.start(key, lambda report, cancel: bench.space.prepare(settings, missing, report, cancel))
            st.rerun()
    job.show(running, "The map")
    st.stop()


def load(bench: Workbench, spaces: list[str]) -> None:
    """Load the model where something on the page needs it."""
    wanted = "fused" in spaces or own.get("over") == own.GENERATION
    if wanted and not bench.ready:
        with st.spinner("The model is being loaded; this happens once."):
            bench.generator()
    if own.get("over") == own.GENERATION and st.session_state.get("answer") is None:
        asked = Request(user=bench.example_shopper(), instruction=bench.suggestions()[0])
        st.session_state["answer"] = (asked.model_dump_json(), bench.recommend(asked))
        st.caption(f"Nothing was asked in this session yet, so this is an example: “{md(asked.instruction)}”.")


with state.guard():
    bench = state.current()
    reasons = bench.space.available()
    if any(reasons[name] for name in ("text", "id", "grounded")):
        controls.reasons_note({name: reason for name, reason in reasons.items() if reason})
        st.stop()
    with st.spinner("The tables are being opened; this happens once."):
        items = bench.dataset.items
    colours = colouring.options(bench.space, items)
    bad = own.seed(bench, colours)
    if bad:
        st.warning(
            f"This link holds something that could not be read: {md(', '.join(bad))}. The rest was restored.",
            icon=":material/link_off:",
        )
    controls.bar(bench, colours, reasons)
    controls.reasons_note(reasons)
    left, right = str(own.get("a")), str(own.get("b") or "")
    spaces = [name for name in dict.fromkeys([left, right]) if name]
    own.publish()
    load(bench, spaces)
    lay_out(bench, spaces)
    maps = Maps(bench, left, right)
    with st.container(key="space-maps"):
        for column, name in zip(st.columns(len(spaces), gap="small"), spaces, strict=True):
            with column:
                maps.draw(name)
    maps.legend()
    notes(bench, left, right)
    item, chosen, moved, report = st.tabs(
        ["Item and its neighbours", f"Chosen items ({len(own.get('set') or []):,})", "Most moved", "Do the spaces agree?"]
    )
    with item:
        space_tables.text_neighbours(bench, left, right)
        if maps.row is None:
            st.info("Click a point, or find an item by name, to see what lies nearest to it in each space. Good ones to begin with stand "
                    "under “Most moved”.", icon=":material/touch_app:")  # fmt: skip
        else:
            space_tables.neighbours(bench, maps.row, left, right)
    with chosen:
        space_tables.chosen(bench)
    with moved:
        space_tables.moved(bench, left, right)
    with report:
        space_report.section(bench)
st.caption(
    "A map bends distances to fit a plane: it shows where to look. Neighbours, similarities and figures are of the original spaces."
)
