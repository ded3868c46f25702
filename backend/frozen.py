"""The base of all settings: immutable, and strict about names."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Immutable settings that reject unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid")
