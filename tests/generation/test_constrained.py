"""Constrained beam search: equal to exhaustive scoring where the beam is wide enough, legal always, by items and not by SIDs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.errors import RequestError
from backend.generation.constrained import Logits, Normaliser, best, constrained_beam, free_beam, rank_items
from backend.tokenization.trie import NodeMask, Trie


@dataclass
class Invented:
    """A model whose logits depend on the whole prefix; `outside` is the share of probability outside the level's codes."""

    sizes: tuple[int, ...]
    seed: int
    spread: float = 2.0
    outside: float = 0.0
    asked: list[int] = field(default_factory=list)

    def __call__(self, codes: np.ndarray, origin: np.ndarray) -> Logits:
        self.asked.append(len(codes))
        logits = np.stack([self.of(tuple(row)) for row in codes.tolist()])
        total = np.log(np.exp(logits).sum(1)) - np.log1p(-self.outside)
        return Logits(logits, total.astype(np.float32) if self.outside else None)

    def of(self, prefix: tuple[int, ...]) -> np.ndarray:
        rng = np.random.default_rng([self.seed, *prefix, len(prefix)])
        return rng.normal(0, self.spread, self.sizes[len(prefix)]).astype(np.float32)


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, Invented]:
    sizes = tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=4)))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    sids = rng.integers(0, np.array(sizes), size=(draw(st.integers(1, 40)), len(sizes)))
    return sids, Invented(
        sizes, draw(st.integers(0, 10**6)), draw(st.sampled_from([0.0, 0.5, 3.0])), draw(st.sampled_from([0.0, 0.4]))
    )


def exhaustive(sids: np.ndarray, model: Invented, normaliser: Normaliser) -> list[tuple[float, tuple[int, ...]]]:
    """Every distinct SID with its log p, best first; ties by SID."""
    rows = []
    for sid in sorted({tuple(row) for row in sids.tolist()}):
        log_p = 0.0
        for depth, code in enumerate(sid):
            logits = model.of(sid[:depth]).astype(float)
            legal = sorted({row[depth] for row in sids.tolist() if tuple(row[:depth]) == sid[:depth]})
            over = logits[legal] if normaliser == "legal" else logits
            log_p += logits[code] - np.log(np.exp(over).sum()) + (np.log1p(-model.outside) if normaliser == "full" else 0.0)
        rows.append((log_p, sid))
    return sorted(rows, key=lambda row: (-row[0], row[1]))


@settings(deadline=None, max_examples=80)
@given(problems(), st.sampled_from(["full", "legal"]), st.none() | st.integers(0, 10**6))
def test_with_a_beam_as_wide_as_the_leaves_it_is_exhaustive(
    problem: tuple[np.ndarray, Invented], normaliser: Normaliser, hidden: int | None
) -> None:
    sids, model = problem
    trie = Trie.build(sids, model.sizes)
    allowed = np.ones(len(sids), bool) if hidden is None else np.random.default_rng(hidden).random(len(sids)) < 0.5
    mask = None if hidden is None else trie.mask(allowed)
    found = constrained_beam(trie, model, trie.leaves, mask, normaliser)
    expected = exhaustive(sids[allowed], model, normaliser)
    assert len(found.log_p) == len(expected)
    np.testing.assert_allclose(found.log_p, [log_p for log_p, _ in expected], rtol=1e-4, atol=1e-4)
    of = {sid: log_p for log_p, sid in expected}
    assert {tuple(row) for row in found.codes.tolist()} == set(of)
    np.testing.assert_allclose([of[tuple(row)] for row in found.codes.tolist()], found.log_p, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(found.leaves, trie.walk(found.codes))
    if normaliser == "legal" and len(expected):
        assert np.exp(found.log_p).sum() == pytest.approx(1, abs=1e-4), "a distribution over what exists"


@settings(deadline=None, max_examples=40)
@given(problems(), st.integers(1, 12))
def test_a_narrow_beam_keeps_the_best_of_each_level(problem: tuple[np.ndarray, Invented], beams: int) -> None:
    """The same search, written as a loop over dictionaries."""
    sids, model = problem
    kept: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    for depth in range(len(model.sizes)):
        scored = []
        for log_p, prefix in kept:
            logits = model.of(prefix)
            log_total = np.log(np.exp(logits).sum(dtype=np.float32)) - np.float32(np.log1p(-model.outside))
            legal = sorted({row[depth] for row in sids.tolist() if tuple(row[:depth]) == prefix})
            scored += [(log_p + float(logits[code]) - float(log_total), (*prefix, code)) for code in legal]
        kept = sorted(scored, key=lambda row: -row[0])[:beams]
    found = constrained_beam(Trie.build(sids, model.sizes), model, beams)
    np.testing.assert_allclose(found.log_p, [log_p for log_p, _ in kept], rtol=1e-4, atol=1e-4)
    assert max(model.asked) <= beams


def test_uniform_logits_give_the_smallest_sids_and_equal_scores() -> None:
    sids = np.array([[1, 2, 0], [0, 3, 1], [0, 1, 1], [3, 0, 0], [0, 1, 2]])
    model = Invented((4, 4, 4), 0, spread=0.0)
    found = constrained_beam(Trie.build(sids, 4), model, 3)
    assert found.codes.tolist() == [[0, 1, 1], [0, 1, 2], [0, 3, 1]]
    np.testing.assert_allclose(found.log_p, np.log(1 / 64), rtol=1e-5)
    legal = constrained_beam(Trie.build(sids, 4), model, 5, normaliser="legal")
    named = dict(zip(map(tuple, legal.codes.tolist()), np.exp(legal.log_p).tolist(), strict=True))
    assert named[(3, 0, 0)] == pytest.approx(1 / 3)  # one of three first codes, then nothing else to choose
    assert named[(0, 1, 1)] == pytest.approx(1 / 3 / 2 / 2)


def test_a_hundred_thousand_random_decodings_without_an_illegal_one() -> None:
    rng = np.random.default_rng(0)
    decoded = illegal = 0
    table = rng.normal(0, 2, (64, 300)).astype(np.float32)
    while decoded < 100_000:
        levels, codes = int(rng.integers(2, 5)), int(rng.choice([4, 16, 300]))
        sids = rng.integers(0, codes, size=(int(rng.integers(1, 3000)), levels))
        trie, there = Trie.build(sids, codes), set(map(tuple, sids.tolist()))
        masks: list[tuple[NodeMask | None, set[tuple[int, ...]]]] = [(None, there)]
        for share in (0.5, 0.02):
            allowed = rng.random(len(sids)) < share
            masks.append((trie.mask(allowed), set(map(tuple, sids[allowed].tolist()))))
        for mask, left in masks:
            for beams in (1, 50, 200):
                shift = int(rng.integers(0, 64))

                def model(found: np.ndarray, origin: np.ndarray, shift: int = shift, codes: int = codes) -> Logits:
                    return Logits(table[(found.sum(1) * 7 + shift) % 64, :codes])

                found = constrained_beam(trie, model, beams, mask)
                decoded += len(found.codes)
                illegal += sum(sid not in left for sid in map(tuple, found.codes.tolist()))
                assert len(found.codes) == len({*map(tuple, found.codes.tolist())})
                assert len(found.codes) <= min(beams, len(left))
                assert bool(len(found.codes)) == bool(left)
    assert illegal == 0


def test_the_free_beam_says_how_much_is_invalid_and_ranks_items_not_sids() -> None:
    sids = np.array([[0, 0], [0, 0], [1, 1]])
    trie, model = Trie.build(sids, 2), Invented((2, 2), 3)
    free = free_beam(trie, model, 4)
    assert len(free.codes) == 4
    assert free.invalid == 0.5
    np.testing.assert_allclose(np.exp(free.log_p).sum(), 1, rtol=1e-5)
    kept = constrained_beam(trie, model, 4)
    items, log_p = rank_items(trie, free)
    np.testing.assert_array_equal(items, rank_items(trie, kept)[0])
    assert sorted(items.tolist()) == [0, 1, 2], "items that share a SID each take a place"
    named = dict(zip(items.tolist(), np.exp(log_p).tolist(), strict=True))
    shared = float(np.exp(kept.log_p[kept.codes.tolist().index([0, 0])]))
    assert named[0] == named[1] == pytest.approx(shared / 2), "and share its probability"
    assert named[0] < named[1] + 1e-9
    assert rank_items(trie, kept, top=1)[0].tolist() == items[:1].tolist()
    hidden = trie.mask(np.array([False, True, True]))
    assert sorted(rank_items(trie, constrained_beam(trie, model, 4, hidden), mask=hidden)[0].tolist()) == [1, 2]


def test_full_keeps_the_free_models_probability_and_legal_does_not() -> None:
    """Two first codes, one of them with a single child: `legal` passes its whole mass on, `full` does not."""
    sids = np.array([[0, 0], [1, 0], [1, 1]])
    tables = {(): [0.0, 0.1], (0,): [-3.0, 0.0], (1,): [0.0, 0.0]}

    def model(codes: np.ndarray, origin: np.ndarray) -> Logits:
        return Logits(np.array([tables[tuple(row)] for row in codes.tolist()], np.float32))

    trie = Trie.build(sids, 2)
    assert constrained_beam(trie, model, 3, normaliser="legal").codes[0].tolist() == [0, 0]
    full = constrained_beam(trie, model, 3, trace=True)
    assert full.codes.tolist() == [[1, 0], [1, 1], [0, 0]]
    free = free_beam(trie, model, 4)
    there = free.leaves >= 0
    np.testing.assert_allclose(full.log_p, free.log_p[there], rtol=1e-6)
    assert [step.legal.tolist() for step in full.steps] == [[2], [2, 1]]
    np.testing.assert_allclose(full.steps[1].mass, [1, 1 / (1 + np.exp(3))], rtol=1e-5)


def test_an_empty_mask_finds_nothing_and_asks_nothing() -> None:
    trie, model = Trie.build(np.array([[0, 1]]), 2), Invented((2, 2), 0)
    found = constrained_beam(trie, model, 5, trie.mask(np.array([False])))
    assert (len(found.codes), found.invalid, model.asked) == (0, 0.0, [])
    assert len(rank_items(trie, found)[0]) == 0


def test_what_cannot_be_searched_is_refused() -> None:
    trie = Trie.build(np.array([[0, 1]]), 2)
    with pytest.raises(RequestError, match="beams"):
        constrained_beam(trie, Invented((2, 2), 0), 0)
    with pytest.raises(RequestError, match="not numbers"):
        constrained_beam(trie, lambda codes, origin: Logits(np.full((1, 2), np.nan, np.float32)), 2)


def test_the_best_are_taken_in_order_and_ties_by_place() -> None:
    scores = np.array([[1, 3, -np.inf], [3, 3, 2]], np.float32)
    rows, columns = best(scores, 3)
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == [(0, 1), (1, 0), (1, 1)]
    assert len(best(scores, 10)[0]) == 5
    assert len(best(np.full((2, 3), -np.inf, np.float32), 2)[0]) == 0
