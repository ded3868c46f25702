"""Proj&Fuse: from the frozen vectors of an item to its one soft token (SIGMA §1.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backend.tokenization.item_store import ItemStore


class ProjFuse(nn.Module):
    """Proj&Fuse: one soft token from the frozen vectors of an item (SIGMA §1.2; shape ours).

    A linear path per modality, started as orthogonal maps so that the soft tokens begin with the geometry of the frozen vectors, plus a
    residual MLP over all of them, started at zero. Without behaviour the ID path is silent and the MLP sees a learned row.

    Shape:
        output: (n, item_dim), unit norm.
    """

    def __init__(self, store: ItemStore, item_dim: int) -> None:
        super().__init__()
        hidden = 2 * item_dim
        widths = {"id": store.ids.shape[1] + store.statistics.shape[1], "text": store.text.shape[1]}
        if store.image is not None:
            widths["image"] = store.image.shape[1]
        self.direct = nn.ModuleDict({name: nn.Linear(width, item_dim, bias=False) for name, width in widths.items()})
        self.mixed = nn.ModuleDict({name: nn.Linear(width, hidden) for name, width in widths.items()})
        self.absent_id = nn.Parameter(torch.zeros(hidden))
        self.fuse = nn.Sequential(
            nn.LayerNorm(hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, item_dim)
        )
        for linear in self.direct.values():
            nn.init.orthogonal_(linear.weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.fuse[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.fuse[-1].bias)  # type: ignore[arg-type]

    def forward(self, ids: Tensor, text: Tensor, image: Tensor | None, known: Tensor) -> Tensor:
        """Fuse. `known`: (n,) bool, False where the item has (or shall be treated as having) no behaviour."""
        has = known[:, None].to(ids.dtype)
        direct = self.direct["id"](ids) * has + self.direct["text"](text)
        mixed = torch.where(known[:, None], self.mixed["id"](ids), self.absent_id) + self.mixed["text"](text)
        if image is not None:
            direct, mixed = direct + self.direct["image"](image), mixed + self.mixed["image"](image)
        return F.normalize(direct + self.fuse(mixed), dim=-1)

    def of_text(self, text: Tensor) -> Tensor:
        """Soft tokens of grounded texts, as of items that have nothing else. Shape: (n, dim) → (n, item_dim)."""
        ids = text.new_zeros(len(text), self.direct["id"].in_features)  # type: ignore[call-overload]
        image = text.new_zeros(len(text), self.direct["image"].in_features) if "image" in self.direct else None  # type: ignore[call-overload]
        return self(ids, text, image, torch.zeros(len(text), dtype=torch.bool))
