"""The prompts of the recipe `jd` (JD §2): task description, profile sentence, history, moment and place; and the two alignment tasks.

- A prompt is a line of *pieces*: text, and items by row. How an item is written (full SID, numeric ID, title) is not a matter of the prompt.
- Wordings live in jd_prompts.toml, in English and in Chinese, the article's own three among them.
- Profile sentences and titles stay in the language of the tables: translating them is nobody's task here.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

PROMPTS = Path(__file__).parent / "jd_prompts.toml"
Language = Literal["en", "zh"]
Task = Literal["next", "title_of", "item_of"]
Piece = str | int  # text, or the row of an item
_SLOT = re.compile(r"\{(\w+)\}")


@lru_cache(maxsize=1)
def _file() -> dict[str, Any]:
    return tomllib.loads(PROMPTS.read_text("utf-8"))


def languages(setting: str) -> tuple[Language, ...]:
    """The languages of a setting ("en", "zh" or "both")."""
    return ("en", "zh") if setting == "both" else ("zh",) if setting == "zh" else ("en",)


def jd_wordings(task: Task, language: Language) -> tuple[str, ...]:
    """The wordings of a task."""
    return tuple(_file()[language][task])


def first_wording(task: Task, setting: str) -> str:
    """The wording that is used where none is drawn: the first one of a setting's first language."""
    return jd_wordings(task, languages(setting)[0])[0]


def moment(time: pd.Timestamp | None, language: Language, store: str = "") -> str:
    """When and where, as a sentence; nothing where the time is not known."""
    if time is None:
        return ""
    said, names = _file()["context"], _file()["calendar"][language]
    place = said[f"{language}_place"].format(store=store) if store else ""
    return str(
        said[language].format(
            weekday=names["weekday"][time.weekday()], month=names["month"][time.month - 1], part=names["part"][time.hour // 6], place=place
        )
    )  # fmt: skip


def next_prompt(wording: str, language: Language, profile: str, history: Sequence[int] | np.ndarray, context: str) -> list[Piece]:
    """The question for the next item.

    Args:
        wording: of `jd_wordings("next", …)`.
        profile: the sentence; empty = not known.
        history: item rows in the order in which they shall stand.
        context: of `moment`; empty = not known.
    """
    profile = profile or str(_file()["unknown"][language])
    if language == "en" and not profile.endswith("."):
        profile += "."
    return fill(wording, {"profile": profile, "history": [int(row) for row in history], "context": context})


def title_prompt(wording: str, item: int) -> list[Piece]:
    """The question for the title of an item."""
    return fill(wording, {"sid": [item]})


def item_prompt(wording: str, title: str) -> list[Piece]:
    """The question for the item of a title."""
    return fill(wording, {"title": title})


def fill(wording: str, slots: dict[str, str | list[int]]) -> list[Piece]:
    """A wording's pieces: its text with the slots filled, items as rows."""
    pieces: list[Piece] = []
    for place, part in enumerate(_SLOT.split(wording)):
        value = slots[part] if place % 2 else part
        if isinstance(value, list):
            pieces += value
        elif pieces and isinstance(pieces[-1], str):
            pieces[-1] += value
        else:
            pieces.append(value)
    return [piece for piece in pieces if piece != ""]


def all_texts() -> list[str]:
    """Everything that a prompt may say besides profiles and titles: what a vocabulary has to know."""
    file = _file()
    parts = [text for language in ("en", "zh") for task in file[language].values() for text in task]
    parts += [*file["context"].values(), *file["unknown"].values()]
    parts += [word for language in ("en", "zh") for words in file["calendar"][language].values() for word in words]
    return [_SLOT.sub(" ", text) for text in parts]
