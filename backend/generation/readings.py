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

from backend.generation.logits import item_logits
from backend.model.batch import Batch, Known
from backend.model.instruction import Said
from backend.model.loading import LIKELY
from backend.model.priors import RecordBatch
from backend.model.sigma import SigmaModel


def known_as_heard(model: SigmaModel, batch: Batch, records: RecordBatch, soft: Tensor) -> Known:
    """What is known of a batch under each instruction's likeliest demand."""
    return model.known(replace(batch, said=_meaning(batch.said, batch.said.demand.argmax(1))), records, soft)


def with_other_readings(model: SigmaModel, known: Known, batch: Batch, records: RecordBatch, states: Tensor) -> Known:
    """The same with what the other readings of its instructions add.

    Args:
        known: of `known_as_heard`, for trees of one instruction each.

    Shape:
        states: (trees, dim) hidden states where the first code is emitted.
    """
    heard = batch.said.demand
    top = heard.argmax(1)
    counts = (heard >= LIKELY).scatter(1, top[:, None], True)
    others = [d for d in range(heard.shape[1]) if (counts[:, d] & (top != d)).any()]
    sureness = known.wish.weights[:, :1]
    if not others or not bool((sureness > 0).all()):  # a model without nearness has no place for them
        return known
    share = torch.where(counts, heard, 0.0)
    share = torch.log(share / share.sum(1, keepdim=True))  # -inf where a reading does not count
    own = _log_probs(model, known, states)
    mixed = share.gather(1, top[:, None]) + own
    for d in others:
        meant = replace(known, wish=model.wish(_meaning(batch.said, torch.full_like(top, d)), batch.instructions, records))
        more = share[:, d : d + 1] + _log_probs(model, meant, states)
        mixed = torch.logaddexp(mixed, torch.where((top != d)[:, None], more, float("-inf")))
    nearer = (mixed - own) * model.settings.tau / sureness
    return replace(known, wish=replace(known.wish, named=known.wish.named + nearer))


def _meaning(said: Said, demand: Tensor) -> Said:
    """Instructions that mean one demand each. Shape: demand (n,)"""
    return replace(said, demand=F.one_hot(demand, said.demand.shape[1]).to(said.demand.dtype))


def _log_probs(model: SigmaModel, known: Known, states: Tensor) -> Tensor:
    """log P(i|d) of all items at one state of each tree. Shape: (trees, dim) → (trees, n_items)"""
    return F.log_softmax(torch.cat([item_logits(model, states[tree, None], known, tree) for tree in range(len(states))]), dim=1)
