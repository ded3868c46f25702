"""What goes into a training step and what comes out: trees of tokens, their supervision, the losses. Plain data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from backend.model.instruction import Said, Wish
from backend.model.priors import RecordBatch


@dataclass
class Batch:
    """Trees of one batch, padded.

    Shape:
        kind, value, count, recency, branch, leaf, position: (batch, tokens) int64; valid: (batch, tokens) bool.
    """

    kind: Tensor
    value: Tensor
    count: Tensor
    recency: Tensor
    branch: np.ndarray
    leaf: np.ndarray
    position: Tensor
    valid: np.ndarray
    features: Tensor  # (text tokens of the batch, …) in row order
    said: Said  # the instructions, in row order
    instructions: list[int]  # of each tree


@dataclass
class Targets:
    """What is supervised.

    Shape:
        code_at: (c, 2) tree and row whose hidden state emits a code; code: (c,) level * codes + code; code_weight: (c,).
        query_at: (q, 2) tree and row of `<q>`; item: (q,) target; query_weight: (q,); also: (q, ·) other right answers, -1 padded.
    """

    code_at: Tensor
    code: Tensor
    code_weight: Tensor
    query_at: Tensor
    item: Tensor
    query_weight: Tensor
    also: Tensor
    code_item: Tensor  # (c,) the target that each code belongs to
    records: RecordBatch  # what each tree's household bought before


@dataclass
class Losses:
    """L = L_NTP + L_ID."""

    total: Tensor
    ntp: float
    id: float


@dataclass
class Known:
    """What is known beside the hidden states, for the trees of a batch.

    Shape:
        soft: (n_items, item_dim) soft tokens of the catalogue; wish: what the instructions ask for;
        terms: (trees, n_items, terms) of `Priors`; taste: (trees, item_dim) unit norm or zero.
    """

    soft: Tensor
    wish: Wish
    terms: Tensor
    taste: Tensor
