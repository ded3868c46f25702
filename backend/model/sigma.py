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

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import DynamicCache

from backend.data.history import COUNT_BUCKETS, RECENCY_BUCKETS
from backend.model.backbones import Backbone
from backend.model.batch import Batch, Losses, Targets
from backend.model.fuse import ProjFuse
from backend.model.prompt import (
    GROUNDED,
    GROUNDED_ROW,
    ITEM,
    N_SPECIAL,
    PAD,
    SID,
    SPECIAL,
    TEXT,
    Layout,
    Tokens,
    tree_mask,
)
from backend.settings import ModelSettings, TokenSettings
from backend.tokenization.item_store import ItemStore
from backend.tokenization.prefixes import prefix_members

_STATISTICS_SCALE = 0.2
_GATE_SPEED = 4.0  # gates are a few scalars that have far to go; Adam moves each weight by at most the learning rate a step


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
        # added to the transpose of item_in: copying an item is there from the start
        self.query_head = nn.Linear(dim, model.item_dim)
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

    def embed(self, batch: Batch, soft: Tensor, words: Tensor | None) -> Tensor:
        """Embeddings of all tokens, from the soft tokens of items and instructions. Shape: (batch, tokens, dim)."""
        kind, value = batch.kind, batch.value
        out = self.special(torch.where(kind == SPECIAL, value, PAD))  # (batch, tokens, dim)
        sid, item, text = kind == SID, kind == ITEM, kind == TEXT
        out = out.masked_scatter(sid[..., None], self.sid(value[sid]).to(out.dtype))
        if item.any():
            bought = self.count(batch.count[item]) + self.recency(batch.recency[item])
            out = out.masked_scatter(item[..., None], (self.item_in(soft[value[item]]) + bought).to(out.dtype))
        if words is not None:
            instruction = self.item_in(words) + self.special.weight[GROUNDED_ROW]
            out = out.masked_scatter((kind == GROUNDED)[..., None], instruction.to(out.dtype))
        if text.any():
            out = out.masked_scatter(text[..., None], self.backbone.embed_text(batch.features).to(out.dtype))
        return self.dropout(out)

    def encode(self, batch: Batch, soft: Tensor, words: Tensor | None) -> Tensor:
        """Hidden states of whole trees, without a cache. `words`: what `self.words(batch)` gives. Shape: (batch, tokens, dim)."""
        mask = torch.from_numpy(tree_mask(batch.branch, batch.leaf, batch.valid))
        return self.backbone(self.embed(batch, soft, words), mask, batch.position)

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

    def words(self, batch: Batch) -> Tensor | None:
        """Soft tokens of a batch's instructions, as of items that have nothing but this text. Shape: (instructions, item_dim)."""
        return None if batch.grounded is None or not len(batch.grounded) else self.fuse.of_text(batch.grounded)

    def _words_at(self, batch: Batch, words: Tensor | None, at: Tensor) -> Tensor | None:
        """The soft token of the instruction above each (tree, row); zero in the shared prompt, above which there is none.

        Shape:
            words: (instructions, item_dim); at: (q, 2); returns: (q, item_dim).
        """
        if words is None:
            return None
        first = torch.cumsum(torch.tensor([0, *batch.instructions[:-1]]), 0)
        tree = at[:, 0]
        branch = torch.from_numpy(batch.branch)[tree, at[:, 1]]
        return words[first[tree] + (branch - 1).clamp(min=0)] * (branch > 0)[:, None]

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
        soft, words = self.soft_tokens(id_dropout), self.words(batch)
        hidden = self.encode(batch, soft, words)
        ntp = id_loss = hidden.sum() * 0.0
        if len(targets.code):
            ntp = self._ntp_loss(hidden, batch, targets)
        if self.settings.soft_token and len(targets.item):
            at_query = hidden[targets.query_at[:, 0], targets.query_at[:, 1]]
            h = self.query_vectors(at_query, self._words_at(batch, words, targets.query_at)).float()  # (q, item_dim)
            repeat = self._repeat_at(batch, targets, targets.query_at)
            id_loss = self._id_loss(h, self.item_priors(at_query), repeat, soft.float(), targets, tau)
        return Losses(ntp + id_loss, float(ntp.detach()), float(id_loss.detach()))

    def _repeat_at(self, batch: Batch, targets: Targets, at: Tensor) -> Tensor:
        """The repeat prior at each (tree, row); zero in the shared prompt, whose own items it would give away. Shape: (q, n_items)."""
        branch = torch.from_numpy(batch.branch)[at[:, 0], at[:, 1]]
        return targets.repeat[at[:, 0]] * (branch > 0)[:, None]

    def _ntp_loss(self, hidden: Tensor, batch: Batch, targets: Targets) -> Tensor:
        logits = self.code_head(hidden[targets.code_at[:, 0], targets.code_at[:, 1]]).float()  # (c, levels * codes)
        level = targets.code // self.codes
        root = torch.nonzero(level == 0).ravel()
        at = targets.code_at[root]
        prior = self.prefix_prior(hidden[at[:, 0], at[:, 1]], self._repeat_at(batch, targets, at))
        logits = logits.index_put((root[:, None], torch.arange(self.codes)[None]), prior, accumulate=True)
        own = torch.arange(logits.shape[1]) // self.codes == level[:, None]
        loss = F.cross_entropy(logits.masked_fill(~own, float("-inf")), targets.code, reduction="none")
        return (loss * targets.code_weight).sum() / targets.code_weight.sum()

    def _id_loss(self, h: Tensor, gates: Tensor, repeat: Tensor, soft: Tensor, targets: Targets, tau: float) -> Tensor:
        if self.levels == 0:  # ID only: the catalogue is the one prefix
            logits = h @ soft.T / tau  # (q, n_items)
            candidates = torch.arange(len(soft)).expand(len(h), -1)
        else:
            candidates = self._members[self._prefix_of[targets.item]]  # (q, largest)
            logits = torch.einsum("qd,qcd->qc", h, soft[candidates.clamp(min=0)]) / tau
        safe = candidates.clamp(min=0)
        logits = logits + gates[:, :1] * repeat.gather(1, safe) + gates[:, 1:] * self._popularity[safe]
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
