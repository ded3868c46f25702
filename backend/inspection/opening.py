"""How a workbench opens tables and generator; the heavy libraries are imported here, when they are first needed."""

from __future__ import annotations

import gc
import threading
from typing import Any

from backend.data import schema as s
from backend.workspace import Workspace

_IMPORTS = threading.Lock()


def import_heavy() -> None:
    """Import the heavy libraries in one thread at a time: packages that import themselves in a circle (scikit-learn) fail in two at once."""
    with _IMPORTS:
        import backend.generation.generator
        import backend.inspection.sids  # noqa: F401


def open_dataset(workspace: Workspace) -> s.Dataset:
    """The tables of the dataset stage."""
    from backend.data.store import open_dataset as opened

    return opened(workspace)


def open_generator(workspace: Workspace, dataset: s.Dataset) -> Any:
    """The generator of the model stage, with the judge's scores where the workspace has a judge."""
    import_heavy()
    from backend.generation.generator import load_generator
    from backend.judge.scores import JudgeScores

    return load_generator(workspace, dataset, JudgeScores(workspace, dataset))


def set_aside() -> None:
    """Leave all objects that are alive now out of later garbage collections: libraries and model stay as long as the process does.

    Streamlit collects all generations at the end of every run, which over a million objects of heavy libraries takes a quarter of a second
    of everybody's time.
    """
    gc.collect()
    gc.freeze()
