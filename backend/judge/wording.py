"""What a local language model reads of a household and an item: short lines of plain words, nothing later than the moment in question.

- The household once: profile, date, what it buys most. Each item once: title, category, price, and the evidence about it as a judge with
  access to the receipts would look it up (`judge.evidence`). Each aspect is one word, behind which the level is to be written.
- The text is data from tables: it is never parsed again, and a tokenizer that is asked to split special tokens takes them as letters.
"""

from __future__ import annotations

import numpy as np

from backend.data import schema as c
from backend.data.history import distinct
from backend.data.schema import Dataset
from backend.judge.aspects import ASPECTS, Floats, Situation
from backend.judge.evidence import FACTS, Evidence

_HISTORY = 8  # purchases that are named
_WORDS = 10  # of a title
_PLACE = {name: place for place, name in enumerate(FACTS)}
QUESTIONS = tuple(f" {name}" for name in ASPECTS)  # a token each, in most vocabularies


class Wording:
    """Texts over one dataset."""

    def __init__(self, dataset: Dataset) -> None:
        titles = [" ".join(title.split()[:_WORDS]) for title in dataset.items[c.TITLE].tolist()]
        self._titles = titles
        rows = zip(titles, dataset.items[c.CATEGORY].tolist(), dataset.items[c.PRICE].tolist(), strict=True)
        self._shown = [f"\n{title} ({category}) ${price:.0f}:" for title, category, price in rows]

    def household(self, situation: Situation) -> str:
        """The household and the day."""
        lines = [f"Household: {situation.profile}. Date: {situation.day}, {Evidence.occasion(situation.day)}."]
        if situation.instruction:
            lines.append(f"It asks: {situation.instruction}.")
        if len(situation.history):
            held = distinct(situation.history, situation.ages).salient(_HISTORY)
            bought = zip(held.items.tolist(), held.counts.tolist(), strict=True)
            lines.append("It buys " + ", ".join(f"{self._titles[item]} x{count}" for item, count in bought) + ".")
        return " ".join(lines)

    def item(self, item: int, facts: Floats) -> str:
        """An item and the evidence about it. Shape: facts (len(FACTS),)."""
        return f"{self._shown[item]} {clause(facts)}"


def clause(facts: Floats) -> str:
    """The evidence in short words. Shape: (len(FACTS),)."""

    def of(name: str) -> float:
        return float(facts[_PLACE[name]])

    def percent(name: str) -> str:
        return f"{min(float(np.expm1(of(name))), 100.0):.0f}%"  # rates are stored as log of the percentage

    times = round(float(np.expm1(of("times"))))
    bought = f"bought {times}, {round(float(np.expm1(of('days'))))} days ago" if times else "never bought"
    return (
        f"{bought}, category {percent('category rate')}, type {percent('type rate')}, near {100 * of('nearest'):.0f}, "
        f"sold {float(np.expm1(of('popular'))):.0f}, lately {100 * np.exp(of('momentum')):.0f}%"
    )
