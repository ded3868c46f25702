"""The codebook tree against naive counts, node by node."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from backend.data import schema as s
from backend.tokenization.prefixes import prefix_name
from backend.tokenization.quantizers import Codebooks
from backend.tokenization.semantic_ids import health
from backend.tokenization.tree import CodeTree, codebook_tree, collisions, siblings, wilson, with_counts
from backend.tokenization.wording import TitleWords

N, LEVELS, CODES = 300, 4, 5
rng = np.random.default_rng(0)
SIDS = rng.integers(CODES, size=(N, LEVELS))
SIDS[1] = SIDS[0]
ITEMS = pd.DataFrame(
    {
        s.ITEM: [f"i{row}" for row in range(N)],
        s.TITLE: [f"thing {'tea' if row % 3 else 'milk'} number {row}" for row in range(N)],
        s.CATEGORY: rng.choice(["tea", "milk", "bread"], N),
        s.DEPARTMENT: rng.choice(["food", "drink"], N),
        s.PRICE: rng.uniform(1, 9, N).round(2),
    }
)
PURCHASES = rng.integers(0, 50, N)


@pytest.fixture(scope="module")
def tree() -> CodeTree:
    return codebook_tree(SIDS, ITEMS, PURCHASES)


def naive_rows(node: str) -> list[int]:
    depth = 0 if node == "·" else len(node.split("·"))
    return [row for row in range(N) if prefix_name(SIDS[row][:depth].tolist()) == node]


def test_every_node_against_a_naive_count(tree: CodeTree) -> None:
    nodes = {prefix_name(SIDS[row][:depth].tolist()) for row in range(N) for depth in range(LEVELS + 1)}
    assert set(tree.nodes.index) == nodes
    for node in tree.nodes.index:
        rows, found = naive_rows(node), tree.facts(node)
        assert tree.rows(node).tolist() == rows
        assert found["n_items"] == len(rows)
        assert found["sales"] == PURCHASES[rows].sum()
        assert found["popularity"] == pytest.approx(PURCHASES[rows].mean())
        counts = Counter(ITEMS[s.CATEGORY][row] for row in rows)
        assert found["purity"] == pytest.approx(max(counts.values()) / len(rows))
        assert counts[found["category"]] == max(counts.values())
        prices = ITEMS[s.PRICE].to_numpy()[rows]
        assert (found["price_low"], found["price_median"], found["price_high"]) == (prices.min(), np.median(prices), prices.max())
        assert found["parent"] == ("" if node == "·" else "·".join(node.split("·")[:-1]) or "·")


def test_purity_of_a_level_is_that_of_the_health_report(tree: CodeTree) -> None:
    report = health(SIDS, Codebooks(np.zeros((LEVELS, CODES, 2), np.float32)), np.ones((N, 2)), ITEMS[s.CATEGORY].tolist())
    for row in report["levels"]:
        nodes = tree.nodes[tree.nodes["level"] == row["level"]]
        assert (nodes["purity"] * nodes["n_items"]).sum() / N == pytest.approx(row["purity"])
        assert len(nodes) == row["prefixes"]


def test_children_add_up_and_drawing_stays_small(tree: CodeTree) -> None:
    drawn = tree.below("·", most=40)
    assert set(drawn["level"]) == {0, 1, 2}  # 1 + 5 + 25; the third level would be too much
    for node in drawn.index[drawn["level"] < 2]:
        below = drawn[drawn["parent"] == node]
        assert below["n_items"].sum() == tree.facts(node)["n_items"]
    assert set(tree.below("·", most=2)["level"]) == {0, 1}, "at least one level, however many nodes it has"
    leaf = str(tree.nodes.index[-1])
    assert list(tree.below(leaf).index) == [leaf]
    assert tree.lineage("a1·b2") == ["·", "a1", "a1·b2"]
    assert tree.lineage("·") == ["·"]


def test_hits_inside_a_node(tree: CodeTree) -> None:
    counts = pd.DataFrame({"item": [0, 1, 7, 9], "targets": [4, 2, 0, 5], "hits": [1, 2, 0, 0], "shown": [3, 2, 6, 1]})
    found = with_counts(tree, counts)
    for node in tree.nodes.index:
        own = counts[counts["item"].isin(naive_rows(node))]
        assert found.at[node, "targets"] == own["targets"].sum()
        assert found.at[node, "shown"] == own["shown"].sum()
        if own["targets"].sum():
            assert found.at[node, "recall"] == pytest.approx(own["hits"].sum() / own["targets"].sum())
            assert found.at[node, "recall_low"] <= found.at[node, "recall"] <= found.at[node, "recall_high"]
        else:
            assert np.isnan(found.at[node, "recall"])


def test_wilson_is_scipys() -> None:
    from scipy.stats import binomtest

    low, high = wilson(np.array([0, 3, 10]), np.array([5, 11, 10]))
    for place, (hits, n) in enumerate([(0, 5), (3, 11), (10, 10)]):
        expected = binomtest(hits, n).proportion_ci(method="wilson")
        assert (low[place], high[place]) == pytest.approx((expected.low, expected.high))


def test_siblings_are_ordered_by_their_centroids(tree: CodeTree) -> None:
    books = rng.normal(size=(LEVELS, CODES, 3))
    found = siblings(tree, "a1·b2", books)
    assert all(name.startswith("a1·b") and name != "a1·b2" for name in found["node"])
    apart = [float(np.linalg.norm(books[1][2] - books[1][int(name.split("·b")[1])])) for name in found["node"]]
    assert apart == sorted(apart)
    assert found["distance"].tolist() == pytest.approx(apart)
    assert siblings(tree, "·", books).empty


def test_collisions_name_those_who_share() -> None:
    found = collisions(SIDS, ITEMS[s.TITLE].tolist())
    counts = Counter(prefix_name(codes.tolist()) for codes in SIDS)
    assert dict(zip(found["sid"], found["n_items"], strict=True)) == {sid: n for sid, n in counts.items() if n > 1}
    row = found[found["sid"] == prefix_name(SIDS[0].tolist())].iloc[0]
    assert ITEMS[s.TITLE][0] in row["items"]
    assert ITEMS[s.TITLE][1] in row["items"]


def test_typical_words_set_a_group_apart() -> None:
    words = TitleWords(["green tea", "black tea", "whole milk", "oat milk", "green beans"])
    found = words.typical(np.array([0, 1]))
    assert found["word"].iat[0] == "tea"
    assert found.iloc[0][["n", "share", "lift"]].tolist() == [2, 1.0, 2.5]
    assert words.typical(np.arange(5)).empty, "the whole catalogue is set apart by nothing"
    assert TitleWords(["1", "2"]).typical(np.array([0])).empty
