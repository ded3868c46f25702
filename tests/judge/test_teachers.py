"""A judge that rewards in the student's place is heard only in the aspects in which it was proven."""

from __future__ import annotations

import numpy as np

from backend.judge.aspects import ASPECTS, LEVELS, NOBODY, Ints, Judgement, Situation, holistic
from backend.judge.teachers import Trusted

USED = ("future", "context")


class Sure:
    """Says the highest level of everything, with a reason for each aspect."""

    name = "sure"

    def __init__(self) -> None:
        self.last: Judgement | None = None

    def judge(self, situation: Situation, items: Ints, reasons: bool = False) -> Judgement:
        shape = (len(items), len(ASPECTS))
        said = [{name: f"because of {name}" for name in ASPECTS} for _ in items] if reasons else []
        self.last = Judgement(np.full(shape, LEVELS - 1), np.full(shape, LEVELS - 1.0), list(said))
        return self.last


def test_what_is_not_proven_is_left_out() -> None:
    sure = Sure()
    situation = Situation(NOBODY, "", *(np.zeros(0, np.int64),) * 3, np.datetime64("2017-06-01"))
    said = Trusted(sure, USED).judge(situation, np.arange(3), reasons=True)
    used = np.isin(ASPECTS, USED)
    assert (said.levels[:, used] == LEVELS - 1).all()
    assert (said.expected[:, used] == LEVELS - 1).all()
    assert (said.levels[:, ~used] == -1).all()
    assert np.isnan(said.expected[:, ~used]).all()
    assert [set(why) for why in said.reasons] == [set(USED)] * 3
    np.testing.assert_allclose(holistic(said.expected, np.full(len(ASPECTS), 0.25)), 1.0)  # over what is used alone
    assert sure.last is not None
    assert (sure.last.levels == LEVELS - 1).all(), "the judge's own answer stays as it was"
    assert Trusted(sure, USED).cost() == {}, "it costs time alone"
