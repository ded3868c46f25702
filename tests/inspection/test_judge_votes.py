"""PSJ-B on votes: what is wanted is found, and too few votes are a user's error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.errors import Cancelled
from backend.inspection.judge_votes import measured
from backend.judge.weights import Pairs, Weights, fit_bradley_terry
from backend.judge_settings import WeightSettings
from backend.progress import CancelToken, silent
from backend.workbench import Workbench


def votes(households: int, each: int, aspect: int = 2) -> Pairs:
    """People who go by one aspect alone."""
    rng = np.random.default_rng(3)
    n = households * each
    first, second = rng.uniform(0, 3, (2, n, 4))
    swap = first[:, aspect] < second[:, aspect]
    better, worse = np.where(swap[:, None], second, first), np.where(swap[:, None], first, second)
    return Pairs(better, worse, rng.normal(size=(n, 7)), np.repeat(np.arange(households), each))


@pytest.mark.parametrize(
    ("households", "personal", "unit"), [(2, False, "votes"), (6, False, "households"), (24, True, "households")]
)
def test_votes_that_go_by_one_aspect_are_learned(households: int, personal: bool, unit: str) -> None:
    pairs = votes(households, 40 // households + 1)
    found = measured(pairs, Weights.uniform(7), fit_bradley_terry, WeightSettings(), 7, silent, CancelToken())
    assert (found.personal, found.unit, found.votes, found.households) == (personal, unit, len(pairs), households)
    assert found.accuracy["votes"].mean > found.accuracy["uniform"].mean
    assert found.accuracy["proxies"] == found.accuracy["uniform"], "the weights to compare with are even here"
    own = found.weights.of(pairs.about)
    assert (own.mean(0).argmax()) == 2
    if not personal:
        assert np.ptp(own, axis=0).max() < 1e-9, "all share one weighting"


def test_it_can_be_cancelled() -> None:
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        measured(votes(6, 5), Weights.uniform(7), fit_bradley_terry, WeightSettings(), 7, silent, cancel)


def test_a_ballot_stands_before_the_latest_basket(trained: Path) -> None:
    """What the household then bought is neither known to the list nor shown in it as bought."""
    bench = Workbench.open(trained)
    user = bench.judging.households[0]
    ballot = bench.judging.ballot(user, "my weekly shop")
    events = bench.dataset.events
    own = events[events["user"] == ballot.user]
    latest = own[own["step"] == own["step"].iloc[-1]]
    assert ballot.start == latest.index[0]
    assert ballot.bought == set(latest["item"])
    assert user not in str(ballot.context())
    again = bench.judging.ballot(user, "my weekly shop", ballot.of)
    assert again.items["item"].tolist() == ballot.items["item"].tolist(), "after the last pair comes the first"
