"""The trie against plain sets of tuples: children, walks, masks, adding and removing; numpy and tensors say the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.errors import RequestError
from backend.tokenization.trie import Trie
from backend.tokenization.trie_torch import TensorTrie


@st.composite
def catalogues(draw: st.DrawFn) -> tuple[np.ndarray, tuple[int, ...]]:
    """Random SIDs over levels of different sizes, dense and sparse, with collisions."""
    sizes = tuple(draw(st.lists(st.sampled_from([1, 2, 3, 7, 40, 300]), min_size=1, max_size=4)))
    n = draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    used = [max(1, min(size, draw(st.integers(1, 300)))) for size in sizes]
    return np.stack([rng.integers(0, own, n) for own in used], axis=1), sizes


def prefixes(sids: np.ndarray, depth: int) -> list[tuple[int, ...]]:
    return sorted({tuple(row[:depth]) for row in sids.tolist()})


def children(sids: np.ndarray, prefix: tuple[int, ...]) -> list[int]:
    depth = len(prefix)
    return sorted({row[depth] for row in sids.tolist() if tuple(row[:depth]) == prefix})


@settings(deadline=None, max_examples=60)
@given(catalogues(), st.integers(0, 10**6))
def test_the_legal_continuations_are_those_of_the_set(catalogue: tuple[np.ndarray, tuple[int, ...]], seed: int) -> None:
    sids, sizes = catalogue
    trie, rng = Trie.build(sids, sizes), np.random.default_rng(seed)
    tensors = TensorTrie(trie)
    for allowed in (None, rng.random(len(sids)) < 0.6):
        left = sids if allowed is None else sids[allowed]
        if not len(left):
            continue
        mask = None if allowed is None else trie.mask(allowed)
        for depth, size in enumerate(sizes):
            beams = [prefixes(left, depth)[at] for at in rng.integers(0, len(prefixes(left, depth)), 5)]
            nodes = trie.walk(np.array(beams).reshape(5, depth))
            legal = trie.legal(depth, nodes, mask)
            expected = [children(left, beam) for beam in beams]
            assert [codes.tolist() for codes in legal.allowed()] == expected
            logits = rng.normal(size=(5, size)).astype(np.float32)
            scores = legal.scores(logits)
            rows, columns = np.nonzero(scores > -np.inf)
            codes, found = legal.step(rows, columns)
            assert [(beams[row], int(code)) for row, code in zip(rows, codes, strict=True)] == [
                (beam, code) for beam, own in zip(beams, expected, strict=True) for code in own
            ]
            np.testing.assert_array_equal(scores[rows, columns], logits[rows, codes])
            longer = np.concatenate([np.array(beams).reshape(5, depth)[rows], codes[:, None]], axis=1)
            np.testing.assert_array_equal(found, trie.walk(longer))
            # the same on tensors
            masked = None if mask is None else tensors.mask(mask)
            full = tensors.full(depth, torch.from_numpy(nodes), torch.from_numpy(logits), masked).numpy()
            assert [np.flatnonzero(row > -np.inf).tolist() for row in full] == expected
            np.testing.assert_array_equal(full[rows, codes], logits[rows, codes])
            np.testing.assert_array_equal(tensors.walk(torch.from_numpy(longer)), found)


@settings(deadline=None, max_examples=60)
@given(catalogues(), st.integers(0, 10**6))
def test_a_walk_finds_what_is_there_and_nothing_else(catalogue: tuple[np.ndarray, tuple[int, ...]], seed: int) -> None:
    sids, sizes = catalogue
    trie, rng = Trie.build(sids, sizes), np.random.default_rng(seed)
    tensors = TensorTrie(trie)
    for depth in range(1, len(sizes) + 1):
        there = prefixes(sids, depth)
        tried = np.concatenate([np.array(there), rng.integers(-1, np.array(sizes[:depth]) + 1, size=(20, depth))])
        nodes = trie.walk(tried)
        expected = [there.index(tuple(row)) if tuple(row) in there else -1 for row in tried.tolist()]
        assert nodes.tolist() == expected, "nodes of a depth are numbered in the order of their prefixes"
        assert tensors.walk(torch.from_numpy(tried)).tolist() == expected
    leaves = trie.walk(sids)
    for row, leaf in enumerate(leaves.tolist()):
        assert trie.items_of(leaf).tolist() == np.flatnonzero((sids == sids[row]).all(1)).tolist()


@settings(deadline=None, max_examples=30)
@given(catalogues(), catalogues(), st.integers(0, 10**6))
def test_items_join_and_leave(
    one: tuple[np.ndarray, tuple[int, ...]], two: tuple[np.ndarray, tuple[int, ...]], seed: int
) -> None:
    sids, sizes = one
    rng = np.random.default_rng(seed)
    more = rng.integers(0, np.array(sizes), size=(len(two[0]), len(sizes)))
    whole = np.concatenate([sids, more])
    trie = Trie.build(sids, sizes).add(more)
    same(trie, Trie.build(whole, sizes))
    gone = rng.random(len(whole)) < 0.5
    left = trie.remove(np.flatnonzero(gone))
    kept = np.flatnonzero(~gone).astype(np.int32)
    same(left, Trie.build(whole[kept], sizes, kept))
    np.testing.assert_array_equal(left.sids(), whole[left.items])


def same(one: Trie, two: Trie) -> None:
    np.testing.assert_array_equal(one.items, two.items)
    np.testing.assert_array_equal(one.leaf_first, two.leaf_first)
    for own, other in zip(one.levels, two.levels, strict=True):
        np.testing.assert_array_equal(own.first, other.first)
        np.testing.assert_array_equal(own.child_codes(), other.child_codes())


def test_long_sids_sort_as_short_ones_do() -> None:
    """SIDs that do not fit into one packed integer take another way to the same order."""
    sids = np.random.default_rng(0).integers(0, 3, size=(200, 5))
    wide = Trie.build(sids, 1 << 20)  # 100 bits
    tight = Trie.build(sids, 3)  # 10 bits and the row number
    between = Trie.build(sids, 1 << 12)  # 60 bits, no room for the row number
    for trie in (wide, between):
        np.testing.assert_array_equal(trie.items, tight.items)
        same(trie, tight)
    assert tight.levels[0].table is not None
    assert wide.levels[1].table is None


def test_an_empty_catalogue_has_no_continuations() -> None:
    empty = Trie.build(np.zeros((0, 3), np.int64), 8)
    assert (empty.leaves, empty.n_ids) == (0, 0)
    assert empty.walk(np.array([[1], [0]])).tolist() == [-1, -1]
    assert TensorTrie(empty).walk(torch.tensor([[1], [0]])).tolist() == [-1, -1]
    same(empty.add(np.array([[1, 2, 3]])), Trie.build(np.array([[1, 2, 3]]), 8))
    assert Trie.build(np.array([[1, 2, 3]]), 8).remove(np.array([0])).leaves == 0


def test_what_makes_no_trie_is_refused() -> None:
    with pytest.raises(RequestError, match="level 2"):
        Trie.build(np.array([[0, 4]]), 4)
    with pytest.raises(RequestError, match="outside"):
        Trie.build(np.array([[-1, 0]]), 4)
    with pytest.raises(RequestError, match="sizes"):
        Trie.build(np.array([[1, 0]]), (4, 4, 4))


def test_a_mask_of_another_catalogue_is_refused() -> None:
    trie = Trie.build(np.array([[1, 0], [1, 1]]), 4)
    with pytest.raises(RequestError, match="every item"):
        trie.mask(np.array([True]))
    with pytest.raises(RequestError, match="another trie"):
        trie.add(np.array([[2, 2]])).legal(0, np.array([0]), trie.mask(np.array([True, True])))


def test_a_million_items_fit_into_40_mb() -> None:
    rng = np.random.default_rng(0)
    for levels, codes in ((4, 256), (3, 2048)):
        trie = Trie.build(rng.integers(0, codes, size=(1_000_000, levels)).astype(np.int16), codes)
        assert trie.nbytes <= 40e6
