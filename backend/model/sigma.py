"""The soft-token model: backbone + item tokens + heads + losses (SIGMA §1.2–1.3).

- An item in the prompt is [SID prefix][soft token]. The soft token is Proj&Fuse of frozen store vectors: no vocabulary row,
  no catalogue softmax, cold items welcome.
- Rows for SIDs and special tokens live here, outside the backbone, so they train even when the backbone only has LoRA.
- L_NTP: cross-entropy over the codes of a level (the legal slice; there is no other vocabulary to emit).
- L_ID: at `<q>`, softmax over the items that share the target's prefix, cos/τ.
- Ours: every item has a logit that needs no decoder: what the household's record and popularity say of it (`priors`), how near it is to
  what the instruction says, and whether it is what that asks for at all (`instruction`), weighed as the instruction's demand has it.
- Ours: an item's logit counts at every step. The logit of a code is the log-sum-exp of the logits of the items behind it, plus what the
  decoder's head adds. With a head of zero the hierarchical softmax *is* the flat one over the catalogue, whatever the prefix length;
  training starts there and learns what a prefix knows beyond its items.
- Ours: h starts from the household's taste (its history's soft tokens, weighted) and the instruction's own soft token.
- Ours: how often and how long ago a history item was bought are two small learned rows added to its tokens; meeting space of h
  and ṽ has its own width (`item_dim`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import DynamicCache

from backend.data.history import COUNT_BUCKETS, RECENCY_BUCKETS
from backend.model.backbones import Backbone
from backend.model.batch import Batch, Known, Losses, Targets
from backend.model.fuse import ProjFuse
from backend.model.instruction import Instruction, Listen, Said, Wish, pool_of
from backend.model.priors import Priors, RecordBatch
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
_NOTHING = 1e-30  # what stands behind a code without items


@dataclass
class Asked:
    """What the model says at q states.

    Shape:
        state: (q, dim); h: (q, item_dim); weights: (q, 1 + terms); share: (q, 1); named: (q, n_items); all but the first as `Wish`.
    """

    state: Tensor
    h: Tensor
    weights: Tensor
    share: Tensor
    named: Tensor


class SigmaModel(nn.Module):
    """Backbone, soft item tokens, `<q>`, heads.

    Args:
        backbone: the decoder.
        store: frozen item vectors and SIDs.
        model: ℓ, item_dim, soft_token.
        tokens: codebook size.
        listen: turns instructions into vectors and demands.
    """

    # buffers, exchanged with the catalogue by `set_store`
    _ids: Tensor
    _text: Tensor
    _image: Tensor | None
    _known: Tensor
    _statistics: Tensor
    _trend: Tensor
    _names: Tensor
    _name_of: Tensor
    sids: Tensor
    _members: Tensor
    _prefix_of: Tensor

    def __init__(
        self,
        backbone: Backbone,
        store: ItemStore,
        model: ModelSettings,
        tokens: TokenSettings,
        listen: Listen,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.settings = model
        self.listen = listen
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
        self.query_head = nn.Linear(dim, model.item_dim)
        self.taste_map = nn.Linear(model.item_dim, model.item_dim, bias=False)
        demands = len(listen.tasks)
        self.priors = Priors(store.statistics.shape[1], demands)
        self.instruction = Instruction(store.text.shape[1], listen.sentence_dim, model.item_dim, demands, near=model.soft_token)
        for linear in (self.code_head, self.query_head):  # nothing said beyond the priors yet
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)
        nn.init.orthogonal_(self.item_in.weight)
        nn.init.eye_(self.taste_map.weight)
        self.dropout = nn.Dropout(dropout)
        for embedding in (self.special, self.sid, self.count, self.recency):
            nn.init.normal_(embedding.weight, std=0.05)
        self.set_store(store)

    def set_store(self, store: ItemStore) -> None:
        """Exchange the catalogue (cold items appended); nothing is retrained."""
        self.store = store
        self.layout = Layout(store.sids, self.levels, self.codes, self.settings.soft_token, self.settings.instruction_token)
        # statistics have unit variance, ID vectors unit norm: scaled down so that they do not drown the ID vector
        behaviour = np.concatenate([store.ids, _STATISTICS_SCALE * store.statistics], axis=1)
        self.register_buffer("_ids", torch.from_numpy(behaviour).float(), persistent=False)
        self.register_buffer("_text", torch.from_numpy(np.asarray(store.text)).float(), persistent=False)
        image = None if store.image is None else torch.from_numpy(store.image).float()
        self.register_buffer("_image", image, persistent=False)
        self.register_buffer("_known", torch.from_numpy(np.linalg.norm(store.ids, axis=1) > 0), persistent=False)
        self.register_buffer("_statistics", torch.from_numpy(store.statistics.copy()).float(), persistent=False)
        self.register_buffer("_trend", torch.from_numpy(store.trend.table.copy()).float(), persistent=False)
        self.register_buffer("_names", torch.from_numpy(store.names).float(), persistent=False)
        self.register_buffer("_name_of", torch.from_numpy(store.name_of.astype(np.int64)), persistent=False)
        self.register_buffer("sids", torch.from_numpy(store.sids.astype(np.int64)), persistent=False)
        members, index = prefix_members(store.sids[:, : self.levels])
        self.register_buffer("_members", torch.from_numpy(members), persistent=False)  # (prefixes, largest), -1 padded
        self.register_buffer("_prefix_of", torch.from_numpy(index), persistent=False)  # (n_items,)

    def soft_tokens(self, id_dropout: float = 0.0) -> Tensor:
        """Soft tokens of the whole catalogue. Shape: (n_items, item_dim), unit norm."""
        known = self._known
        if id_dropout:
            known = known & (torch.rand(known.shape) >= id_dropout)
        return self.fuse(self._ids, self._text, self._image, known)

    def collate(self, trees: Sequence[Tokens], demand: Tensor | None = None) -> Batch:
        """Pad trees into a batch and fetch their text features; `demand` of each instruction where it is known, else it is read."""
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
            said=self.listen([text for tree in trees for text in tree.instructions], demand),
            instructions=[len(tree.instructions) for tree in trees],
        )

    def embed(self, batch: Batch, soft: Tensor, words: Tensor) -> Tensor:
        """Embeddings of all tokens, from the soft tokens of items and instructions. Shape: (batch, tokens, dim)."""
        kind, value = batch.kind, batch.value
        out = self.special(torch.where(kind == SPECIAL, value, PAD))  # (batch, tokens, dim)
        sid, item, text = kind == SID, kind == ITEM, kind == TEXT
        out = out.masked_scatter(sid[..., None], self.sid(value[sid]).to(out.dtype))
        if item.any():
            bought = self.count(batch.count[item]) + self.recency(batch.recency[item])
            out = out.masked_scatter(item[..., None], (self.item_in(soft[value[item]]) + bought).to(out.dtype))
        if self.settings.instruction_token:
            instruction = self.item_in(words) + self.special.weight[GROUNDED_ROW]
            out = out.masked_scatter((kind == GROUNDED)[..., None], instruction.to(out.dtype))
        if text.any():
            said = self.backbone.embed_text(batch.features)
            if self.training:  # a word goes missing now and then: no wording may hang on one
                said = said * (torch.rand(len(said), 1) >= self.dropout.p)
            out = out.masked_scatter(text[..., None], said.to(out.dtype))
        return self.dropout(out)

    def encode(self, batch: Batch, soft: Tensor, words: Tensor) -> Tensor:
        """Hidden states of whole trees, without a cache. Shape: (batch, tokens, dim)."""
        mask = torch.from_numpy(tree_mask(batch.branch, batch.leaf, batch.valid))
        return self.backbone(self.embed(batch, soft, words), mask, batch.position)

    def known(self, batch: Batch, records: RecordBatch, soft: Tensor) -> Known:
        """What is known of a batch beside its hidden states."""
        with torch.autocast("cpu", enabled=False):  # logits of 5 and more: bfloat16 would round them
            terms, weights = self.priors(records, self._statistics, self._trend)
            taste = F.normalize(self.taste_map(weights @ soft.float()), dim=-1)  # (trees, item_dim)
        return Known(soft, self.wish(batch.said, batch.instructions, records), terms, taste)

    def wish(self, said: Said, instructions: Sequence[int], records: RecordBatch) -> Wish:
        """What instructions ask for; `instructions` says how many belong to each record."""
        with torch.autocast("cpu", enabled=False):
            pool = pool_of(said, self.listen.tasks, instructions, records.pools, len(self.store))
            return self.instruction(said, self.fuse, self._names, self._name_of, pool)

    def query_vectors(self, hidden: Tensor, taste: Tensor, words: Tensor, pulls: Tensor) -> Tensor:
        """Query vectors h: the household's taste and the instruction's words, as far as its demand lets them, and what the decoder adds.

        Shape:
            hidden: (…, dim); taste, words: (…, item_dim); pulls: (…, 2); returns: (…, item_dim), unit norm.
        """
        h = self.query_head(hidden) + pulls[..., :1] * taste
        return F.normalize(h + pulls[..., 1:] * words if self.settings.instruction_token else h, dim=-1)

    def item_logits(self, h: Tensor, weights: Tensor, share: Tensor, soft: Tensor, named: Tensor, terms: Tensor) -> Tensor:
        """What h, the instruction's names and the priors say of items: sureness · nearness/τ + Σ weight · term.

        Shape:
            h: (q, item_dim); weights: (q, 1 + terms); share: (q, 1); soft: (items, item_dim), or (q, items, item_dim) where each row has its
            own; named: (q or 1, items); terms: (q or 1, items, terms); returns: (q, items).
        """
        cos = (soft @ h[:, :, None])[..., 0] if soft.ndim == 3 else h @ soft.T
        return weights[:, :1] / self.settings.tau * (share * cos + named) + (terms @ weights[:, 1:, None])[..., 0]

    def code_logits(self, hidden: Tensor, level: int, items: Tensor) -> Tensor:
        """Logits of the codes of one level: what the head says, and the log-sum-exp of the items behind each code.

        Shape:
            hidden: (n, dim); items: (n, n_items) logits, -inf where another prefix was taken; returns: (n, codes).
        """
        top = items.detach().amax(1, keepdim=True)
        behind = torch.zeros(len(items), self.codes).index_add(1, self.sids[:, level], torch.exp(items - top))
        head = self.code_head(hidden)[..., level * self.codes : (level + 1) * self.codes]
        return head.float() + torch.log(behind.clamp(min=_NOTHING)) + top

    def _instruction_at(self, batch: Batch, at: Tensor) -> tuple[Tensor, Tensor]:
        """The instruction above each (tree, row), and whether there is one: above the shared prompt there is none.

        Shape:
            at: (q, 2); returns: (q,) row of the batch's instructions, (q, 1) 1 or 0.
        """
        first = torch.cumsum(torch.tensor([0, *batch.instructions[:-1]]), 0)
        tree = at[:, 0]
        branch = torch.from_numpy(batch.branch)[tree, at[:, 1]]
        return first[tree] + (branch - 1).clamp(min=0), (branch > 0)[:, None].float()

    def extend(self, kinds: Tensor, values: Tensor, mask: Tensor, positions: Tensor, cache: DynamicCache) -> Tensor:
        """Hidden states of SID and special tokens appended to a cached prompt.

        Shape:
            kinds, values, positions: (1, query); mask: (1, 1, query, cached + query) bool; returns: (1, query, dim).
        """
        is_sid = (kinds == SID)[..., None]
        embeds = torch.where(is_sid, self.sid(values.where(kinds == SID, 0)), self.special(values.where(kinds == SPECIAL, PAD)))
        return self.backbone(embeds, mask, positions, cache)

    def losses(self, batch: Batch, targets: Targets, id_dropout: float = 0.1) -> Losses:
        """L_NTP + L_ID of a batch of trees (SIGMA §1.3).

        L_NTP averages over instructions (their targets share the weight), L_ID likewise; negatives of L_ID are the items that
        share the target's prefix, less other right answers.
        """
        known = self.known(batch, targets.records, self.soft_tokens(id_dropout))
        hidden = self.encode(batch, known.soft, known.wish.words)
        ntp = id_loss = hidden.sum() * 0.0
        if len(targets.code):
            ntp = self._ntp_loss(hidden, batch, targets, known)
        if self.settings.soft_token and len(targets.item):
            id_loss = self._id_loss(hidden, batch, targets, known)
        return Losses(ntp + id_loss, float(ntp.detach()), float(id_loss.detach()))

    def _asked(self, hidden: Tensor, batch: Batch, known: Known, at: Tensor) -> Asked:
        """What the model says at each (tree, row).

        In the shared prompt (dense supervision) there is no instruction, and taste, names and terms would give the answer away: zero there.

        Shape:
            at: (q, 2).
        """
        state, tree = hidden[at[:, 0], at[:, 1]], at[:, 0]
        row, there = self._instruction_at(batch, at)
        wish = known.wish
        h = self.query_vectors(state, known.taste[tree] * there, wish.words[row] * there, wish.pulls[row]).float()
        weights = torch.cat([wish.weights[row, :1], wish.weights[row, 1:] * there], dim=1)
        return Asked(state, h, weights, wish.share[row], wish.named[row] * there)

    def _ntp_loss(self, hidden: Tensor, batch: Batch, targets: Targets, known: Known) -> Tensor:
        level = targets.code // self.codes
        loss = hidden.sum() * 0.0
        for depth in range(self.levels):
            own = torch.nonzero(level == depth).ravel()
            rows, place = torch.unique(
                targets.code_at[own], dim=0, return_inverse=True
            )  # targets of an instruction share its state
            said = self._asked(hidden, batch, known, rows)
            terms = known.terms[rows[:, 0]]
            items = self.item_logits(said.h, said.weights, said.share, known.soft.float(), said.named, terms)
            if depth:  # all targets behind one state share the prefix before it
                one = torch.zeros(len(rows), dtype=torch.long).scatter(0, place, targets.code_item[own])
                inside = (self.sids[None, :, :depth] == self.sids[one][:, None, :depth]).all(-1)
                items = items.masked_fill(~inside, float("-inf"))
            logits = self.code_logits(said.state, depth, items)[place]
            each = F.cross_entropy(logits, targets.code[own] % self.codes, reduction="none")
            loss = loss + (each * targets.code_weight[own]).sum()
        return loss / targets.code_weight.sum()

    def _id_loss(self, hidden: Tensor, batch: Batch, targets: Targets, known: Known) -> Tensor:
        said = self._asked(hidden, batch, known, targets.query_at)
        candidates = self._members[self._prefix_of[targets.item]]  # (q, largest); with no prefix, the catalogue
        safe = candidates.clamp(min=0)
        terms = known.terms[targets.query_at[:, :1], safe]  # (q, largest, terms)
        named = said.named.gather(1, safe)
        logits = self.item_logits(said.h, said.weights, said.share, known.soft.float()[safe], named, terms)
        other = _among(candidates, targets.also, len(known.soft))
        blocked = (candidates < 0) | other
        blocked &= candidates != targets.item[:, None]
        logits = logits.masked_fill(blocked, float("-inf"))
        answer = (candidates == targets.item[:, None]).int().argmax(1)
        loss = F.cross_entropy(logits, answer, reduction="none")
        return (loss * targets.query_weight).sum() / targets.query_weight.sum()


def _among(candidates: Tensor, also: Tensor, n_items: int) -> Tensor:
    """Which candidates are other right answers. Shape: candidates (q, c), -1 padded; also (q, a), -1 padded → (q, c) bool."""
    marked = torch.zeros(len(also), n_items + 1, dtype=torch.bool)
    marked.scatter_(1, torch.where(also >= 0, also, n_items), True)
    marked[:, n_items] = False
    return marked.gather(1, torch.where(candidates >= 0, candidates, n_items))
