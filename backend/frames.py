"""Helpers for reading frames row by row."""

from __future__ import annotations

from typing import Any

import pandas as pd


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as dictionaries by column name."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as JSON has them: five digits, None for what is not defined."""
    rounded = frame.astype(object).where(frame.notna(), None)
    return [
        {name: round(value, 5) if isinstance(value, float) else value for name, value in row.items()} for row in records(rounded)
    ]
