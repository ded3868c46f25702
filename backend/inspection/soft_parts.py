"""What a soft item token is made of: the behaviour path, the text path, the MLP over both.

Two views of the same token ṽ = normalize(d_id + d_text + mlp):

- shares: each part's projection on ṽ as a part of the whole; they add up to one exactly, and a negative one pulls away.
- ablations: the token without one input (as Proj&Fuse itself would make it), its cosine to the whole one, and how many of the item's ten nearest
  items in token space stay the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from backend.model.sigma import SigmaModel

_NEAREST = 10
NAMES = {"id": "behaviour", "text": "text", "image": "image"}


@dataclass(frozen=True)
class SoftParts:
    """Composition of one soft token.

    Frames:
        shares: part · share.
        ablations: without · cosine · kept (of the ten nearest items in token space).

    `known` is False for an item without behaviour.
    """

    shares: pd.DataFrame
    ablations: pd.DataFrame
    known: bool


@torch.inference_mode()
def soft_parts(model: SigmaModel, row: int, soft: np.ndarray) -> SoftParts:
    """Take one item's soft token apart.

    Shape:
        soft: (n_items, item_dim) soft tokens of the catalogue, unit norm.
    """
    inputs = {"id": model._ids[row : row + 1], "text": model._text[row : row + 1]}
    if model._image is not None:
        inputs["image"] = model._image[row : row + 1]
    known = model._known[row : row + 1]
    whole = _fuse(model, inputs, known)
    direct = {name: model.fuse.direct[name](value)[0] for name, value in inputs.items()}
    if not known.item():
        direct["id"] = torch.zeros_like(direct["id"])
    # before it is normalised the token is direct + mlp; the mlp's length follows from what Proj&Fuse gives for the same inputs
    mixed = _mlp(model, inputs, known)
    total = sum(direct.values(), mixed)
    length = float(total.norm()) or 1.0
    parts = {**{NAMES[name]: value for name, value in direct.items()}, "MLP": mixed}
    shares = pd.DataFrame({"part": list(parts), "share": [float(value @ whole) / length for value in parts.values()]})
    tokens = {
        "without behaviour": _fuse(model, inputs, torch.zeros_like(known)),
        "without text": _fuse(model, {**inputs, "text": torch.zeros_like(inputs["text"])}, known),
        "without MLP": torch.nn.functional.normalize(sum(direct.values(), torch.zeros_like(mixed)), dim=-1),
    }
    if "image" in inputs:
        tokens["without image"] = _fuse(model, {**inputs, "image": torch.zeros_like(inputs["image"])}, known)
    near = _nearest(soft, whole, row)
    rows = [(name, float(token @ whole), len(near & _nearest(soft, token, row))) for name, token in tokens.items()]
    return SoftParts(shares, pd.DataFrame(rows, columns=["without", "cosine", "kept"]), bool(known.item()))


def _fuse(model: SigmaModel, inputs: dict[str, Tensor], known: Tensor) -> Tensor:
    return model.fuse(inputs["id"], inputs["text"], inputs.get("image"), known)[0].float()


def _mlp(model: SigmaModel, inputs: dict[str, Tensor], known: Tensor) -> Tensor:
    fuse = model.fuse
    first = fuse.mixed["id"](inputs["id"]) if known.item() else fuse.absent_id
    return fuse.fuse(sum((fuse.mixed[name](value) for name, value in inputs.items() if name != "id"), first)).reshape(-1)


def _nearest(soft: np.ndarray, token: Tensor, row: int) -> set[int]:
    cos = soft @ token.numpy()
    cos[row] = -np.inf
    k = min(_NEAREST, len(cos) - 1)
    return set(np.argpartition(-cos, k - 1)[:k].tolist()) if k > 0 else set()
