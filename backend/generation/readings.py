"""An instruction that may be meant in several ways: its demands mix as distributions over items, not as gates (ours).

    P(i|T) = Σ_d P(d|T) · P(i|T, d)

- The model is trained with the demand given, so the ranking runs on the likeliest demand alone. What the others add is a logit of each item,
  δ_i = log Σ_d P(d) P(i|d) − log P(i|d*): nought where the text is clear, never below log P(d*), large for what another reading wants and
  the likeliest one would not list. Mixing the gates instead made a tenth of "nothing that is bought every week" bend every logit.
- P(i|d) is the flat softmax over the catalogue at the state that emits the first code: there it is known before any prefix is taken.
- δ enters as nearness, which every step reads already: the prefixes, the items inside them, stored components, policies.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from backend.model.batch import Batch, Known
from backend.model.priors import RecordBatch
from backend.model.sigma import SigmaModel

LIKELY = 0.05  # probability from which a reading counts


def known_as_heard(model: SigmaModel, batch: Batch, records: RecordBatch, soft: Tensor) -> Known:
    """What is known of a batch under each instruction's likeliest demand."""
    return model.known(_meaning(batch, batch.said.demand.argmax(1)), records, soft)


def with_other_readings(model: SigmaModel, known: Known, batch: Batch, records: RecordBatch, states: Tensor) -> Known:
    """The same with what the other readings of its instructions add.

    Args:
        known: of `known_as_heard`, for trees of one instruction each.

    Shape:
        states: (trees, dim) hidden states where the first code is emitted.
    """
    heard = batch.said.demand
    top = heard.argmax(1)
    others = [d for d in range(heard.shape[1]) if ((heard[:, d] >= LIKELY) & (top != d)).any()]
    sureness = known.wish.weights[:, :1]
    if not others or not bool((sureness > 0).all()):  # a model without nearness has no place for them
        return known
    own = _log_probs(model, known, states)
    share = torch.where(heard >= LIKELY, heard, 0.0).scatter(1, top[:, None], heard.gather(1, top[:, None]))
    share = torch.log(share / share.sum(1, keepdim=True))  # -inf where a reading does not count
    mixed = share.gather(1, top[:, None]) + own
    for d in others:
        meant = model.known(_meaning(batch, torch.where(heard[:, d] >= LIKELY, d, top)), records, known.soft)
        counts = (share[:, d : d + 1] > float("-inf")) & (top != d)[:, None]
        more = torch.where(counts, share[:, d : d + 1] + _log_probs(model, meant, states), float("-inf"))
        mixed = torch.logaddexp(mixed, more)
    nearer = (mixed - own) * model.settings.tau / sureness
    return replace(known, wish=replace(known.wish, named=known.wish.named + nearer))


def _meaning(batch: Batch, demand: Tensor) -> Batch:
    """A batch whose instructions mean one demand each. Shape: demand (instructions,)"""
    one = F.one_hot(demand, batch.said.demand.shape[1]).to(batch.said.demand.dtype)
    return replace(batch, said=replace(batch.said, demand=one))


def _log_probs(model: SigmaModel, known: Known, states: Tensor) -> Tensor:
    """log P(i|d) of all items at one state of each tree. Shape: (trees, dim) → (trees, n_items)"""
    wish = known.wish
    h = model.query_vectors(states, known.taste, wish.words, wish.pulls).float()
    return F.log_softmax(model.item_logits(h, wish.weights, wish.share, known.soft, wish.named, known.terms), dim=1)
