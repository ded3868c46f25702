"""The tables of experiments, read from `tables.toml` or a file of one's own in the same form."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.errors import RequestError
from backend.evaluation import OURS
from backend.settings import Settings, checked, merged

TABLES = Path(__file__).with_name("tables.toml")
_MANY_CONTEXTS = 100_000  # where minutes bound the training, contexts must not
_OWN = {"budget", "headline", "without"}


@dataclass(frozen=True)
class Variant:
    """One line of a table.

    Attributes:
        name: as tables show it.
        changes: section → field → value, against the workspace's own settings.
        budget: factor on the training budget.
        headline: trained with every seed.
        without: a grounding view that is left out.
    """

    name: str
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    budget: float = 1.0
    headline: bool = False
    without: str | None = None

    def settings(self, base: Settings, minutes: float | None = None) -> Settings:
        """The workspace's settings with this variant's changes, under a budget.

        Args:
            minutes: wall-clock training time at budget 1; None = the workspace's own contexts, times the budget.

        Raises:
            RequestError: an unknown or impossible setting.
        """
        values = base.model_dump(mode="json")
        if self.without is not None:
            values["grounding"]["views"] = [view for view in values["grounding"]["views"] if view != self.without]
        values = merged(values, self.changes)
        train = values["train"]
        if minutes is not None:
            train |= {"max_minutes": minutes * self.budget, "contexts": max(_MANY_CONTEXTS, train["contexts"])}
        elif self.budget != 1:
            train["contexts"] = max(1, round(train["contexts"] * self.budget))
            if train["max_minutes"] is not None:
                train["max_minutes"] *= self.budget
        return checked(values, f"variant {self.name!r}")


def table_names() -> list[str]:
    """The tables that ship with the project."""
    return list(tomllib.loads(TABLES.read_text("utf-8")))


def read_table(name: str, only: Sequence[str] = ()) -> list[Variant]:
    """The variants of a table, the whole system first.

    Args:
        name: a table of `tables.toml`, or a path to a TOML file that holds one table's variants.
        only: names to keep beside the whole system; none = all.

    Raises:
        RequestError: unknown table or variant, or a file that cannot be read.
    """
    found = _own_file(Path(name)) if name.endswith(".toml") else tomllib.loads(TABLES.read_text("utf-8")).get(name)
    if found is None:
        raise RequestError(f"unknown table {name[:40]!r}", mend=f"choose one of {', '.join(table_names())}, or name a TOML file")
    variants = [_variant(each, values) for each, values in found.items()]
    names = [variant.name for variant in variants]
    for each in only:
        if each not in names:
            raise RequestError(f"the table {name} has no variant {each[:40]!r}", mend=f"choose from: {'; '.join(names)}")
    full = next((variant for variant in variants if variant.name == OURS), Variant(OURS))
    return [full, *(variant for variant in variants if variant.name != OURS and (not only or variant.name in only))]


def _own_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RequestError(
            "no table can be read", str(path), f"a TOML file with one section a variant is wanted ({error})"
        ) from error


def _variant(name: str, values: Any) -> Variant:
    if not isinstance(values, dict) or not isinstance(values.get("budget", 1), (int, float)) or values.get("budget", 1) <= 0:
        raise RequestError(
            f"{name[:40]!r} is no variant", mend="write [NAME] and settings below it, e.g. model.prefix_levels = 2"
        )
    changes = {section: each for section, each in values.items() if section not in _OWN}
    for section, each in changes.items():
        if not isinstance(each, dict):
            raise RequestError(f"variant {name[:40]!r} sets {section!r}", mend="write it as SECTION.FIELD = VALUE")
    return Variant(name, changes, float(values.get("budget", 1)), bool(values.get("headline", False)), values.get("without"))
