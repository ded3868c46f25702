"""What a household bought, cut to its last items."""

import numpy as np
import pytest

from backend.data.history import History

PAST = History(np.array([7, 3, 5]), np.array([1, 4, 2]), np.array([180, 90, 0]))


@pytest.mark.parametrize(("size", "items"), [(0, []), (1, [5]), (2, [3, 5]), (3, [7, 3, 5]), (9, [7, 3, 5])])
def test_the_most_recent_items_are_the_last_ones(size: int, items: list[int]) -> None:
    last = PAST.recent(size)
    assert last.items.tolist() == items
    assert len(last.counts) == len(last.days) == len(items)
