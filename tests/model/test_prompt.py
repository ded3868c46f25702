"""The tree of tokens: who sees whom, and that a tree says what its lines say one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.data.history import History
from backend.data.schema import Dataset
from backend.model.prompt import ITEM, QUERY, SID, SPECIAL, TEXT, Tokens, tree_mask
from backend.model.sigma import SigmaModel
from tests.small import small_model, words_of

HISTORY = History(np.array([4, 9, 30]), np.array([1, 2, 30]), np.array([200, 9, 0]))
PROFILE = "a shopper with cats"
WISHES = ["milk please", "surprise me with something else"]
TARGETS = [[3, 17], [3, 40, 41]]


def naive_mask(branch: list[int], leaf: list[int], valid: list[bool]) -> np.ndarray:
    """A token sees itself, and each valid earlier token of the prompt, its own instruction or its own target."""
    n = len(branch)
    out = np.zeros((n, n), bool)
    for query in range(n):
        for key in range(query + 1):
            prompt = branch[key] == 0
            instruction = branch[key] == branch[query] and leaf[key] == 0
            target = branch[key] == branch[query] and leaf[key] == leaf[query]
            out[query, key] = valid[key] and (prompt or instruction or target)
        out[query, query] = True
    return out


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=20),
    st.integers(0, 5),
)
def test_tree_mask_against_a_naive_check(tokens: list[tuple[int, int]], padding: int) -> None:
    ordered = sorted(tokens, key=lambda token: token[0])
    branch = [token[0] for token in ordered] + [0] * padding
    leaf = [token[1] if token[0] else 0 for token in ordered] + [0] * padding
    valid = [True] * len(ordered) + [False] * padding
    found = tree_mask(np.array([branch]), np.array([leaf]), np.array([valid]))
    assert found.shape == (1, 1, len(branch), len(branch))
    np.testing.assert_array_equal(found[0, 0], naive_mask(branch, leaf, valid))


def test_tree_mask_of_a_prompt_with_two_instructions() -> None:
    branch, leaf = np.array([[0, 0, 1, 1, 1, 2, 2]]), np.array([[0, 0, 0, 1, 2, 0, 1]])
    mask = tree_mask(branch, leaf, np.ones((1, 7), bool))[0, 0]
    assert mask[4].tolist() == [True, True, True, False, True, False, False]  # the second target does not see the first
    assert mask[6].tolist() == [True, True, False, False, False, True, True]  # the second instruction does not see the first


def tree(model: SigmaModel, wishes: list[str], targets: list[list[int]]) -> tuple[Tokens, list[int], list[list[int]]]:
    """Tokens, the row that emits the first code of each branch, and the `<q>` rows."""
    layout, features = model.layout, model.backbone.features
    tokens, position = layout.prompt(PROFILE, len(features([PROFILE])[0]), HISTORY)
    starts, queries = [], []
    for branch, (wish, items) in enumerate(zip(wishes, targets, strict=True), start=1):
        start, after = layout.instruction(tokens, wish, len(features([wish])[0]), branch, position)
        starts.append(start)
        queries.append([])
        for leaf, item in enumerate(items, start=1):
            codes = layout.sids[item, : layout.prefix_levels].tolist()
            queries[-1].append(layout.target(tokens, codes, branch, leaf, after)[1])
    return tokens, starts, queries


@pytest.mark.parametrize("levels", [0, 1, 2])
def test_a_tree_gives_the_hidden_states_of_its_lines(tiny_dataset: Dataset, levels: int) -> None:
    model = small_model(tiny_dataset, prefix_levels=levels).eval()
    tokens, starts, queries = tree(model, WISHES, TARGETS)
    with torch.inference_mode():
        soft = model.soft_tokens()
        whole = states(model, [tokens], soft)[0]
        for branch, (wish, items) in enumerate(zip(WISHES, TARGETS, strict=True)):
            for leaf, item in enumerate(items):
                line, start, query = tree(model, [wish], [[item]])
                alone = states(model, [line], soft)[0]
                torch.testing.assert_close(whole[starts[branch]], alone[start[0]], rtol=1e-4, atol=1e-5)
                torch.testing.assert_close(whole[queries[branch][leaf]], alone[query[0][0]], rtol=1e-4, atol=1e-5)


def test_padding_changes_nothing(tiny_dataset: Dataset) -> None:
    model = small_model(tiny_dataset).eval()
    short, long = tree(model, WISHES[:1], TARGETS[:1])[0], tree(model, WISHES, TARGETS)[0]
    with torch.inference_mode():
        soft = model.soft_tokens()
        alone = states(model, [short], soft)[0]
        padded = states(model, [short, long], soft)[0, : len(short)]
    torch.testing.assert_close(alone, padded, rtol=1e-4, atol=1e-5)


def test_an_item_is_its_prefix_and_one_soft_token(tiny_dataset: Dataset) -> None:
    model = small_model(tiny_dataset, prefix_levels=2)
    tokens, starts, queries = tree(model, WISHES[:1], [[3]])
    history = [(kind, value) for kind, value in zip(tokens.kind, tokens.value, strict=True)][1 + len(PROFILE.split()) :][:9]
    sids = model.store.sids
    expected = []
    for item in HISTORY.items:
        expected += [(SID, int(sids[item, 0])), (SID, model.codes + int(sids[item, 1])), (ITEM, int(item))]
    assert history == expected
    assert tokens.kind[0] == SPECIAL
    assert (tokens.kind[queries[0][0]], tokens.value[queries[0][0]]) == (SPECIAL, QUERY)
    assert tokens.kind[starts[0]] == SPECIAL
    assert tokens.kind.count(TEXT) == len(PROFILE.split()) + len(WISHES[0].split())


def test_without_soft_tokens_the_history_is_sids_alone(tiny_dataset: Dataset) -> None:
    model = small_model(tiny_dataset, prefix_levels=4, soft_token=False)
    tokens, _, _ = tree(model, WISHES[:1], [[3]])
    assert ITEM not in tokens.kind
    assert tokens.kind.count(SID) == 4 * len(HISTORY) + 4


def states(model: SigmaModel, trees: list[Tokens], soft: torch.Tensor) -> torch.Tensor:
    batch = model.collate(trees)
    return model.encode(batch, soft, words_of(model, batch))
