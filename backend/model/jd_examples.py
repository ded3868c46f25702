"""SFT samples of the recipe `jd`: next item, SID → title, title → SID.

- A context is one training basket with what went before it; several of its items are packed behind one prompt.
- Beside each context stand a few samples of the alignment tasks, of items drawn evenly from the catalogue, both ways in turn.
- Everything random is drawn from (seed, epoch, context number): a resumed run sees what an uninterrupted one does.
- Profile and moment are left out now and then, so that a shopper without them is nothing new.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from backend.data import schema as c
from backend.data.history import Histories, History
from backend.data.households import UNKNOWN
from backend.data.schema import Dataset
from backend.instructions import jd_prompts as prompts
from backend.instructions.jd_prompts import Language, Piece, jd_wordings, languages
from backend.model.full_sid import Asked, Lines, Row, collate
from backend.model.item_words import ItemWords, safe
from backend.settings import JdSettings

STORE = "store"  # a column that events may have
_DROPOUT = 0.1


def told(history: History, settings: JdSettings) -> np.ndarray:
    """The items of a history as they stand in a prompt. Shape: (≤ history_items,) item rows."""
    chosen = history.salient(settings.history_items)
    return (chosen.by_weight() if settings.order == "weight" else chosen).items


def profile_of(text: str, settings: JdSettings) -> str:
    """The profile sentence as it stands in a prompt; empty where nothing is known, or is to be known."""
    return "" if not settings.profile or text.startswith(UNKNOWN) else safe(text)


def ask(history: History, profile: str, time: pd.Timestamp | None, settings: JdSettings) -> list[Piece]:
    """The question for the next item, as it is put when nothing is drawn."""
    language, wording = languages(settings.language)[0], prompts.first_wording("next", settings.language)
    return prompts.next_prompt(
        wording, language, profile_of(profile, settings), told(history, settings), prompts.moment(time, language)
    )


class JdSampler:
    """Makes batches from contexts.

    Args:
        baskets: frame with user, start, stop (rows of `dataset.events`), one row a context.
    """

    def __init__(self, dataset: Dataset, baskets: pd.DataFrame, words: ItemWords, settings: JdSettings, seed: int) -> None:
        self.histories, self.words, self.settings, self.seed = Histories(dataset), words, settings, seed
        self.user, self.start, self.stop = (baskets[name].to_numpy(np.int64) for name in ("user", "start", "stop"))
        self.profiles = dataset.users[c.PROFILE].tolist()
        self.titles = dataset.items[c.TITLE].tolist()
        self.time = dataset.events[c.TIME]
        self.place: pd.Series | None = dataset.events.get(STORE)

    def __len__(self) -> int:
        return len(self.user)

    def row(self, number: int, epoch: int = 0) -> Row:
        """The line of context `number`: its prompt and the items of its basket."""
        rng = np.random.default_rng((self.seed, epoch, number))
        user, start, stop = int(self.user[number]), int(self.start[number]), int(self.stop[number])
        language = self._language(rng)
        profile = "" if rng.random() < _DROPOUT else profile_of(self.profiles[user], self.settings)
        place = "" if self.place is None else safe(str(self.place.iloc[start]))
        said = "" if rng.random() < _DROPOUT else prompts.moment(self.time.iloc[start], language, place)
        history = told(self.histories.before(user, start), self.settings)
        pieces = prompts.next_prompt(_any(jd_wordings("next", language), rng), language, profile, history, said)
        chosen = rng.permutation(np.unique(self.histories.items[start:stop]))[: self.settings.targets]
        row = Row()
        places: list[tuple[int, int]] = []
        row.shared(self.words.prompt(pieces, places))
        if self.settings.dense:
            row.dense(places)
        for item in chosen.tolist():
            row.target(self.words.answer(item), 1.0 / len(chosen))
        return row

    def aligned(self, number: int, epoch: int = 0) -> list[tuple[list[int], list[int]]]:
        """(prompt, answer) of the alignment samples beside context `number`."""
        rng = np.random.default_rng((self.seed, epoch, number, 1))
        out = []
        for turn in range(self.settings.alignment):
            item, language = int(rng.integers(len(self.titles))), self._language(rng)
            if turn % 2:
                pieces, answer = (
                    prompts.title_prompt(_any(jd_wordings("title_of", language), rng), item),
                    self.words.title(self.titles[item]),
                )
            else:
                wording = _any(jd_wordings("item_of", language), rng)
                pieces, answer = prompts.item_prompt(wording, safe(self.titles[item])), self.words.answer(item)
            out.append((self.words.prompt(pieces), answer))
        return out

    def batch(self, numbers: Sequence[int], epoch: int = 0) -> tuple[Lines, Asked]:
        """Lines of several contexts; the alignment samples fill lines of about the same length."""
        rows = [self.row(number, epoch) for number in numbers]
        longest, open_row = max(len(row.ids) for row in rows), Row()
        for number in numbers:
            for prompt, answer in self.aligned(number, epoch):
                if open_row.ids and len(open_row.ids) + len(prompt) + len(answer) > longest:
                    rows.append(open_row)
                    open_row = Row()
                open_row.sample(prompt, answer)
        return collate([*rows, open_row] if open_row.ids else rows)

    def remember(self, numbers: Sequence[int], epoch: int = 0) -> None:
        """Nothing is kept from step to step."""

    def _language(self, rng: np.random.Generator) -> Language:
        own = languages(self.settings.language)
        return own[int(rng.integers(len(own)))]


def _any(choices: Sequence[Any], rng: np.random.Generator) -> Any:
    return choices[int(rng.integers(len(choices)))]
