"""What a caller may ask the generator for."""

from __future__ import annotations

from typing import Literal

from backend.settings import Frozen, FusionSettings


class Request(Frozen):
    """One recommendation request."""

    instruction: str = ""
    user: str | None = None
    profile: str | None = None
    history: tuple[str, ...] | None = None
    dropped: tuple[str, ...] = ()
    category: str | None = None
    max_price: float | None = None
    min_price: float | None = None
    stock: tuple[str, ...] | None = None
    seen: Literal["allow", "hide"] = "allow"
    forced_prefix: tuple[int, ...] | None = None
    fusion: FusionSettings = FusionSettings()
