"""What the options of several commands mean: settings from --preset, --seed, --set and friends; what comes later."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backend.errors import RequestError
from backend.settings import Settings, load_preset, merged

LATER = "it comes with a later release; see CHANGELOG.md"


def check_arm(args: argparse.Namespace) -> None:
    """Raise `RequestError` for an arm of a recipe that has none."""
    if args.arm is not None and args.recipe != "sgrec":
        raise RequestError(
            f"the recipe {args.recipe} has no arms", f"--arm {args.arm[:40]}", "leave it out, or add --recipe sgrec"
        )


def settings_of(args: argparse.Namespace) -> Settings:
    """Preset, --seed, --source, --path, --backbone and --set together; the later ones win.

    Raises:
        RequestError: unknown preset, unknown or impossible setting.
    """
    changes: dict[str, Any] = {}
    if args.seed is not None:
        changes["seed"] = args.seed
    data = {"source": getattr(args, "source", None), "path": getattr(args, "path", None)}
    if data["path"]:
        data["source"] = data["source"] or "tables"
        data["path"] = str(Path(data["path"]).expanduser().resolve())  # a workspace is built again from anywhere
    data = {name: value for name, value in data.items() if value is not None}
    if data:
        changes["data"] = data
    if getattr(args, "backbone", None):
        changes["model"] = {"backbone": args.backbone}
    return load_preset(args.preset, **merged(changes, changes_of(args.set)))


def check_limit(limit: int | None) -> None:
    """Raise `RequestError` for a number of households that is none."""
    if limit is not None and limit < 1:
        raise RequestError(f"{limit} is no number of households", "--limit", "give a number above zero")


def changes_of(texts: Sequence[str]) -> dict[str, Any]:
    """What --set changes: section → field → value; the later ones win.

    Raises:
        RequestError: a text that is no setting.
    """
    changes: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        section, dot, field = name.strip().partition(".")
        if not equals or not section or (dot and not field):
            raise RequestError(
                f"--set {text[:60]!r} is no setting", mend="write it as SECTION.FIELD=VALUE, e.g. train.max_minutes=5"
            )
        if not dot:
            changes[section] = _value(value)
        elif not isinstance(changes.setdefault(section, {}), dict):
            raise RequestError(f"{section} has no fields", f"--set {text[:60]}", "write it as SECTION.FIELD=VALUE")
        else:
            changes[section][field] = _value(value)
    return changes


def _value(text: str) -> Any:
    """A JSON value (5, true, null, ["a"]), or the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text
