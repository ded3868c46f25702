"""The soft-token model: backbone + item tokens + heads + losses (SIGMA §1.2–1.3).

- An item in the prompt is [SID prefix][soft token]. The soft token is Proj&Fuse of frozen store vectors: no vocabulary row,
  no catalogue softmax, cold items welcome.
- Rows for SIDs and special tokens live here, outside the backbone, so they train even when the backbone only has LoRA.
- L_NTP: cross-entropy over the codes of a level (the legal slice; there is no other vocabulary to emit).
- L_ID: at `<q>`, softmax over the items that share the target's prefix, cos/τ.
- Ours: two priors as logits, the household's own repeat purchases (at the first code and at the item) and popularity (at the item). How
  much they weigh is read off the hidden state, so the instruction decides: much for a next basket, little for something new.
  The pointer of RepeatNet (Ren et al. 2019), in product form.
- Ours: how often and how long ago a history item was bought are two small learned rows added to its tokens; meeting space of h
  and ṽ has its own width (`item_dim`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import DynamicCache

from backend.data.history import COUNT_BUCKETS, RECENCY_BUCKETS
from backend.model.backbones import Backbone
from backend.model.prompt import (
    GROUNDED,
    GROUNDED_ROW,
    ITEM,
    N_SPECIAL,
    PAD,
    QUERY,
    SID,
    SPECIAL,
    START,
    TEXT,
    Layout,
    Tokens,
    tree_mask,
)
from backend.settings import ModelSettings, TokenSettings
from backend.tokenization.item_store import ItemStore

_STATISTICS_SCALE = 0.2
_GATE_SPEED = 4.0  # gates are a few scalars that have far to go; Adam moves each weight by at most the learning rate a step


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
    grounded: Tensor | None  # (GROUNDED tokens of the batch, dim) in row order
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
    repeat: Tensor  # (trees, n_items) repeat prior of each tree's household


@dataclass
class Losses:
    """L = L_NTP + L_ID."""

    total: Tensor
    ntp: float
    id: float


class SigmaModel(nn.Module):
    """Backbone, soft item tokens, `<q>`, heads.

    Args:
        backbone: the decoder.
        store: frozen item vectors and SIDs.
        model: ℓ, item_dim, soft_token.
        tokens: codebook size.
        ground: grounded vectors of texts, (n,) → (n, dim); None leaves the instruction's own soft token out.
    """

    # buffers, exchanged with the catalogue by `set_store`
    _ids: Tensor
    _text: Tensor
    _image: Tensor | None
    _known: Tensor
    _popularity: Tensor
    _first_code: Tensor
    _members: Tensor
    _prefix_of: Tensor

    def __init__(
        self,
        backbone: Backbone,
        store: ItemStore,
        model: ModelSettings,
        tokens: TokenSettings,
        dropout: float = 0.0,
        ground: Callable[[Sequence[str]], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.settings = model
        self.ground = ground if model.instruction_token else None
        self.levels = model.prefix_levels
        self.codes = tokens.codes
        dim = backbone.dim
        self.special = nn.Embedding(N_SPECIAL, dim)
        self.sid = nn.Embedding(max(self.levels, 1) * self.codes, dim)
        self.count = nn.Embedding(COUNT_BUCKETS, dim)
        self.recency = nn.Embedding(RECENCY_BUCKETS, dim)
        self.fuse = ProjFuse(store, model.item_dim)
        self.item_in = nn.Linear(model.item_dim, dim)
        self.code_head = nn.Linear(dim, max(self.levels, 1) * self.codes)
        self.query_head = nn.Linear(
            dim, model.item_dim
        )  # added to the transpose of item_in: copying an item is there from the start
        self.words_gate = nn.Linear(dim, 1)  # how much the instruction's own words pull h, by the state of `<q>`
        self.prefix_gate = nn.Linear(dim, 1)  # weight of the repeat prior at the first code
        self.prior_gate = nn.Linear(dim, 2)  # weights of repeat prior and popularity at the item
        for gate in (self.words_gate, self.prefix_gate, self.prior_gate):
            nn.init.zeros_(gate.weight)
            nn.init.zeros_(gate.bias)
        with torch.no_grad():  # at the start the priors alone rank as the household's own frequency, then popularity, would
            self.prior_gate.bias.copy_(torch.tensor([0.54, 1.3]) / _GATE_SPEED)
        nn.init.orthogonal_(self.item_in.weight)
        nn.init.zeros_(self.query_head.weight)
        self.dropout = nn.Dropout(dropout)
        for embedding in (self.special, self.sid, self.count, self.recency):
            nn.init.normal_(embedding.weight, std=0.05)
        self.set_store(store)

    def set_store(self, store: ItemStore) -> None:
        """Exchange the catalogue (cold items appended); nothing is retrained."""
        self.store = store
        self.layout = Layout(store.sids, self.levels, self.codes, self.settings.soft_token, self.ground is not None)
        # statistics have unit variance, ID vectors unit norm: scaled down so that they do not drown the ID vector
        behaviour = np.concatenate([store.ids, _STATISTICS_SCALE * store.statistics], axis=1)
        self.register_buffer("_ids", torch.from_numpy(behaviour).float(), persistent=False)
        self.register_buffer("_text", torch.from_numpy(np.asarray(store.text)).float(), persistent=False)
        image = None if store.image is None else torch.from_numpy(store.image).float()
        self.register_buffer("_image", image, persistent=False)
        self.register_buffer("_known", torch.from_numpy(np.linalg.norm(store.ids, axis=1) > 0), persistent=False)
        self.register_buffer("_popularity", torch.from_numpy(store.statistics[:, 0].copy()).float(), persistent=False)
        first = store.sids[:, 0] if self.levels else np.zeros(len(store), np.int64)
        self.register_buffer("_first_code", torch.from_numpy(first), persistent=False)
        members, index = prefix_members(store.sids[:, : self.levels])
        self.register_buffer("_members", torch.from_numpy(members), persistent=False)  # (prefixes, largest), -1 padded
        self.register_buffer("_prefix_of", torch.from_numpy(index), persistent=False)  # (n_items,)

    def soft_tokens(self, id_dropout: float = 0.0) -> Tensor:
        """Soft tokens of the whole catalogue. Shape: (n_items, item_dim), unit norm."""
        known = self._known
        if id_dropout:
            known = known & (torch.rand(known.shape) >= id_dropout)
        return self.fuse(self._ids, self._text, self._image, known)

    def collate(self, trees: Sequence[Tokens]) -> Batch:
        """Pad trees into a batch and fetch their text features."""
        length = max(len(tree) for tree in trees)
        fields: dict[str, np.ndarray] = {}
        for name in ("kind", "value", "count", "recency", "branch", "leaf", "position"):
            fill = {"kind": SPECIAL, "value": PAD}.get(name, 0)
            fields[name] = np.full((len(trees), length), fill, np.int64)
            for row, tree in enumerate(trees):
                fields[name][row, : len(tree)] = getattr(tree, name)
        valid = np.arange(length) < np.array([len(tree) for tree in trees])[:, None]
        features = torch.cat(self.backbone.features([text for tree in trees for text in tree.texts]))
        return Batch(
            kind=torch.from_numpy(fields["kind"]),
            value=torch.from_numpy(fields["value"]),
            count=torch.from_numpy(fields["count"]),
            recency=torch.from_numpy(fields["recency"]),
            branch=fields["branch"],
            leaf=fields["leaf"],
            position=torch.from_numpy(fields["position"]),
            valid=valid,
            features=features,
            grounded=self.ground([text for tree in trees for text in tree.grounded]) if self.ground else None,
            instructions=[len(tree.grounded) for tree in trees],
        )

    def embed(self, batch: Batch, soft: Tensor) -> Tensor:
        """Embeddings of all tokens. Shape: (batch, tokens, dim)."""
        kind, value = batch.kind, batch.value
        out = self.special(torch.where(kind == SPECIAL, value, PAD))  # (batch, tokens, dim)
        sid, item, text = kind == SID, kind == ITEM, kind == TEXT
        out = out.masked_scatter(sid[..., None], self.sid(value[sid]).to(out.dtype))
        if item.any():
            bought = self.count(batch.count[item]) + self.recency(batch.recency[item])
            out = out.masked_scatter(item[..., None], (self.item_in(soft[value[item]]) + bought).to(out.dtype))
        if batch.grounded is not None and len(batch.grounded):
            instruction = self.item_in(self.fuse.of_text(batch.grounded)) + self.special.weight[GROUNDED_ROW]
            out = out.masked_scatter((kind == GROUNDED)[..., None], instruction.to(out.dtype))
        if text.any():
            out = out.masked_scatter(text[..., None], self.backbone.embed_text(batch.features).to(out.dtype))
        return self.dropout(out)

    def encode(self, batch: Batch, soft: Tensor) -> Tensor:
        """Hidden states of whole trees, without a cache. Shape: (batch, tokens, dim)."""
        mask = torch.from_numpy(tree_mask(batch.branch, batch.leaf, batch.valid))
        return self.backbone(self.embed(batch, soft), mask, batch.position)

    def prefix_prior(self, hidden: Tensor, repeat: Tensor) -> Tensor:
        """Logits that the repeat prior adds to the first code: gate · log(1 + the code's share of past purchases).

        Shape:
            hidden: (n, dim) states that emit the first code; repeat: (n, n_items); returns: (n, codes).
        """
        rate = torch.expm1(repeat)
        share = torch.zeros(len(repeat), self.codes).index_add_(1, self._first_code, rate)
        return F.softplus(_GATE_SPEED * self.prefix_gate(hidden).float()) * torch.log1p(share)

    def item_priors(self, hidden: Tensor) -> Tensor:
        """Weights of repeat prior (≥ 0) and popularity at `<q>` states. Shape: (…, dim) → (…, 2)."""
        gates = _GATE_SPEED * self.prior_gate(hidden).float()
        return torch.stack([F.softplus(gates[..., 0]), gates[..., 1]], dim=-1)

    def code_logits(self, hidden: Tensor, level: int) -> Tensor:
        """Logits of the codes of one level. Shape: (…, dim) → (…, codes)."""
        return self.code_head(hidden)[..., level * self.codes : (level + 1) * self.codes]

    def query_vectors(self, hidden: Tensor, words: Tensor | None = None) -> Tensor:
        """Query vectors h of `<q>` states: what the context wants, pulled towards what the instruction says (ours).

        Shape:
            hidden: (…, dim); words: (…, item_dim) soft token of the instruction, or None; returns: (…, item_dim), unit norm.
        """
        h = F.normalize(hidden @ self.item_in.weight + self.query_head(hidden), dim=-1)
        if words is None:
            return h
        return F.normalize(h + F.softplus(_GATE_SPEED * self.words_gate(hidden)) * words, dim=-1)

    def words(self, grounded: Tensor | None) -> Tensor | None:
        """Soft tokens of grounded instructions, as of items that have nothing but this text. Shape: (n, dim) → (n, item_dim)."""
        return None if grounded is None or not len(grounded) else self.fuse.of_text(grounded)

    def _words_at(self, batch: Batch, at: Tensor) -> Tensor | None:
        """The instruction's soft token behind each (tree, row). Shape: (q, 2) → (q, item_dim)."""
        words = self.words(batch.grounded)
        if words is None:
            return None
        count = torch.tensor(batch.instructions)
        first = torch.cumsum(count, 0) - count
        tree = at[:, 0]
        branch = torch.from_numpy(batch.branch)[tree, at[:, 1]]
        return words[first[tree] + (branch - 1).clamp(min=0).minimum(count[tree] - 1)]

    def extend(self, kinds: Tensor, values: Tensor, mask: Tensor, positions: Tensor, cache: DynamicCache) -> Tensor:
        """Hidden states of SID and special tokens appended to a cached prompt.

        Shape:
            kinds, values, positions: (1, query); mask: (1, 1, query, cached + query) bool; returns: (1, query, dim).
        """
        is_sid = (kinds == SID)[..., None]
        embeds = torch.where(is_sid, self.sid(values.where(kinds == SID, 0)), self.special(values.where(kinds == SPECIAL, PAD)))
        return self.backbone(embeds, mask, positions, cache)

    def losses(self, batch: Batch, targets: Targets, tau: float, id_dropout: float = 0.1) -> Losses:
        """L_NTP + L_ID of a batch of trees (SIGMA §1.3).

        L_NTP averages over instructions (their targets share the weight), L_ID likewise; negatives of L_ID are the items that
        share the target's prefix, less other right answers.
        """
        soft = self.soft_tokens(id_dropout)
        hidden = self.encode(batch, soft)
        zero = hidden.sum() * 0.0
        ntp = zero
        if len(targets.code):
            logits = self.code_head(hidden[targets.code_at[:, 0], targets.code_at[:, 1]]).float()  # (c, levels * codes)
            level = targets.code // self.codes
            root = torch.nonzero(level == 0).ravel()
            emitting = hidden[targets.code_at[root, 0], targets.code_at[root, 1]]
            prior = self.prefix_prior(emitting, targets.repeat[targets.code_at[root, 0]])
            logits = logits.index_put((root[:, None], torch.arange(self.codes)[None]), prior, accumulate=True)
            own = torch.arange(logits.shape[1]) // self.codes == level[:, None]
            loss = F.cross_entropy(logits.masked_fill(~own, float("-inf")), targets.code, reduction="none")
            ntp = (loss * targets.code_weight).sum() / targets.code_weight.sum()
        id_loss = zero
        if self.settings.soft_token and len(targets.item):
            at_query = hidden[targets.query_at[:, 0], targets.query_at[:, 1]]
            h = self.query_vectors(at_query, self._words_at(batch, targets.query_at)).float()  # (q, item_dim)
            id_loss = self._id_loss(h, self.item_priors(at_query), soft.float(), targets, tau)
        total = ntp + id_loss
        return Losses(total, float(ntp.detach()), float(id_loss.detach()))

    def _id_loss(self, h: Tensor, gates: Tensor, soft: Tensor, targets: Targets, tau: float) -> Tensor:
        if self.levels == 0:  # ID only: the catalogue is the one prefix
            logits = h @ soft.T / tau  # (q, n_items)
            candidates = torch.arange(len(soft)).expand(len(h), -1)
        else:
            candidates = self._members[self._prefix_of[targets.item]]  # (q, largest)
            logits = torch.einsum("qd,qcd->qc", h, soft[candidates.clamp(min=0)]) / tau
        safe = candidates.clamp(min=0)
        repeat = targets.repeat[targets.query_at[:, 0]].gather(1, safe)  # (q, candidates)
        logits = logits + gates[:, :1] * repeat + gates[:, 1:] * self._popularity[safe]
        other = (
            (candidates[:, :, None] == targets.also[:, None, :]).any(-1) if self.levels else _mark(candidates.shape, targets.also)
        )
        blocked = (candidates < 0) | other
        blocked &= candidates != targets.item[:, None]
        logits = logits.masked_fill(blocked, float("-inf"))
        answer = (candidates == targets.item[:, None]).int().argmax(1)
        loss = F.cross_entropy(logits, answer, reduction="none")
        return (loss * targets.query_weight).sum() / targets.query_weight.sum()


def _mark(shape: torch.Size, also: Tensor) -> Tensor:
    """(q, n) bool, True at the columns that `also` names."""
    out = torch.zeros(shape[0], shape[1] + 1, dtype=torch.bool)
    out.scatter_(1, torch.where(also >= 0, also, shape[1]), True)
    return out[:, :-1]


def prefix_members(prefixes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Items of each distinct prefix.

    Shape:
        prefixes: (n, ℓ), ℓ may be 0; returns: members (prefixes, largest) int64, -1 padded, and (n,) the prefix row of each item.
    """
    n = len(prefixes)
    if prefixes.shape[1] == 0:
        return np.arange(n, dtype=np.int64)[None], np.zeros(n, np.int64)
    unique, index = np.unique(prefixes, axis=0, return_inverse=True)
    index = index.ravel()
    size = np.bincount(index)
    order = np.argsort(index, kind="stable")
    members = np.full((len(unique), size.max()), -1, np.int64)
    column = np.arange(n) - np.repeat(np.cumsum(size) - size, size)
    members[index[order], column] = order
    return members, index.astype(np.int64)


__all__ = ["QUERY", "START", "Batch", "Losses", "ProjFuse", "SigmaModel", "Targets", "prefix_members"]
