"""The judge's score in step 3: an exponent of what the judge says, asked of the right household at the right moment."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.data.schema import Dataset
from backend.generation.generator import Generator
from backend.generation.judged import FLOOR, log_shares
from backend.generation.request import Request
from backend.settings import FusionSettings
from tests.generation.conftest import Make
from tests.judged import FakeJudge

EVERYTHING = {"beams": 4096, "per_prefix": 10_000, "top": 1000}


@pytest.fixture
def judged(make: Make, tiny_dataset: Dataset) -> Generator:
    generator = make()
    generator.judge = FakeJudge(tiny_dataset.n_items)
    return generator


def asked(weight: float, **changes: object) -> Request:
    return Request(
        **{"user": "u2", "instruction": "pizza", "fusion": FusionSettings(**EVERYTHING, judge_weight=weight), **changes}
    )  # type: ignore[arg-type]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_shares_only_take_away(scores: list[float]) -> None:
    found = log_shares(np.array(scores))
    assert found.max() == 0
    assert (found <= 0).all()
    assert (found >= np.log(FLOOR) - 1e-5).all()
    assert (np.argsort(found, kind="stable")[-1:] == np.argsort(np.maximum(scores, FLOOR), kind="stable")[-1:]).all()


@pytest.mark.parametrize("weight", [0.5, 3.0])
def test_the_weight_is_an_exponent(judged: Generator, weight: float) -> None:
    plain, found = (judged.recommend(asked(w)).fused.set_index("item").sort_index() for w in (0.0, weight))
    assert isinstance(judged.judge, FakeJudge)
    scores = judged.judge.scores(judged.judge.asked[0])
    np.testing.assert_allclose(found["judge"], scores[found.index], rtol=1e-6)
    expected = plain["score"] + weight * np.log(found["judge"] / scores.max())
    np.testing.assert_allclose(found["score"], expected, atol=1e-4)
    assert (found["phi"] == plain["phi"]).all(), "prefixes are chosen without the judge"
    assert plain["judge"].isna().all()


def test_nobody_is_asked_at_weight_nought(judged: Generator) -> None:
    trace = judged.recommend(asked(0.0))
    assert isinstance(judged.judge, FakeJudge)
    assert not judged.judge.asked
    assert not any("judge" in note for note in trace.notes)
    assert '"judge":null' in trace.to_json().replace(" ", "")


def test_the_moment_is_the_next_basket_of_the_household(judged: Generator, tiny_dataset: Dataset) -> None:
    judged.recommend(asked(1.0))
    assert isinstance(judged.judge, FakeJudge)
    moment = judged.judge.asked[0]
    row = int(np.flatnonzero(tiny_dataset.users["user_id"] == "u2")[0])
    own = tiny_dataset.events[tiny_dataset.events["user"] == row]
    last = own["time"].max().to_datetime64().astype("datetime64[D]")
    assert moment.user == row
    assert moment.items.tolist() == own["item"].tolist()
    assert abs((moment.day - last).astype(int) - moment.days.min()) <= 1
    item = str(tiny_dataset.items["item_id"].iat[0])
    for composed in (asked(1.0, user=None, history=(item,)), asked(1.0, profile="Somebody else.")):
        judged.recommend(composed)
        assert judged.judge.asked[-1].user is None, "nobody of the table"
        assert not np.isnat(judged.judge.asked[-1].day)
    judged.recommend(asked(1.0, user=None, history=()))
    assert not len(judged.judge.asked[-1].items)


def test_a_judge_that_is_missing_is_said_to_be(make: Make, tiny_dataset: Dataset) -> None:
    generator = make()
    plain = generator.recommend(asked(0.0)).fused
    for judge, told in ((None, "no judge"), (FakeJudge(tiny_dataset.n_items, "train one"), "train one")):
        generator.judge = judge
        trace = generator.recommend(asked(2.0))
        assert any(told in note for note in trace.notes)
        assert (trace.fused["item"] == plain["item"]).all()
        assert trace.fused["judge"].isna().all()
