from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from backend.data.schema import Dataset
from backend.data.split import Split
from backend.evaluation.metrics import Catalogue, accuracy, by_item, catalogue, coverage, hits, listwise, tail_items

KS = (1, 2, 5, 10)


def random_case(seed: int) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray | None], Catalogue]:
    rng = np.random.default_rng(seed)
    n, k, m = 30, 10, 25
    lists = np.stack([rng.permutation(m)[:k] for _ in range(n)])
    for row in range(n):  # padded on the right, some lists wholly empty
        lists[row, rng.integers(0, k + 1) :] = -1
    targets = [rng.choice(m, rng.integers(0, 12), replace=False) for _ in range(n)]
    allowed = [None if rng.random() < 0.3 else rng.random(m) < 0.5 for _ in range(n)]
    vectors = rng.normal(size=(m, 6))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    facts = Catalogue(rng.integers(0, 5, m), rng.random(m) * 9, rng.random(m) * 8, rng.random(m) < 0.6, vectors)
    return lists, targets, allowed, facts


@pytest.mark.parametrize("seed", range(5))
def test_accuracy_equals_naive_loops(seed: int) -> None:
    lists, targets, _, facts = random_case(seed)
    result = accuracy(lists, targets, facts.price, KS)
    for row, k in itertools.product(range(len(lists)), KS):
        wanted, top = set(targets[row].tolist()), lists[row, :k].tolist()
        if not wanted:
            assert all(np.isnan(result[name, k][row]) for name in ("hr", "recall", "ndcg", "value"))
            continue
        found = [item for item in top if item >= 0 and item in wanted]
        gain = sum(1 / math.log2(place + 2) for place, item in enumerate(top) if item in wanted)
        ideal = sum(1 / math.log2(place + 2) for place in range(min(k, len(wanted))))
        assert result["hr", k][row] == float(bool(found))
        assert result["recall", k][row] == pytest.approx(len(found) / len(wanted))
        assert result["ndcg", k][row] == pytest.approx(gain / ideal)
        assert result["value", k][row] == pytest.approx(sum(facts.price[item] for item in found))


@pytest.mark.parametrize("seed", range(5))
def test_listwise_equals_naive_loops(seed: int) -> None:
    lists, _, allowed, facts = random_case(seed)
    result = listwise(lists, facts, allowed, KS)
    for row, k in itertools.product(range(len(lists)), KS):
        real = [item for item in lists[row, :k].tolist() if item >= 0]
        assert result["breadth", k][row] == len({int(facts.category[item]) for item in real})
        mask = allowed[row]
        could = 0 if mask is None else min(len(real), int(mask.sum()))
        constraint = sum(bool(mask[item]) for item in real) / could if mask is not None and could else np.nan
        pairs = [1 - facts.vectors[a] @ facts.vectors[b] for a, b in itertools.combinations(real, 2)]
        expected = {
            "novelty": np.mean(facts.surprise[real]) if real else np.nan,
            "tail": np.mean(facts.tail[real]) if real else np.nan,
            "constraint": constraint,
            "diversity": np.mean(pairs) if pairs else np.nan,
        }
        for name, value in expected.items():
            assert result[name, k][row] == pytest.approx(value, nan_ok=True), name


def test_a_constraint_can_be_kept_in_as_many_places_as_it_leaves_items() -> None:
    lists = np.array([[0, 1, 8, 9], [0, 8, 9, -1], [5, 6, 7, 8], [-1, -1, -1, -1], [0, 1, 2, 3]])
    two = np.arange(10) < 2
    facts = Catalogue(np.zeros(10, int), np.ones(10), np.ones(10), np.ones(10, bool))
    kept = listwise(lists, facts, [two, two, ~two, two, None], (1, 4))
    assert kept["constraint", 4][:3].tolist() == [1, 0.5, 1]
    assert kept["constraint", 1][:3].tolist() == [1, 1, 1]
    assert np.isnan(kept["constraint", 4][3:]).all(), "nothing listed, nothing asked for"
    assert np.isnan(listwise(lists[:1], facts, [np.zeros(10, bool)], (4,))["constraint", 4]).all(), "nothing could be right"


def test_by_hand() -> None:
    lists = np.array([[3, 1, 7, -1], [-1, -1, -1, -1]])
    result = accuracy(lists, [np.array([7, 3, 9]), np.array([0])], np.arange(10.0), (1, 4))
    assert result["hr", 1].tolist() == [1, 0]
    assert result["recall", 4].tolist() == pytest.approx([2 / 3, 0])
    assert result["ndcg", 1].tolist() == [1, 0]
    assert result["ndcg", 4][0] == pytest.approx((1 + 1 / 2) / (1 + 1 / math.log2(3) + 1 / 2))
    assert result["value", 4].tolist() == [10, 0]
    assert coverage(lists, 10, 2) == pytest.approx(0.2)
    assert coverage(lists, 10, 4) == pytest.approx(0.3)


def test_padding_is_never_a_hit() -> None:
    assert not hits(np.array([[-1, -1], [-1, 2]]), [np.array([2, 4]), np.array([3])]).any()
    assert hits(np.array([[-1, 2]]), [np.array([2])]).tolist() == [[False, True]]
    assert hits(np.zeros((0, 3), int), []).shape == (0, 3)


def test_list_shorter_than_k_counts_as_padded() -> None:
    result = accuracy(np.array([[1, 2]]), [np.array([2, 5, 6])], np.ones(8), (5,))
    longer = accuracy(np.array([[1, 2, -1, -1, -1]]), [np.array([2, 5, 6])], np.ones(8), (5,))
    assert {key: value.tolist() for key, value in result.items()} == {key: value.tolist() for key, value in longer.items()}


def test_tail_by_hand() -> None:
    # 50 + 30 = 80 % of 100: two head items; a tie at the edge goes to the lower row
    assert tail_items(np.array([10, 50, 30, 10, 0])).tolist() == [True, False, False, True, True]
    assert tail_items(np.array([25, 25, 25, 25])).tolist() == [False, False, False, False]
    assert tail_items(np.array([20, 20, 20, 20, 20])).tolist() == [False, False, False, False, True]
    assert tail_items(np.zeros(3, int)).all()


def test_catalogue_counts_training_only(dataset: Dataset, parts: Split) -> None:
    facts = catalogue(dataset, parts.train_events, np.eye(dataset.n_items) * 3)
    events = dataset.events[parts.train_events]
    households = events.groupby("item")["user"].nunique().reindex(range(dataset.n_items), fill_value=0)
    expected = -np.log2((households + 1) / (events["user"].nunique() + 1))
    assert facts.surprise == pytest.approx(expected.to_numpy())
    assert len(np.unique(facts.category)) == 8
    assert np.linalg.norm(facts.vectors, axis=1) == pytest.approx(1)


def test_counts_by_item_against_a_naive_count() -> None:
    lists = np.array([[1, 4, -1], [4, 0, 2], [3, -1, -1]])
    targets = [np.array([1, 2]), np.array([2, 4]), np.array([0])]
    found = by_item(lists, targets, 7).set_index("item")
    assert found["targets"].to_dict() == {0: 1, 1: 1, 2: 2, 3: 0, 4: 1}
    assert found["shown"].to_dict() == {0: 1, 1: 1, 2: 1, 3: 1, 4: 2}
    assert found["hits"].to_dict() == {0: 0, 1: 1, 2: 1, 3: 0, 4: 1}
    assert 5 not in found.index, "an item without any count is left out"
