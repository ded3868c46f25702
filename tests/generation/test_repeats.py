"""The mixture of a beam with the household's own purchases: a distribution, nothing where it is off, nothing that is hidden."""

from __future__ import annotations

import numpy as np
import pytest

from backend.data.history import History
from backend.generation.repeats import HALF_LIFE, mixed, own_shares

PAST = History(np.array([7, 3, 5]), np.array([1, 4, 2]), np.array([180, 90, 0]))
ITEMS, P = np.array([5, 1, 9], np.int32), np.array([0.5, 0.3, 0.1])


def test_shares_by_hand() -> None:
    assert HALF_LIFE == 90
    np.testing.assert_allclose(own_shares(PAST), np.array([0.25, 2, 2]) / 4.25)
    assert own_shares(History(*(np.zeros(0, np.int64),) * 3)).tolist() == []


def test_off_is_the_beam() -> None:
    items, p = mixed(ITEMS, np.log(P), PAST, 0.0)
    assert items.tolist() == ITEMS.tolist()
    np.testing.assert_allclose(p, P)
    nobody = History(*(np.zeros(0, np.int64),) * 3)
    assert mixed(ITEMS, np.log(P), nobody, 0.5)[0].tolist() == ITEMS.tolist()


def test_by_hand() -> None:
    items, p = mixed(ITEMS, np.log(P), PAST, 0.5)
    assert items.tolist() == [5, 3, 1, 9, 7]
    np.testing.assert_allclose(p, [0.25 + 1 / 4.25, 1 / 4.25, 0.15, 0.05, 0.125 / 4.25])
    assert p.sum() == pytest.approx(0.5 * P.sum() + 0.5)
    assert mixed(ITEMS, np.log(P), PAST, 1.0)[0].tolist()[:3] == [3, 5, 7], "own frequency alone; ties go to the smaller row"


def test_what_is_hidden_stays_hidden() -> None:
    allowed = ~np.isin(np.arange(10), [3, 5, 7])
    items, p = mixed(np.array([1, 9]), np.log(P[1:]), PAST, 0.5, allowed)
    assert items.tolist() == [1, 9]
    np.testing.assert_allclose(p, P[1:])
    assert mixed(ITEMS[1:], np.log(P[1:]), PAST, 0.5, ~np.isin(np.arange(10), [3]))[0].tolist() == [5, 1, 9, 7]
