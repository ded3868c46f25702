"""The recipe `jd` under the protocol, with a model whose answers are known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from backend.data.schema import Dataset
from backend.data.split import split
from backend.errors import WorkspaceError
from backend.evaluation import repeats
from backend.evaluation.cases import build_cases
from backend.evaluation.jd import f1, plain_words
from backend.evaluation.jd_lists import JdRecommender, beam_rows
from backend.evaluation.repeats import WithRepeats, choose_share
from backend.generation.constrained import Logits, constrained_beam, free_beam
from backend.instructions.tasks import registry
from backend.settings import DataSettings
from backend.tokenization.representations import Representation, numeric


class Known:
    """Item 0 is likeliest, then item 1 …; of the free beam half does not exist."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.written: Representation = numeric(dataset.n_items, 10)
        self.trie = self.written.trie
        self.searches = 0

    def next_prompt(self, history: Any, profile: str, now: Any) -> list[str]:
        assert len(history)
        return [profile]

    def search(self, pieces: list[str], beams: int, mask: Any, along: bool) -> Any:
        self.searches += 1

        def said(codes: np.ndarray, origin: np.ndarray) -> Logits:
            width = self.written.sizes[codes.shape[1]]
            return Logits(np.tile(-np.arange(width, dtype=np.float32) / 10 ** codes.shape[1], (len(codes), 1)))

        return constrained_beam(self.trie, said, beams, mask) if along else free_beam(self.trie, said, beams)


def cases_of(dataset: Dataset) -> list:
    parts = split(dataset, DataSettings())
    tasks = registry(dataset)
    return build_cases(dataset, parts.validation.head(8), {"JustForYou": tasks["JustForYou"]}, 7)


def test_lists_are_legal_and_filled_from_the_beam(tiny_dataset: Dataset) -> None:
    generator = Known(tiny_dataset)
    recommender = JdRecommender("JD", generator, 20)  # type: ignore[arg-type]
    cases = cases_of(tiny_dataset)
    lists = recommender.recommend(cases, 30)
    assert lists.shape == (len(cases), 30)
    assert (lists[:, :20] >= 0).all()
    assert (lists[:, 20:] == -1).all(), "a beam of 20 holds 20 items"
    assert set(recommender.invalid.values()) == {0.0}
    hidden = [case.as_new() for case in cases]
    for row, case in zip(recommender.recommend(hidden, 10), hidden, strict=True):
        assert not np.isin(row[row >= 0], case.history).any()


def test_a_free_beam_is_searched_once_and_its_invalid_share_counted(tiny_dataset: Dataset) -> None:
    generator = Known(tiny_dataset)
    recommender = JdRecommender("JD, free beam 20", generator, 20, along=False)  # type: ignore[arg-type]
    cases = cases_of(tiny_dataset)
    recommender.recommend(cases, 10)
    recommender.recommend([case.as_new() for case in cases], 10)
    assert generator.searches == len(cases)
    rows = beam_rows(recommender, 7)
    assert rows[0]["n"] == len(cases)
    found = generator.search([], 20, None, False)
    assert rows[0]["value"] == pytest.approx(found.invalid)
    assert rows[0]["model"] == "JD"


def test_repeats_are_mixed_into_the_beam_that_was_searched(tiny_dataset: Dataset) -> None:
    generator = Known(tiny_dataset)
    beam = JdRecommender("JD", generator, 20)  # type: ignore[arg-type]
    cases = cases_of(tiny_dataset)
    plain = beam.recommend(cases, 10)
    np.testing.assert_array_equal(WithRepeats(beam, 0.0).recommend(cases, 10), plain)
    own = WithRepeats(beam, 0.99).recommend(cases, 10)
    assert generator.searches == len(cases), "the beams are those of the plain recommender"
    assert all(np.isin(row, case.history).all() for row, case in zip(own, cases, strict=True))
    hidden = [case.as_new() for case in cases]
    np.testing.assert_array_equal(WithRepeats(beam, 0.99).recommend(hidden, 10), beam.recommend(hidden, 10))


def test_the_share_is_chosen_on_validation(tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Item 0 first for everybody is worth less than what a household buys again and again."""
    beam = JdRecommender("JD", Known(tiny_dataset), 20)  # type: ignore[arg-type]
    asked: list[str] = []

    def next_items(workspace: Any, split_name: str, limit: int, seed: int, report: Any) -> Any:
        asked.append(split_name)
        return SimpleNamespace(cases=cases_of(tiny_dataset))

    monkeypatch.setattr(repeats, "next_items", next_items)
    share = choose_share(beam, None, 7)  # type: ignore[arg-type]
    assert share > 0
    assert asked == ["validation"]
    assert not beam.seconds, "what is reported of the beam is not told of these searches"

    def none(*args: Any) -> Any:
        raise WorkspaceError("no basket to evaluate on")

    monkeypatch.setattr(repeats, "next_items", none)
    assert choose_share(beam, None, 7) == 0  # type: ignore[arg-type]


def test_words() -> None:
    assert plain_words("Greek yogurt, 5.3 oz (store brand)") == ["greek", "yogurt", "5.3", "oz", "store", "brand"]
    assert f1(["a", "b"], ["a", "b"]) == 1.0
    assert f1(["a", "a"], ["a", "b"]) == 0.5
    assert f1([], ["a"]) == 0.0
    assert f1([], []) == 1.0
