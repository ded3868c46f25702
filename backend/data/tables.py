"""Bring your own tables."""

from __future__ import annotations

from backend.data.schema import Dataset
from backend.progress import Report, silent
from backend.settings import DataSettings


def load(settings: DataSettings, report: Report = silent) -> Dataset:
    """Read a folder of tables."""
    raise NotImplementedError
