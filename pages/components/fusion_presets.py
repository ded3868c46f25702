"""Presets of the fusion: saved with a name, for one task or all, in the project's database; loaded here and on the Recommend page."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import streamlit as st
from pydantic import ValidationError

from backend.errors import SigmascopeError
from backend.frames import records
from backend.settings import FusionSettings, LabSettings
from pages.components import state
from pages.components.fusion_form import write
from pages.components.text import md

KIND, ALL = "fusion", "All tasks"


def panel(setting: LabSettings, tasks: list[str]) -> None:
    """Save the setting under a name, for one task or all; load or delete what was saved."""
    try:
        store = state.store()
        kept = store.presets(KIND)
    except SigmascopeError as error:
        state.show_error(error)
        return
    name = st.text_input("Name", key="lab-preset-name", max_chars=80, placeholder="cheap and new")
    task = st.selectbox("For", [ALL, *tasks], key="lab-preset-task")
    if st.button("Save", icon=":material/bookmark_add:", key="lab-preset-save", disabled=not name.strip()):
        try:
            store.save_preset(KIND, name, "" if task == ALL else str(task), setting.model_dump())
            st.toast(f"Saved: {md(name)}", icon=":material/bookmark_added:")
            kept = store.presets(KIND)
        except SigmascopeError as error:
            state.show_error(error)
    if kept.empty:
        st.caption("Nothing saved yet. Presets can be loaded on the Recommend page too.")
        return
    rows = records(kept)
    chosen = st.selectbox("Saved", range(len(rows)), key="lab-preset", format_func=lambda place: _title(rows[place]))
    with st.container(horizontal=True):
        st.button(
            "Load", icon=":material/input:", key="lab-preset-load", on_click=_load, args=(rows[int(chosen or 0)]["settings"],)
        )
        if st.button("Delete", icon=":material/delete:", key="lab-preset-delete"):
            row = rows[int(chosen or 0)]
            store.delete_preset(KIND, str(row["name"]), str(row["task"]))
            st.rerun(scope="fragment")


def _title(row: dict[str, Any]) -> str:
    return f"{row['name']} ({row['task'] or ALL})"


def read(text: str) -> LabSettings | None:
    """A saved setting; None where it cannot be read (saved by another version)."""
    try:
        return LabSettings(**json.loads(text))
    except (ValidationError, ValueError, TypeError):
        return None


def _load(text: str) -> None:
    setting = read(text)
    if setting is None:
        st.toast("This preset was saved by another version and cannot be read.", icon=":material/error:")
    else:
        write(setting)


def pick(apply: Callable[[FusionSettings], None]) -> None:
    """The saved presets as a choice for another page."""
    try:
        kept = state.store().presets(KIND)
    except SigmascopeError as error:
        state.show_error(error)
        return
    if kept.empty:
        return
    rows = records(kept)

    def take() -> None:
        place = st.session_state.get("preset-picked")
        setting = read(str(rows[int(place)]["settings"])) if place is not None else None
        if setting is not None:
            apply(setting.fusion())

    st.selectbox("Saved preset", range(len(rows)), index=None, key="preset-picked", placeholder="of the Fusion page",
                 format_func=lambda place: _title(rows[place]), on_change=take)  # fmt: skip
