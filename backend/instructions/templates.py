"""Wordings of the tasks, and making text safe to put into a prompt.

- Wordings live in wordings.toml, in two parts by different writers. The held-out part never trains, it only evaluates, so that
  "follows instructions" is measured on wordings that the model has not seen.
- Names are sentence case in the tables and lower-cased inside an instruction, except proper nouns and acronyms.
- User text is data: whatever looks like a special token of any tokenizer is spaced out, so that it reaches the model as
  plain words and can neither end the prompt nor forge an item.
"""

from __future__ import annotations

import re
import string
import tomllib
import unicodedata
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from backend.errors import RequestError

WORDINGS = Path(__file__).parent / "wordings.toml"
MAX_CHARS = 2_000  # longest instruction or profile, in characters

_BREAKING = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}  # controls, zero-width characters, lone surrogates, private use, breaks
_ANGLED = re.compile(r"<([^\s<>]+)>")  # <s>, </s>, <a_3>, <|im_end|>, <extra_id_0>
_BRACKETED = re.compile(r"\[([^\s\[\]]+)\]")  # [SEP], [unused7], [/INST]
_PIPES = re.compile(r"\|(?=\|)")  # |||EMAIL_ADDRESS|||


@lru_cache(maxsize=1)
def _file() -> dict[str, Any]:
    return tomllib.loads(WORDINGS.read_text("utf-8"))


@cache
def _wordings(task: str, part: str) -> tuple[str, ...]:
    if task not in _file()[part]:
        raise KeyError(f"no wordings for task {task!r} in {WORDINGS.name}")
    return tuple(_file()[part][task])


@cache
def _with_slots(task: str, part: str, slots: tuple[str, ...]) -> tuple[str, ...]:
    """The wordings that these slots fill: a task may be asked for in several ways ("under {price}", "{total} for everything")."""
    texts = tuple(text for text in _wordings(task, part) if set(slots_of(text)) == set(slots))
    if not texts:
        raise KeyError(f"no wording of task {task!r} takes the slots {slots} in {WORDINGS.name}")
    return texts


@lru_cache(maxsize=1)
def _proper() -> frozenset[str]:
    return frozenset(_file()["proper"])


def wordings(task: str, held_out: bool | None = None) -> list[str]:
    """Wordings of a task, with slots such as {category} or {query}.

    Args:
        task: its name.
        held_out: True = those for evaluation only; False = the others, for training; None = all, training first.
    """
    parts = ("train", "held_out") if held_out is None else ("held_out",) if held_out else ("train",)
    return [text for part in parts for text in _wordings(task, part)]


def slots_of(wording: str) -> tuple[str, ...]:
    """Names of the slots of a wording, in order."""
    return tuple(name for _, name, _, _ in string.Formatter().parse(wording) if name is not None)


def draw(task: str, slots: Mapping[str, str], rng: np.random.Generator, held_out: bool) -> str:
    """A wording that these slots fill, drawn at random.

    Args:
        task: the task's name.
        slots: readable names for the slots (`Labelled.slots`).
        rng: source of the draw.
        held_out: draw from the evaluation's wordings instead of the training's.
    """
    texts = _with_slots(task, "held_out" if held_out else "train", tuple(slots))
    return texts[int(rng.integers(len(texts)))]


def fill(wording: str, slots: Mapping[str, str]) -> str:
    """A wording as an instruction, its slots filled."""
    return wording.format_map({name: in_sentence(value) for name, value in slots.items()})


def render(task: str, slots: Mapping[str, str], rng: np.random.Generator, held_out: bool) -> str:
    """An instruction: a wording drawn at random (`draw`), its slots filled."""
    return fill(draw(task, slots, rng, held_out), slots)


@lru_cache(maxsize=65_536)
def in_sentence(name: str) -> str:
    """A readable name as it stands inside a sentence: "Frozen pizzas" → "frozen pizzas", but "DVDs", "Easter items"."""
    first = re.split(r"[^\w']", name, maxsplit=1)[0]
    if first in _proper() or any(character.isupper() for character in first[1:]):
        return name
    return name[:1].lower() + name[1:]


def sanitise(text: str, where: str = "instruction") -> str:
    """User text as one line of plain words that no tokenizer reads as a special token.

    Compatibility forms are folded first (NFKC) and invisible characters dropped, so that neither can hide a token.

    Args:
        text: what the user typed.
        where: the field, for the message.

    Raises:
        RequestError: empty, or longer than 2,000 characters.
    """
    if len(text) > MAX_CHARS:  # before any work on it
        raise _too_long(len(text), where)
    text = unicodedata.normalize("NFKC", "".join(_visible(character) for character in text))
    text = "".join(_visible(character) for character in text)
    for pattern, plain in ((_ANGLED, r"< \1 >"), (_BRACKETED, r"[ \1 ]"), (_PIPES, "| ")):
        text = pattern.sub(plain, text)
    text = " ".join(text.split())
    if not any(character.isalnum() for character in text):
        fault = "holds no words" if text else "is empty"
        raise RequestError(f"the {where} {fault}", mend="Write a few words, e.g. “something new for breakfast”")
    if len(text) > 2 * MAX_CHARS:  # folding can make one character many
        raise _too_long(len(text), where)
    return text


def profile_text(profile: str) -> str:
    """A composed shopper's profile, made safe like an instruction.

    Raises:
        RequestError: empty, or longer than 2,000 characters.
    """
    return sanitise(profile, "profile")


def _visible(character: str) -> str:
    if character.isspace():
        return " "
    return "" if unicodedata.category(character) in _BREAKING else character


def _too_long(length: int, where: str) -> RequestError:
    return RequestError(f"the {where} has {length:,} characters", mend=f"Shorten it to {MAX_CHARS:,} characters at most")
