"""Titles as items: a free title finds its item or the nearest one, and a beam that has ended costs no further step."""

from __future__ import annotations

import numpy as np
import pytest

from backend.data import schema as c
from backend.data.schema import Dataset
from backend.generation.constrained import Found, Logits, constrained_beam, free_beam
from backend.generation.searched import Ended
from backend.generation.titles import TitleGrounder
from backend.model.item_words import ItemWords, catalogue_tokenizer
from tests.small import FakeEncoder

NAMES = ["red apple", "green apple", "red apple", "oat milk", "whole milk carton", "bread", "oat drink with calcium added"]
EVERY = np.ones(len(NAMES), bool)


@pytest.fixture(scope="module")
def words() -> ItemWords:
    tokenizer = catalogue_tokenizer(NAMES)
    return ItemWords.of_titles(tokenizer, tokenizer.get_vocab_size(), NAMES)


@pytest.fixture(scope="module")
def grounder(words: ItemWords) -> TitleGrounder:
    return TitleGrounder(words, NAMES, FakeEncoder().encode)


def beams(words: ItemWords, *texts: str) -> Found:
    """What a free beam would hold if it had written these texts."""
    depth, tokens = len(words.levels), words.levels[0]
    codes = np.zeros((len(texts), depth), np.int64)
    for row, text in enumerate(texts):
        own = [int(np.flatnonzero(tokens == token)[0]) for token in words.text(text)]
        codes[row, : len(own)] = own
    trie = words.representation.trie
    return Found(codes, trie.walk(codes), -np.arange(len(texts), dtype=np.float32))


def test_what_is_called_so_comes_first_then_the_nearest(words: ItemWords, grounder: TitleGrounder) -> None:
    found = beams(words, "oat milk", "whole milk", "red apple")
    assert found.leaves.tolist()[1] == -1, "no item is called whole milk"
    assert grounder.written(found.codes[1]) == "whole milk"
    assert grounder.items(found, EVERY, 10).tolist() == [3, 4, 0, 2]
    assert grounder.items(found, EVERY, 2).tolist() == [3, 4]


def test_no_item_twice_and_none_that_is_hidden(words: ItemWords, grounder: TitleGrounder) -> None:
    twice = beams(words, "green milk", "apple green", "green apple")
    first = grounder.items(twice, EVERY, 10).tolist()
    assert len(first) == len(set(first))
    allowed = np.isin(np.arange(len(NAMES)), [0, 2])
    assert set(grounder.items(twice, allowed, 10).tolist()) <= {0, 2}
    assert grounder.items(twice, ~EVERY, 10).tolist() == []


def test_a_free_beam_of_real_titles(tiny_dataset: Dataset) -> None:
    names = tiny_dataset.items[c.TITLE].tolist()
    tokenizer = catalogue_tokenizer(names)
    words = ItemWords.of_titles(tokenizer, tokenizer.get_vocab_size(), names)
    grounder = TitleGrounder(words, names, FakeEncoder().encode)
    rng = np.random.default_rng(3)
    width = words.representation.sizes[0]
    found = free_beam(words.representation.trie, Ended(lambda codes, origin: said(rng, len(codes), width)), 12)
    assert found.invalid > 0.5, "random words make no titles"
    items = grounder.items(found, np.ones(len(names), bool), 10)
    assert len(items) == 10
    assert len(set(items.tolist())) == 10


def said(rng: np.random.Generator, rows: int, width: int) -> Logits:
    return Logits(rng.normal(size=(rows, width)).astype(np.float32))


def test_ended_beams_are_not_asked_of_the_model(words: ItemWords) -> None:
    """The same beams as when every beam is asked at every step, with fewer rows."""
    width = words.representation.sizes[0]
    table = np.random.default_rng(5).normal(size=(width + 1, width)).astype(np.float32)
    rows: list[int] = []

    def by_last(codes: np.ndarray, origin: np.ndarray) -> Logits:
        rows.append(len(codes))
        return Logits(table[codes[:, -1] if codes.shape[1] else np.full(len(codes), width)])

    trie = words.representation.trie
    found = constrained_beam(trie, Ended(by_last), 10)
    asked = sum(rows)

    def every(codes: np.ndarray, origin: np.ndarray) -> Logits:
        plain = by_last(codes, origin)
        logits, total = plain.codes.copy(), plain.total().copy()
        if codes.shape[1]:
            ended = codes[:, -1] == 0
            logits[ended], total[ended] = -np.inf, 0.0
            logits[ended, 0] = 0.0
        return Logits(logits, total)

    rows.clear()
    wanted = constrained_beam(trie, every, 10)
    np.testing.assert_array_equal(found.codes, wanted.codes)
    np.testing.assert_allclose(found.log_p, wanted.log_p, rtol=1e-6)
    assert asked < sum(rows)


def test_origins_are_told_among_the_beams_that_go_on(words: ItemWords) -> None:
    """A model with a memory of its beams, as a cache is: each row it is asked must continue the row that it is said to come from."""
    width = words.representation.sizes[0]
    before: list[np.ndarray] = []

    def remembering(codes: np.ndarray, origin: np.ndarray) -> Logits:
        if before:
            np.testing.assert_array_equal(before[-1][origin], codes[:, :-1])
        before.append(codes.copy())
        return Logits(np.random.default_rng(codes.shape[1]).normal(size=(len(codes), width)).astype(np.float32))

    free_beam(words.representation.trie, Ended(remembering), 8)
    assert len(before) > 1
