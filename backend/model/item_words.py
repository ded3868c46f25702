"""The vocabulary of the recipe `jd`: text by a tokenizer, items by tokens of their own, the end of an answer.

- The new tokens stand behind the text's: `<end>`, then the codes of every level (`<a_0>` …). A row of codes an item is all there is to know
  of how items are written, so semantic and numeric IDs need no code of their own; a title is written in the text's own tokens.
- For `nano` the tokenizer is made of the catalogue: every word that prompts, profiles and titles hold is one token, every character another, so
  that a word never seen is still spelt, and nothing has to be fetched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from backend.instructions.jd_prompts import Piece
from backend.instructions.templates import sanitise
from backend.tokenization.representations import Representation, titles

UNKNOWN = "[UNK]"
_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,:;!?'\"()-&/%$"


def catalogue_tokenizer(texts: Sequence[str]) -> Tokenizer:
    """A WordPiece tokenizer whose vocabulary is the words of these texts and their characters; the same texts give the same one."""
    tokenizer = Tokenizer(models.WordPiece({UNKNOWN: 0}, unk_token=UNKNOWN))
    normalizer, splitter = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    words = {word for text in texts for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))}
    characters = {*_CHARACTERS, *(character for word in words for character in word)}
    known = sorted({*words, *characters, *(f"##{character}" for character in characters)})
    tokenizer = Tokenizer(models.WordPiece({word: row for row, word in enumerate([UNKNOWN, *known])}, unk_token=UNKNOWN))
    tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.decoder = normalizer, splitter, decoders.WordPiece()
    return tokenizer


@dataclass(frozen=True)
class ItemWords:
    """How texts and items are written in tokens.

    Args:
        tokenizer: of the text (`tokenizers`).
        text_size: tokens of the base vocabulary; the new ones stand behind them.
        representation: codes of every item.
        levels: token ids of the codes of each position.
        separated: a comma stands between two items (titles, whose length differs).
    """

    tokenizer: Tokenizer
    text_size: int
    representation: Representation
    levels: tuple[np.ndarray, ...]
    separated: bool

    @classmethod
    def of(cls, tokenizer: Tokenizer, text_size: int, representation: Representation) -> ItemWords:
        """Every code gets a new token. A representation by titles is made by `of_titles`."""
        first = text_size + 1
        levels = []
        for size in representation.sizes:
            levels.append(np.arange(first, first + size))
            first += size
        return cls(tokenizer, text_size, representation, tuple(levels), False)

    @classmethod
    def of_titles(cls, tokenizer: Tokenizer, text_size: int, names: Sequence[str]) -> ItemWords:
        """Items are their titles, in the text's own tokens; `<end>` ends one."""
        encoded = tokenizer.encode_batch([safe(name) for name in names], add_special_tokens=False)
        representation, tokens = titles([one.ids for one in encoded])
        own = np.where(tokens < 0, text_size, tokens)
        return cls(tokenizer, text_size, representation, tuple(own for _ in representation.sizes), True)

    @property
    def end(self) -> int:
        """The token that ends an answer."""
        return self.text_size

    @property
    def new(self) -> int:
        """New tokens."""
        return 1 if self.separated else 1 + sum(self.representation.sizes)

    @property
    def size(self) -> int:
        """Tokens in all."""
        return self.text_size + self.new

    def text(self, text: str) -> list[int]:
        """Tokens of a text. Shape: (tokens,)."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def item(self, row: int) -> list[int]:
        """Tokens of an item as it stands in a prompt. Shape: (tokens,)."""
        ids = self.answer(row)
        return ids[:-1] if self.separated and ids[-1] == self.end else ids

    def answer(self, row: int) -> list[int]:
        """Tokens of an item as an answer: up to its last code, or to the end of its title."""
        codes = self.representation.codes[row]
        if self.separated:
            codes = codes[: int((codes > 0).sum()) + 1]
        return [int(self.levels[level][code]) for level, code in enumerate(codes)]

    def prompt(self, pieces: Sequence[Piece], places: list[tuple[int, int]] | None = None) -> list[int]:
        """Tokens of a prompt.

        Args:
            places: filled with (first, behind the last) token of each item.

        Shape:
            returns: (tokens,).
        """
        ids: list[int] = []
        after_item = False
        for piece in pieces:
            if isinstance(piece, str):
                ids += self.text(piece)
            else:
                if after_item and self.separated:
                    ids += self.text(", ")
                own = self.item(piece)
                if places is not None:
                    places.append((len(ids), len(ids) + len(own)))
                ids += own
            after_item = not isinstance(piece, str)
        return ids

    def read(self, ids: Sequence[int]) -> str:
        """The text of tokens, up to the end of an answer; tokens of items are left out."""
        kept: list[int] = []
        for token in ids:
            if token == self.end:
                break
            if token < self.text_size:
                kept.append(token)
        return str(self.tokenizer.decode(kept))

    def title(self, name: str) -> list[int]:
        """Tokens of a title as an answer. Shape: (tokens,)."""
        return [*self.text(safe(name)), self.end]


def safe(text: str) -> str:
    """A text of the tables that cannot forge a token; empty stays empty."""
    return sanitise(text[:2000], "title") if any(mark.isalnum() for mark in text[:2000]) else ""
