"""The maps of the Latent space page: one or two, their marks, and what a click or a lasso on them means."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from backend.errors import RequestError
from backend.figures import colouring
from backend.figures import maps as figures_map
from backend.figures.maps import Marks
from backend.inspection.vectors import SPACES
from backend.workbench import Workbench
from pages.components import chips
from pages.components import space_state as state
from pages.components.text import count, esc, md

CONFIG = {"scrollZoom": True, "displaylogo": False, "modeBarButtonsToRemove": ["toImage", "zoom2d", "autoScale2d"]}

LEGEND = 26  # groups that the legend names


class Maps:
    """What both maps share: colours, sizes, the item in focus, the chosen set, the overlays."""

    def __init__(self, bench: Workbench, left: str, right: str) -> None:
        self.bench, self.space, self.items, self.settings = bench, bench.space, bench.dataset.items, state.layout()
        self.two = bool(right) and right != left
        self.row = self._row(state.get("item"))
        self.titles = self.items["title"].astype(str).tolist()
        self.shade = colouring.shade(self.space, self.items, str(state.get("colour")), left, right or left)
        values = {"purchases": self.space.purchases(), "price": self.items["price"].to_numpy(float)}.get(str(state.get("size")))
        self.sizes = colouring.sizes(values, len(self.items))
        self.only = self.space.outcomes().get(str(state.get("only")))
        self.path = self._path()
        self.answer = self._answer()

    def draw(self, name: str) -> None:
        """One map with its heading."""
        xy = self.space.map(name, self.settings)
        assert xy is not None
        shown = int(np.isfinite(xy[:, 0]).sum())
        part = f"showing {shown:,} of {len(xy):,}" if shown < len(xy) else f"{shown:,} items"
        if self.only is not None:
            part += f", {count(int(np.isfinite(xy[self.only, 0]).sum()))} {esc(str(state.get('only')))}"
        st.html(f'<div><b>{SPACES[name].title}</b> <span class="sg-small">{part}</span>'
                f'<div class="sg-small">near = items that {SPACES[name].near}</div></div>')  # fmt: skip
        marks = self._marks(name, xy)
        fly = None
        target = self._row(state.get("fly"))
        if target is not None:
            fly = tuple(xy[target].tolist())
        chosen = shown_rows(state.get("set"), self.only)
        figure = figures_map.latent_map(
            xy, self.shade, self.sizes, self.titles, marks, fly=fly, drag=str(state.get("drag") or "pan"),
            chosen=chosen, density=bool(state.get("density")),
            revision=f"{name}-{state.get('fly')}-{state.get('flights')}", height=480 if self.two else figures_map.HEIGHT,
        )  # fmt: skip
        key = f"space-map-{name}-{state.get('drawing') or 0}"
        st.plotly_chart(
            figure, key=key, config=CONFIG, selection_mode=("points", "box", "lasso"), on_select=partial(_selected, key, self.bench, xy),
            alt=f"Map of {shown:,} items in the {SPACES[name].title} space, coloured by {self.shade.title}",
        )  # fmt: skip

    def legend(self) -> None:
        """Which colour is which group, or which value."""
        names, colours = list(self.shade.names), dict(zip(self.shade.names, self.shade.colours, strict=True))
        if not names:
            ground = ",".join(figures_map.SCALE)
            marks = "".join(f"<span>{esc(label)}</span>" for _, label in self.shade.ticks)
            bar = f'<i style="background:linear-gradient(90deg,{ground})"></i>'
            st.html(f'<div class="sg-mapscale"><b>{esc(self.shade.title)}</b><div>{bar}<div>{marks}</div></div></div>')
            return
        rest = len(names) - LEGEND
        more = f'<div class="sg-small">and {rest} more; colours repeat after 24</div>' if rest > 0 else ""
        st.html(chips.legend(names[:LEGEND], colours) + more)

    def _marks(self, name: str, xy: np.ndarray) -> Marks:
        near: list[int] = []
        if self.row is not None and self.space.listed(name):
            near = [int(row) for row in self.space.lists(name)[self.row] if row >= 0]
        queries = chosen = None
        if self.answer is not None:
            chosen = self.answer.items[["item", "rank", "title"]].rename(columns={"item": "row"})
            if name == "fused":
                queries = self.space.generation(self.answer, self.settings)
        labels = self.space.regions(name, self.settings) if state.get("names") is not False else None
        return Marks(self.row, near, self.path, queries, chosen, self._probe(name), labels)

    def _probe(self, name: str) -> tuple[float, float, str] | None:
        text = str(state.get("text") or "").strip()
        if not text or not self.space.quick(name):
            return None
        try:
            found = self.space.probe(name, text, self.settings)
        except RequestError as error:
            st.caption(md(str(error)))
            return None
        if found is None or found.attrs["xy"] is None:
            return None
        return (*found.attrs["xy"], text)

    def _path(self) -> pd.DataFrame | None:
        if state.get("over") != state.PATH:
            return None
        return self.space.path(shopper(self.bench))

    def _answer(self) -> Any:
        """The last recommendation of this session."""
        kept = st.session_state.get("answer")
        return kept[1] if state.get("over") == state.GENERATION and kept is not None else None

    def _row(self, item: str | None) -> int | None:
        if not item:
            return None
        return self.bench.lookup.people.item_rows.get(item)


def shown_rows(chosen: list[int] | None, only: np.ndarray | None) -> np.ndarray | None:
    """Rows that keep their colour: those of the chosen set that pass the filter; None = all."""
    if chosen is None:
        return only
    return np.array(chosen, int) if only is None else np.intersect1d(np.array(chosen, int), only)


def shopper(bench: Workbench) -> str:
    """The shopper in focus, or the example."""
    user = st.session_state.get("user")
    return str(user) if user in set(bench.dataset.users["user_id"]) else bench.example_shopper()


def _selected(key: str, bench: Workbench, xy: np.ndarray) -> None:
    """A box or a lasso makes the chosen set; a click chooses one item; letting go of everything empties the set."""
    event = st.session_state[key].selection
    rows = figures_map.rows_of([dict(point) for point in event.points], xy)
    if event.get("box") or event.get("lasso"):
        state.put(set=rows or None)
    elif rows:
        state.put(item=str(bench.dataset.items["item_id"].iat[rows[0]]))
    else:
        state.put(set=None)


def notes(bench: Workbench, left: str, right: str) -> None:
    """What the overlays show, in words, and what is missing for them."""
    over, text = state.get("over"), str(state.get("text") or "").strip()
    if over == state.PATH:
        st.caption(f"The path of household {md(shopper(bench))} through its last {count(80)} purchases, pale = long ago. "
                   "Another shopper is chosen on the Recommend page.")  # fmt: skip
    if over == state.GENERATION:
        where = "" if "fused" in (left, right) else " The query vectors live in the fused space: choose it for one of the maps."
        st.caption("◆ a query vector h of a kept prefix, sized by φ, placed among the nearest items of its prefix · ● the items of the list, by "
                   f"place.{where}")  # fmt: skip
    if text and "id" in (left, right):
        st.caption("Nobody ever bought a text, so it has no place in the behaviour space.")
    if text:
        st.caption("★ the typed text, at the weighted mean of the places of its eight nearest items in the original space.")
