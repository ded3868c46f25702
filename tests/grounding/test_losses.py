"""L_CL and L_KD against naive loops; the masks; what training does to held-out pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from backend.grounding.grounder import Projection, contrastive_loss, distillation_loss, train_grounder
from backend.grounding.pairs import View, held_recall, positives
from backend.settings import GroundingSettings
from tests.small import unit

TAU = 0.2


def tensors(n: int, dim: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(unit(np.random.default_rng(seed), n, dim)).double()


def naive_cl(text: torch.Tensor, partner: list[int], mask: np.ndarray) -> float:
    """-(1/2B) Σ_i log P_text(i'|i) over the entities that are no masked negative (SIGMA eq. L_CL)."""
    total = 0.0
    for i in range(len(text)):
        others = [j for j in range(len(text)) if j == partner[i] or not mask[i, j]]
        weights = {j: math.exp(float(text[i] @ text[j]) / TAU) for j in others}
        total -= math.log(weights[partner[i]] / sum(weights.values()))
    return total / len(text)


def test_contrastive_loss_against_loops() -> None:
    text = tensors(8, 5)
    partner = [4, 5, 6, 7, 0, 1, 2, 3]
    mask = np.eye(8, dtype=bool)
    mask[0, 5] = mask[5, 0] = True  # another positive
    mask[2, 3] = mask[3, 2] = True  # a duplicate
    mask[1, 5] = mask[5, 1] = True  # the partner itself is a known positive: it stays in
    found = contrastive_loss(text, torch.tensor(partner), torch.from_numpy(mask), TAU)
    assert float(found) == pytest.approx(naive_cl(text, partner, mask), rel=1e-6)


def test_masked_negatives_carry_no_gradient() -> None:
    text = tensors(6, 4).requires_grad_()
    partner = torch.tensor([1, 0, 3, 2, 5, 4])
    mask = torch.eye(6, dtype=torch.bool)
    mask[0, 4] = mask[4, 0] = mask[1, 4] = mask[4, 1] = True
    mask[0, 5] = mask[5, 0] = mask[1, 5] = mask[5, 1] = True
    mask[0, 2] = mask[2, 0] = mask[1, 2] = mask[2, 1] = True
    mask[0, 3] = mask[3, 0] = mask[1, 3] = mask[3, 1] = True
    contrastive_loss(text, partner, mask, TAU).backward()
    assert text.grad is not None
    assert float(text.grad[0].norm()) < 1e-9, "with every other entity masked there is nothing to push away"
    assert float(text.grad[2].norm()) > 1e-3


def naive_kd(text: torch.Tensor, ids: torch.Tensor, mask: np.ndarray) -> float:
    """Mean over the rows of Σ_j P_ID(j|i) log(P_ID(j|i) / P_text(j|i)) (SIGMA eq. L_KD)."""
    total, rows = 0.0, 0
    for i in range(len(text)):
        others = [j for j in range(len(text)) if not mask[i, j]]
        if len(others) < 2:
            continue
        both = []
        for vectors in (ids, text):
            weights = [math.exp(float(vectors[i] @ vectors[j]) / TAU) for j in others]
            both.append([weight / sum(weights) for weight in weights])
        total += sum(p * math.log(p / q) for p, q in zip(*both, strict=True))
        rows += 1
    return total / rows


def test_distillation_loss_against_loops() -> None:
    text, ids = tensors(7, 4), tensors(7, 3, seed=1)
    mask = np.eye(7, dtype=bool)
    mask[2, 5] = mask[5, 2] = True  # the same item twice in a batch
    found = distillation_loss(text, ids, torch.from_numpy(mask), TAU)
    assert float(found) == pytest.approx(naive_kd(text, ids, mask), rel=1e-6)


def test_distillation_is_zero_where_both_spaces_agree() -> None:
    ids = tensors(6, 4)
    assert float(distillation_loss(ids, ids, torch.eye(6, dtype=torch.bool), TAU)) == pytest.approx(0.0, abs=1e-9)


def test_distillation_without_enough_neighbours_is_zero_and_differentiable() -> None:
    text = tensors(2, 4).requires_grad_()
    loss = distillation_loss(text, tensors(2, 3), torch.eye(2, dtype=torch.bool), TAU)
    loss.backward()
    assert float(loss.detach()) == 0.0
    none = distillation_loss(text[:0], tensors(2, 3)[:0], torch.zeros(0, 0, dtype=torch.bool), TAU)
    assert float(none) == 0.0


# training


def circle(n: int) -> View:
    """Entity i belongs with i + n; every fifth pair is held out."""
    pairs = np.array([(i, i + n) for i in range(n)])
    pairs = np.concatenate([pairs, pairs[:, ::-1]])
    held = pairs[:, 0] % n % 5 == 0
    return View("semantic", pairs[~held], pairs[held])


def test_training_brings_pairs_together_and_projections_start_from_the_texts() -> None:
    rng = np.random.default_rng(0)
    base = unit(rng, 40, 8)
    turned = base @ np.linalg.qr(rng.normal(size=(8, 8)))[0].astype(np.float32)  # partners lie elsewhere in the text space
    text = np.concatenate([base, turned])
    view = circle(40)
    settings = GroundingSettings(
        dim=8, hidden=32, batch=16, epochs=30, pairs_per_view=160, lr=5e-3, lambda_kd=0.0, views=("semantic",)
    )
    ids = np.zeros((80, 4), np.float32)
    grounded = train_grounder(text, ids, [view], settings, seed=3)
    known = positives([view], 80)
    before, anchors = held_recall(text, view, 80, known, k=5)
    after, _ = held_recall(grounded.project(text), view, 80, known, k=5)
    assert anchors == 16
    assert after > before + 0.2
    assert grounded.curve[-1][1] < grounded.curve[0][1]
    assert all(kd == 0.0 for _, _, kd in grounded.curve), "without an ID embedding nobody takes part in L_KD"
    np.testing.assert_allclose(np.linalg.norm(grounded.project(text), axis=1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(
        grounded.project(text), train_grounder(text, ids, [view], settings, seed=3).project(text), "the seed decides"
    )


def test_a_projection_begins_as_the_principal_components() -> None:
    text = unit(np.random.default_rng(0), 50, 10)
    projection = Projection(10, 16, 10).eval()
    projection.start_from(torch.from_numpy(text))
    with torch.inference_mode():
        projected = projection(torch.from_numpy(text)).numpy()
    np.testing.assert_allclose(projected @ projected.T, text @ text.T, atol=1e-5)  # all components kept: no distance changes


# what is measured


def test_held_recall_against_loops() -> None:
    rng = np.random.default_rng(4)
    n_items, n = 20, 26
    vectors = unit(rng, n, 6)
    train = np.array([(20, 1), (20, 2), (21, 5), (3, 4), (4, 3)])
    held = np.array([(20, 7), (20, 8), (21, 9), (25, 0), (3, 6)])
    view = View("semantic", train, held)
    known = positives([view], n)
    for k in (1, 3, 10):
        recalls = []
        for anchor in (3, 20, 21, 25):
            out = {anchor} | {b for a, b in train.tolist() if a == anchor} | {a for a, b in train.tolist() if b == anchor}
            ranked = sorted(
                (item for item in range(n_items) if item not in out), key=lambda item: -float(vectors[anchor] @ vectors[item])
            )
            wanted = {b for a, b in held.tolist() if a == anchor}
            recalls.append(len(wanted & set(ranked[:k])) / min(len(wanted), k))
        found, anchors = held_recall(vectors, view, n_items, known, k)
        assert anchors == 4
        assert found == pytest.approx(sum(recalls) / 4)


def test_a_view_without_held_pairs_has_no_recall() -> None:
    empty = np.zeros((0, 2), np.int64)
    value, anchors = held_recall(np.eye(3, dtype=np.float32), View("visual", empty, empty), 3, positives([], 3))
    assert math.isnan(value)
    assert anchors == 0


def test_positives_are_symmetric_and_hold_the_diagonal() -> None:
    matrix = positives([View("a", np.array([(0, 2)]), np.array([(1, 2)]))], 4).toarray()
    assert matrix.astype(int).tolist() == [[1, 0, 1, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]]
