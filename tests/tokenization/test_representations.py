"""Numeric ids, titles and full semantic IDs: unique where they say so, grounded back to the items, compared in one table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.errors import RequestError
from backend.settings import TokenSettings
from backend.tokenization.representations import compare, full_semantic, numeric, semantic, separate, titles

CODES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1)), min_size=1, max_size=30)


@settings(deadline=None)
@given(CODES, CODES)
def test_separated_sids_are_unique_and_stay_as_new_items_join(one: list[tuple[int, int]], two: list[tuple[int, int]]) -> None:
    first, second = np.array(one), np.array(two)
    there = separate(first)
    np.testing.assert_array_equal(there[:, :-1], first)
    joined = np.concatenate([there, separate(second, there)])
    assert len({*map(tuple, joined.tolist())}) == len(one) + len(two)
    np.testing.assert_array_equal(joined, separate(np.concatenate([first, second])))  # as if all had come at once
    for row in {*one}:
        assert sorted(there[(first == row).all(1), -1]) == list(range(one.count(row)))


def test_a_gap_is_not_filled_again() -> None:
    """The code of an item that left is not given to another: an old list or log would name the wrong one."""
    there = separate(np.array([[5, 1]] * 3))[[0, 2]]
    assert separate(np.array([[5, 1], [4, 1]]), there).tolist() == [[5, 1, 3], [4, 1, 0]]


@settings(deadline=None)
@given(st.integers(1, 400), st.integers(2, 20))
def test_numeric_ids_are_the_row_numbers(n: int, base: int) -> None:
    found = numeric(n, base)
    powers = base ** np.arange(found.codes.shape[1])[::-1]
    np.testing.assert_array_equal(found.codes @ powers, np.arange(n))
    assert base ** (found.codes.shape[1] - 1) < max(n, 2)
    assert found.shared == 0
    assert [own.tolist() for own in found.ground(found.codes)] == [[row] for row in range(n)]


def test_a_base_is_two_at_least() -> None:
    with pytest.raises(RequestError, match="base"):
        numeric(5, 1)


def test_titles_keep_their_tokens_and_equal_ones_share_a_path() -> None:
    words = [[70, 9], [70, 9, 4], [], [70, 9], list(range(100, 150))]
    found, tokens = titles(words)
    back = [[int(tokens[code]) for code in row if code] for row in found.codes.tolist()]
    assert back == [*words[:4], words[4][:32]]
    assert found.shared == 2
    assert [own.tolist() for own in found.ground(found.codes)] == [[0, 3], [1], [2], [0, 3], [4]]
    wrong = found.codes[:1].copy()
    wrong[0, 1] = 0
    assert found.ground(wrong)[0].tolist() == []


def test_full_semantic_ids_are_four_codes_and_a_separator() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(300, 8)).astype(np.float32)
    vectors[1] = vectors[0]
    found, quantizer = full_semantic(vectors, TokenSettings(iterations=3), seed=1)
    assert found.codes.shape == (300, 5)
    assert quantizer.centroids.shape[:2] == (4, 256)
    assert found.codes[0].tolist()[:4] == found.codes[1].tolist()[:4]
    assert found.codes[[0, 1], -1].tolist() == [0, 1]
    assert found.shared == 0
    assert [own.tolist() for own in found.ground(found.codes[:3])] == [[0], [1], [2]]


def test_the_table_by_hand() -> None:
    sids = np.array([[0, 0], [0, 0], [1, 0], [1, 1]])
    table = compare([semantic(sids, 2), titles([[5], [5], [6, 7], [6]])[0]], ["tea", "tea", "milk", "tea"]).set_index(
        "representation"
    )
    assert table.loc["semantic ID", ["tokens", "vocabulary", "first_tokens", "shared"]].tolist() == [3, 2 + 2 + 2, 2, 0]
    assert table.loc["title", ["tokens", "vocabulary", "first_tokens", "shared"]].tolist() == [1.25, 3, 2, 2]
    assert table["first_purity"].tolist() == [0.75, 0.75]
    # first codes: 2 each; second: 1, 1, 2, 2; separators: 2, 2, 1, 1
    assert table.loc["semantic ID", "branching"] == pytest.approx((8 + 6 + 6) / 12)
    assert table.loc["title", "branching"] == pytest.approx((8 + 2) / 5)
    assert (table["bytes_per_item"] > 0).all()
