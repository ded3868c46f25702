"""The three steps, drawn as they finish: prefixes, items inside each prefix, the fused list.

Each step is drawn once a run: by the generator's `on_step` when the request is new, from the trace when it is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from backend.figures import generation as figures
from backend.figures import style
from backend.frames import records
from backend.generation.trace import Trace
from backend.workbench import Recommendation, Workbench
from pages.components import cards, form, inspector
from pages.components.text import duration, esc

TITLES = {"prefixes": "Prefixes", "subsets": "Items inside each prefix", "fusion": "One fused list"}
CHART = {"displayModeBar": False}


class Steps:
    """Three columns with a header each; grey while waiting, pulsing while it is their turn, lit when done."""

    def __init__(self, bench: Workbench) -> None:
        self.bench, self.colours = bench, style.department_colours(bench.departments())
        self.names, self.rows, self.subsets = pd.DataFrame(), pd.DataFrame(), pd.DataFrame()
        self.drawn: set[str] = set()
        with st.container(key="steps"):
            columns = st.columns([1, 0.92, 1.08], gap="medium")
        self.head, self.body = {}, {}
        for column, name in zip(columns, TITLES, strict=True):
            with column:
                # the body is a container, not an empty place: what stood there stays, greyed, until the new one is drawn
                self.head[name], self.body[name] = st.empty(), st.container()

    def start(self) -> None:
        """Put out the lights: something new is being computed."""
        for name in TITLES:
            self._mark(name, "now" if name == "prefixes" else "wait")

    def on_step(self, name: str, payload: Mapping[str, Any]) -> None:
        """What the generator calls as each step ends."""
        if name == "prefixes":
            self._mark("subsets", "now")
            self._prefixes(payload["frame"], payload.get("ms"))
        elif name == "subsets":
            self.subsets = payload["frame"]
            self._mark("subsets", "done", payload.get("ms"))
            self._mark("fusion", "now")
        elif name == "fusion":
            self._mark("fusion", "done", payload.get("ms"))

    def finish(self, result: Recommendation) -> None:
        """Draw what is not drawn yet."""
        trace, ms = result.trace, result.timings_ms
        if "prefixes" not in self.drawn:
            self._prefixes(trace.prefixes, ms.get("prefixes"))
        heard = sorted(trace.demand.items(), key=lambda one: -one[1])
        told = " · ".join(f"{name} {share:.0%}{_pool(trace.pools.get(name))}" for name, share in heard if share >= 0.01)
        hint = "Probability of each task that the model knows, and how many items belong to what is asked, where that is known"
        with self.body["prefixes"]:
            st.html(f'<div class="sg-small" title="{hint}">Heard as {esc(told)}</div>')
        self._strips(trace, result.items, ms.get("subsets"))
        self._list(result, ms.get("fusion"))

    def _prefixes(self, frame: pd.DataFrame, ms: float | None) -> None:
        levels = int(frame["level"].max()) if len(frame) else 1
        self.names, self.rows = self.bench.prefixes(levels), figures.prefix_rows(frame)
        self._mark("prefixes", "done", ms)
        figure = figures.prefix_tree(self.rows, self.names, self.colours)
        # a new key a drawn state: the selection of the last one must not linger
        key = f"tree-{st.session_state.get('tree', 0)}"
        with self.body["prefixes"]:
            st.plotly_chart(figure, key=key, on_select=lambda: _force(key), selection_mode="points", config=CHART,
                            alt="Prefixes with their probability; pruned ones in grey. Click one to force it.")  # fmt: skip
            left = {True: 0, False: 0} | (~frame["prefix"].isin(self.rows["prefix"])).groupby(frame["kept"]).sum().to_dict()
            more = [f"{left[kept]} {word}" for kept, word in ((True, "kept"), (False, "pruned")) if left[kept]]
            rest = f"{' and '.join(more)} prefixes more are not drawn. " if more else ""
            st.html(f'<div class="sg-small">{rest}Click a bar to force its prefix.</div>')
        self.drawn.add("prefixes")

    def _strips(self, trace: Trace, listed: pd.DataFrame, ms: float | None) -> None:
        items = self.bench.dataset.items
        self._mark("subsets", "done", ms)
        figure = figures.strips(self.rows, trace.subsets, listed, items["title"], items["department"], self.colours)
        with self.body["subsets"]:
            st.plotly_chart(
                figure, key="strips", config=CHART, alt="Items of each prefix by cosine; those in the list carry their rank."
            )
            hidden = listed[~listed["prefix"].isin(self.rows["prefix"])]["rank"].tolist()
            rest = f" Not drawn: place {', '.join(str(rank) for rank in hidden)}, of a prefix further down." if hidden else ""
            st.html(
                f'<div class="sg-small">A dot is an item; its size is P inside the prefix. Numbered dots made the list.{rest}</div>'
            )

    def _list(self, result: Recommendation, ms: float | None) -> None:
        self._mark("fusion", "done", ms)
        with self.body["fusion"]:
            for note in result.notes:
                st.html(f'<div class="sg-tag warn" style="white-space:normal">{esc(note)}</div>')
            if result.items.empty:
                st.info("Nothing passes the filters. Let go of one of them.", icon=":material/filter_alt_off:")
            for item in records(result.items):
                if cards.card(item, self.colours, "list", add=lambda item_id: form.add(self.bench, item_id)):
                    inspector.inspect(self.bench, str(item["item_id"]))

    def _mark(self, name: str, state: str, ms: float | None = None) -> None:
        number = list(TITLES).index(name) + 1
        time = f"<small>{duration(ms / 1000)}</small>" if ms is not None else ""
        sign = "✓" if state == "done" else str(number)
        self.head[name].html(f'<div class="sg-step {state}"><i>{sign}</i><span>{number} {TITLES[name]}</span>{time}</div>')


def _pool(items: int | None) -> str:
    return f" (of {items:,} items)" if items else ""  # nothing due, nothing on offer: then no pool counts


def _force(key: str) -> None:
    """A clicked bar forces its prefix; a click on the forced one lets it go."""
    points = st.session_state[key].selection.points
    if points:
        chosen = points[0].get("customdata")
        chosen = chosen[0] if isinstance(chosen, list) else chosen
        st.session_state["forced"] = None if chosen == st.session_state.get("forced") else chosen
        st.session_state["tree"] = st.session_state.get("tree", 0) + 1
