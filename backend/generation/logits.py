"""What a model says at hidden states, given what is known beside them: query vectors, item logits, logits of the first code, nearness.

One place for the generator, the stored components of the evaluation and the policies.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from backend.model.batch import Known
from backend.model.priors import POPULAR
from backend.model.sigma import SigmaModel


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Along the last axis."""
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def first_code(model: SigmaModel, hidden: Tensor, known: Known, tree: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits of the first code at states of one tree without the repeat prior, and what the prior adds to them.

    Shape:
        hidden: (n, dim); returns: (n, codes), (n, codes).
    """
    full, bare = (
        model.code_logits(hidden, 0, item_logits(model, hidden, known, tree, repeat)).numpy() for repeat in (True, False)
    )
    return bare, full - bare


def asked(model: SigmaModel, hidden: Tensor, known: Known, tree: int) -> tuple[Tensor, Tensor]:
    """Query vectors and weights at states of one tree. Shape: (n, dim) → (n, item_dim), (n, 1 + terms)."""
    h = model.query_vectors(hidden, known.taste[tree], known.wish.words[tree], known.wish.pulls[tree]).float()
    return h, known.wish.weights[tree].expand(len(hidden), -1)


def item_logits(model: SigmaModel, hidden: Tensor, known: Known, tree: int, repeat: bool = True) -> Tensor:
    """Logits of all items at states of one tree, with or without the repeat prior. Shape: (n, dim) → (n, n_items)."""
    h, weights = asked(model, hidden, known, tree)
    if not repeat:
        weights = torch.cat([weights[:, :1], torch.zeros_like(weights[:, 1:-POPULAR]), weights[:, -POPULAR:]], dim=1)
    wish = known.wish
    return model.item_logits(h, weights, wish.share[tree, None], known.soft, wish.named[tree, None], known.terms[tree, None])


def nearness(cos: np.ndarray, known: Known, tree: int, members: np.ndarray) -> np.ndarray:
    """Nearness of items: the mean of h's cosines, of those of the names that the instruction says, and of the pool.

    Shape:
        cos: (K, L) of h_k, -inf where not legal; members: (K, L) item rows, -1 padded; returns: (K, L).
    """
    share, named = known.wish.share[tree].numpy(), known.wish.named[tree].numpy()
    return share * cos + named[np.maximum(members, 0)] if share > 0 else cos
