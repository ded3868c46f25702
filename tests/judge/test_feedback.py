"""Votes: in, out, back in, taken back; and what PSJ-B gets of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from backend.data.schema import Dataset
from backend.errors import RequestError, StorageError
from backend.judge.aspects import Judgement, Situation
from backend.judge.evidence import USER_FACTS, Evidence
from backend.judge.feedback import export_votes, import_votes, vote, voted_pairs
from backend.storage import Store
from tests.small import small_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path}/votes.db")
    yield made
    made.close()


def filled(store: Store, dataset: Dataset) -> list[int]:
    said = {"instruction": "something sweet"}
    return [
        vote(store, dataset, 3, 10, 20, 20, said),
        vote(store, dataset, 3, 11, 12, None, said),
        vote(store, dataset, 7, 1, 2, 1, {}),
    ]


def test_votes_come_back_as_they_were(store: Store, tiny_dataset: Dataset) -> None:
    ids = filled(store, tiny_dataset)
    text = export_votes(store)
    assert len(text.splitlines()) == 3
    assert "u3" not in text, "nobody is named"
    assert json.loads(text.splitlines()[1])["winner"] is None
    before = store.votes().drop(columns="id")
    assert import_votes(store, text) == 0, "they are there already"
    assert store.undo_vote(ids[0])
    assert len(store.votes()) == 2
    assert import_votes(store, text + "\n" + text) == 1
    after = store.votes().drop(columns="id")
    key = ["item_a", "item_b"]
    assert after.sort_values(key).reset_index(drop=True).equals(before.sort_values(key).reset_index(drop=True))


@pytest.mark.parametrize(
    "change",
    [
        {"winner": "t-030"}, {"item_b": "t-010"}, {"shopper": "u3"}, {"shopper": None}, {"created": "yesterday"}, {"extra": 1},
        {"context": "text"}, {"context": {"much": "x" * 30_000}}, {"item_a": ""},
    ],
)  # fmt: skip
def test_a_line_that_is_no_vote_is_named_and_nothing_is_taken(
    store: Store, tiny_dataset: Dataset, change: dict[str, object]
) -> None:
    filled(store, tiny_dataset)
    first, *rest = export_votes(store).splitlines()
    store.undo_vote(int(store.votes()["id"].iloc[1]))
    bad = json.dumps({**json.loads(first), **change})
    with pytest.raises(RequestError, match="line 3"):
        import_votes(store, "\n".join([*rest, bad]))
    assert len(store.votes()) == 2
    with pytest.raises(RequestError, match="line 1"):
        import_votes(store, "{")


def test_a_winner_must_be_one_of_the_two(store: Store, tiny_dataset: Dataset) -> None:
    with pytest.raises(StorageError, match="winner"):
        vote(store, tiny_dataset, 3, 1, 2, 5, {})


class Likes:
    """A judge that likes high item rows."""

    name = "likes"

    def __init__(self) -> None:
        self.asked: list[Situation] = []

    def judge(self, situation: Situation, items: np.ndarray, reasons: bool = False) -> Judgement:
        self.asked.append(situation)
        return Judgement(np.zeros((len(items), 4), int), np.repeat(items[:, None] / 20.0, 4, axis=1))


def test_votes_become_pairs(store: Store, tiny_dataset: Dataset) -> None:
    vectors = small_store(tiny_dataset.n_items)
    evidence = Evidence(tiny_dataset, np.ones(len(tiny_dataset.events), bool), vectors.text, vectors.ids, {})
    assert len(voted_pairs(store, tiny_dataset, Likes(), evidence)) == 0
    filled(store, tiny_dataset)
    store.add_vote("somebody else", "t-001", "t-002", "t-001", {})
    judge = Likes()
    pairs = voted_pairs(store, tiny_dataset, judge, evidence)
    assert pairs.user.tolist() == [3, 7], "a vote for neither says nothing, nor one of a household that is not here"
    assert pairs.better[:, 0].tolist() == [1.0, 0.05]
    assert pairs.worse[:, 0].tolist() == [0.5, 0.1]
    assert pairs.about.shape == (2, len(USER_FACTS))
    for situation in judge.asked:
        own = tiny_dataset.events[tiny_dataset.events["user"] == situation.user]
        assert len(situation.history) == (own["step"] != own["step"].iloc[-1]).sum() > 0, "nothing of the latest basket"
