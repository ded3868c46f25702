"""What a caller may ask the generator for."""

from __future__ import annotations

from typing import Literal

from backend.settings import Frozen, FusionSettings


class Request(Frozen):
    """One recommendation request; what the instruction says of filters is added to what stands here (see `asked`)."""

    instruction: str = ""
    user: str | None = None
    profile: str | None = None
    history: tuple[str, ...] | None = None
    dropped: tuple[str, ...] = ()
    category: str | None = None
    max_price: float | None = None
    min_price: float | None = None
    max_total: float | None = None  # the list as a whole costs no more
    exclude: tuple[str, ...] = ()  # names of categories, departments or queries whose items are left out
    deals: bool = False  # only what is on discount or with a coupon now
    theme: str | None = None  # only items that stand out in this season or before this occasion
    stock: tuple[str, ...] | None = None
    seen: Literal["allow", "hide"] = "allow"
    forced_prefix: tuple[int, ...] | None = None
    fusion: FusionSettings = FusionSettings()
