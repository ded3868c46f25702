"""What the pages of one process and one session share: the workbench, the shopper in focus, the way errors are shown."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import streamlit as st

from backend.errors import SigmascopeError
from backend.workbench import Workbench
from pages.components.text import md

if TYPE_CHECKING:  # SQLAlchemy loads when something is kept, not before the first page
    from backend.storage import Store

WORKSPACE_VARIABLE = "SIGMASCOPE_WORKSPACE"  # a folder to open instead of the demo


@st.cache_resource(show_spinner=False)
def workbench(path: str | None) -> Workbench:
    """The one workbench of this process for a workspace; tables and model load in the background."""
    bench = Workbench.open(path)
    bench.warm(delay=1.0)  # the first page is drawn before imports of heavy libraries hold everything up
    return bench


def current() -> Workbench:
    """The workbench that this process shows.

    Raises:
        WorkspaceError: there is no such workspace.
    """
    return workbench(os.environ.get(WORKSPACE_VARIABLE) or None)


@st.cache_resource(show_spinner=False)
def _store(url: str | None) -> Store:
    from backend.storage import open_store

    return open_store(url)


def store() -> Store:
    """What people keep: presets, selections, votes; one store for all sessions.

    Raises:
        StorageError: the database cannot be opened.
    """
    return _store(os.environ.get("SIGMASCOPE_DATABASE") or None)


def show_error(error: SigmascopeError) -> None:
    """A user's error: what, where, mend; as text, never as markup."""
    where = f" ({md(error.where)})" if error.where else ""
    mend = f"\n\n{md(error.mend)}" if error.mend else ""
    st.error(f"**{md(error.what)}**{where}{mend}", icon=":material/error:")


@contextmanager
def guard() -> Iterator[None]:
    """Show a user's error in place and end the page there; anything else keeps its traceback."""
    try:
        yield
    except SigmascopeError as error:
        show_error(error)
        st.stop()
