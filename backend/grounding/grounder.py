"""The grounder: a trained projection that makes one space of text, behaviour and knowledge (SIGMA §1.1).

    L_CL = -(1/2B) Σ_i log P_text(i'|i)              symmetric InfoNCE over 2B entities
    L_KD = (1/|I|) Σ_i KL(P_ID(·|i) ‖ P_text(·|i))   over the entities I that have an ID embedding
    L    = L_CL + λ_KD · L_KD

- Ours: MiniLM's sentence vector stays frozen and a residual MLP is trained on it, since training the LM itself does not fit
  two cores; the paper trains both. Mean pooling, since MiniLM is bidirectional and was trained so.
- Masks: the diagonal, repeated entities, and every known positive of i except its partner, in L_CL; entities without an ID
  embedding (queries, calendar words, cold items) take no part in L_KD.
- Views are balanced: each epoch draws the same number of pairs from each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backend.grounding.pairs import View, positives
from backend.progress import CancelToken, Progress, Report, silent
from backend.settings import GroundingSettings


class Projection(nn.Module):
    """Down-projection of frozen sentence vectors to the grounded space.

    Starts as the principal components of the texts, so that training adds to what the sentence encoder knows instead of
    finding it again.

    Shape:
        input: (n, in_dim); output: (n, dim), unit norm.
    """

    def __init__(self, in_dim: int, hidden: int, dim: int) -> None:
        super().__init__()
        self.skip = nn.Linear(in_dim, dim, bias=False)
        self.mlp = nn.Sequential(
            nn.LayerNorm(in_dim), nn.Linear(in_dim, hidden), nn.GELU(), nn.Dropout(0.1), nn.Linear(hidden, dim)
        )
        nn.init.zeros_(self.mlp[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.mlp[-1].bias)  # type: ignore[arg-type]

    def start_from(self, vectors: Tensor) -> None:
        """Set the skip connection to the first principal components (uncentred) of the vectors. Shape: (n, in_dim)."""
        rank = min(self.skip.out_features, *vectors.shape)
        with torch.no_grad():
            self.skip.weight.zero_()
            self.skip.weight[:rank] = torch.linalg.svd(vectors, full_matrices=False).Vh[:rank]

    def forward(self, vectors: Tensor) -> Tensor:
        """Project and normalise."""
        return F.normalize(self.skip(vectors) + self.mlp(vectors), dim=-1)


def contrastive_loss(text: Tensor, partner: Tensor, mask: Tensor, tau: float) -> Tensor:
    """L_CL, symmetric InfoNCE over the 2B entities of a batch (SIGMA eq. L_CL).

    Shape:
        text: (2B, dim) unit norm.
        partner: (2B,) row of each entity's partner i'.
        mask: (2B, 2B) bool, True where j is no negative of i (diagonal, duplicates, other positives); the partner stays in.
    """
    logits = text @ text.T / tau  # (2B, 2B)
    logits = logits.masked_fill(mask.scatter(1, partner[:, None], False), float("-inf"))
    return F.cross_entropy(logits, partner)


def distillation_loss(text: Tensor, ids: Tensor, mask: Tensor, tau: float) -> Tensor:
    """L_KD = KL(P_ID ‖ P_text), averaged over the rows: the ID space teaches the text space (SIGMA eq. L_KD).

    Shape:
        text, ids: (n, ·) unit norm, of the entities that have an ID embedding.
        mask: (n, n) bool, True on the diagonal and for repeated entities.
    """
    usable = (~mask).sum(1) >= 2
    if not usable.any():
        return text.sum() * 0.0
    p_id = F.log_softmax((ids @ ids.T / tau).masked_fill(mask, -1e4), dim=1)
    p_text = F.log_softmax((text @ text.T / tau).masked_fill(mask, -1e4), dim=1)
    return (p_id.exp() * (p_id - p_text)).sum(1)[usable].mean()


@dataclass(frozen=True)
class Grounded:
    """Result of the training: the projection and the loss curve (step, L_CL, L_KD)."""

    projection: Projection
    curve: list[tuple[int, float, float]]

    @torch.inference_mode()
    def project(self, vectors: np.ndarray) -> np.ndarray:
        """Grounded vectors of sentence vectors.

        Shape:
            vectors: (n, 384); returns: (n, dim) float32, unit norm.
        """
        self.projection.eval()
        return self.projection(torch.from_numpy(np.asarray(vectors, np.float32))).numpy()


def train_grounder(
    text_vectors: np.ndarray,
    id_vectors: np.ndarray,
    views: Sequence[View],
    settings: GroundingSettings,
    seed: int,
    report: Report = silent,
    cancel: CancelToken | None = None,
) -> Grounded:
    """Train the projection on the views.

    Shape:
        text_vectors: (entities, 384) unit norm.
        id_vectors: (entities, id_dim), zero rows where an entity has no ID embedding.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    projection = Projection(text_vectors.shape[1], settings.hidden, settings.dim)
    projection.start_from(torch.from_numpy(text_vectors))
    known = positives(views, len(text_vectors))
    text, ids = torch.from_numpy(text_vectors), torch.from_numpy(id_vectors)
    has_id = torch.from_numpy(np.linalg.norm(id_vectors, axis=1) > 0)
    trained = [view for view in views if view.name in settings.views and len(view.train)]
    if not trained:  # the ablation without grounding: the sentence encoder's own principal components
        return Grounded(projection.eval(), [])
    total = settings.epochs * (len(trained) * settings.pairs_per_view // settings.batch)
    optimizer = torch.optim.AdamW(projection.parameters(), lr=settings.lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.lr, total_steps=max(total, 2), pct_start=0.1)
    curve: list[tuple[int, float, float]] = []
    step = 0
    for _ in range(settings.epochs):
        pairs = np.concatenate([_draw(view.train, settings.pairs_per_view, rng) for view in trained])
        rng.shuffle(pairs)
        for start in range(0, len(pairs) - settings.batch + 1, settings.batch):
            if cancel:
                cancel.check()
            batch = pairs[start : start + settings.batch]
            entity = np.concatenate([batch[:, 0], batch[:, 1]])  # (2B,)
            partner = torch.arange(len(entity)).roll(len(batch))
            mask = torch.from_numpy(_same_or_positive(known, entity))
            projected = projection(text[entity])  # (2B, dim)
            loss_cl = contrastive_loss(projected, partner, mask, settings.tau)
            taught = has_id[entity]
            repeated = torch.from_numpy(entity[:, None] == entity[None, :])[taught][:, taught]
            loss_kd = distillation_loss(projected[taught], ids[entity][taught], repeated, settings.tau)
            loss = loss_cl + settings.lambda_kd * loss_kd
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            if step < total - 1:
                schedule.step()
            step += 1
            if step % 20 == 0 or step == total:
                curve.append((step, loss_cl.item(), loss_kd.item()))
                report(Progress("grounding", step, total, metrics={"L_CL": loss_cl.item(), "L_KD": loss_kd.item()}))
    return Grounded(projection.eval(), curve)


def _draw(pairs: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Pairs with every anchor equally likely: a broad query has hundreds of pairs, a precise one three. Shape: (size, 2)."""
    edges = np.cumsum(1.0 / np.bincount(pairs[:, 0])[pairs[:, 0]])
    return pairs[np.minimum(np.searchsorted(edges, rng.random(size) * edges[-1]), len(pairs) - 1)]


def _same_or_positive(known: sp.csr_matrix, entity: np.ndarray) -> np.ndarray:
    """(2B, 2B) bool: known positives among the batch's entities, repeated entities included."""
    unique, inverse = np.unique(entity, return_inverse=True)
    block = known[unique][:, unique].toarray()
    return block[inverse][:, inverse]
