"""Small drawn things that must look the same everywhere: semantic-ID chips, tags, health dot, legend. All return escaped HTML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from backend.figures.style import OTHER
from pages.components.text import esc

ICONS = {  # a word of the department's name → Material symbol; the first that occurs
    "grocery": "grocery", "frozen": "ac_unit", "dairy": "water_drop", "produce": "nutrition", "fruit": "nutrition",
    "meat": "kebab_dining", "seafood": "set_meal", "fish": "set_meal", "drink": "local_cafe", "beverage": "local_cafe",
    "coffee": "local_cafe", "wine": "wine_bar", "beer": "sports_bar", "spirit": "wine_bar", "liquor": "wine_bar",
    "household": "cleaning_services", "clean": "cleaning_services", "health": "spa", "beauty": "spa", "cosmetic": "spa",
    "personal": "spa", "drug": "medication", "pharmac": "medication", "nutrition": "fitness_center", "bak": "bakery_dining",
    "pastr": "bakery_dining", "pet": "pets", "baby": "child_care", "flor": "local_florist", "flower": "local_florist",
    "garden": "yard", "deli": "lunch_dining", "salad": "nutrition", "restaurant": "restaurant", "chef": "restaurant",
    "prepared": "restaurant", "snack": "cookie", "candy": "cookie", "travel": "luggage", "photo": "photo_camera", "toy": "toys",
    "auto": "directions_car",
}  # fmt: skip


def department_icon(department: str) -> str:
    """Name of the Material symbol for a department; a plain basket where none fits."""
    name = department.casefold()
    return next((icon for word, icon in ICONS.items() if word in name), "shopping_basket")


def symbol(name: str, colour: str = "inherit") -> str:
    """A Material symbol, hidden from screen readers (its name stands beside it)."""
    return f'<span class="sg-sym" aria-hidden="true" style="color:{esc(colour)}">{esc(name)}</span>'


def sid(name: str, prefix: str = "", soft: bool = False) -> str:
    """A semantic ID as a row of chips, one a level; with `prefix` given, the rest is faded. `soft` adds the soft item token."""
    if name in ("", "·"):
        return ""
    depth = len(prefix.split("·")) if prefix not in ("", "·") else 0
    parts = name.split("·")
    lit = depth or len(parts)
    chips = [
        f'<span class="sg-code sg-l{min(level, 3)}{"" if level < lit else " sg-faded"}">{esc(code)}</span>'
        for level, code in enumerate(parts)
    ]
    if soft:
        chips.append('<span class="sg-code sg-soft" title="soft item token">ṽ</span>')
    return f'<span class="sg-sid" title="semantic ID {esc(name)}">{"".join(chips)}</span>'


def tag(text: str, kind: str = "", icon: str = "") -> str:
    """A small rounded label; kinds: "", "good", "warn", "bad", "accent"."""
    return f'<span class="sg-tag {esc(kind)}">{symbol(icon) if icon else ""}{esc(text)}</span>'


def tags(texts: Iterable[str], kind: str = "") -> str:
    """A row of labels that wraps."""
    return f'<div class="sg-row">{"".join(tag(text, kind) for text in texts)}</div>'


def dot(state: str) -> str:
    """The health dot with its word: colour never stands alone."""
    kind = {"ok": "good", "stale": "warn"}.get(state, "bad")
    return f'<span class="sg-dot {kind}" aria-hidden="true"></span>'


def legend(departments: Iterable[str], colours: Mapping[str, str]) -> str:
    """Which colour is which department, for those that are on the page."""
    marks = [
        f'<span class="sg-key"><i style="background:{esc(colours.get(name, OTHER))}"></i>{esc(name)}</span>'
        for name in departments
    ]
    return f'<div class="sg-legend">{"".join(marks)}</div>'
