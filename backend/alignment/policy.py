"""The generator as a policy: the log-probability of every item under both factors, with gradient (S-GRec on SIGMA's three steps).

    log π(v_i | T) = log P(c_k | T) + log P(v_i | c_k, T),    k the prefix of item i

- All prefixes of the catalogue stand behind one prompt as branches of one tree, so a pass gives the whole distribution: it sums to one over
  the catalogue. This is step 3 with plain weights (σ = 1); APF is a way to rank at serving, not a distribution to train.
- What trains is a setting: the small weights behind the decoder (gates, priors, heads), whose hidden states are then computed once and
  kept; or all of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backend.errors import RequestError
from backend.evaluation.cases import Case
from backend.evaluation.components import record_of, tokens_of, with_all_prefixes
from backend.generation.generator import Generator
from backend.generation.logits import asked, item_logits
from backend.generation.readings import known_as_heard, with_other_readings
from backend.model.batch import Batch
from backend.model.priors import RecordBatch

SMALL = ("priors.", "instruction.gates", "code_head.", "query_head.", "taste_map.")  # weights behind the decoder


@dataclass
class Prepared:
    """Contexts of one batch, ready to be asked again and again.

    Shape:
        rows: (trees, 1 + prefixes) where the first code is emitted, and each prefix' `<q>`; hidden: (trees, 1 + prefixes, dim) or None.
    """

    cases: list[Case]
    batch: Batch
    records: RecordBatch
    rows: Tensor
    hidden: Tensor | None = None


class Policy:
    """Log-probabilities of a generator's items.

    Args:
        generator: its model is trained in place; what does not train is frozen.
        scope: "small" trains `SMALL`, "all" everything that trains in the model stage.

    Raises:
        RequestError: a model with more than one prefix level, whose prefixes are too many for one tree.
    """

    def __init__(self, generator: Generator, scope: str = "small") -> None:
        self.generator, self.model = generator, generator.model
        if self.model.levels > 1:
            raise RequestError(
                f"this model writes {self.model.levels} prefix levels",
                "model.prefix_levels",
                "train one with 1 (or 0) for --recipe sgrec",
            )
        self.scope = scope
        self.trained: dict[str, nn.Parameter] = {
            name: parameter
            for name, parameter in self.model.named_parameters()
            if parameter.requires_grad and (scope == "all" or name.startswith(SMALL))
        }
        for name, parameter in self.model.named_parameters():  # what does not train needs no gradient
            parameter.requires_grad_(name in self.trained)
        self.codes = generator.index.last.codes  # (prefixes, ℓ)
        members = generator.index.members
        self._real = torch.from_numpy(members >= 0)
        self._members = torch.from_numpy(np.maximum(members, 0))  # (prefixes, largest)
        with torch.no_grad():
            self._soft = self.model.soft_tokens().float()

    def prepare(self, cases: Sequence[Case]) -> Prepared:
        """Trees of contexts; with the small scope also what the decoder says at them."""
        trees = [tokens_of(self.generator, case) for case in cases]
        rows = [[emit, *queries] for emit, queries in (with_all_prefixes(self.generator, tree) for tree in trees)]
        records = RecordBatch.of([record_of(self.generator, case) for case in cases])
        made = Prepared(list(cases), self.model.collate(trees), records, torch.tensor(rows))
        if self.scope == "small":
            with torch.no_grad():
                made.hidden = self._hidden(made, self._soft)
        return made

    def _hidden(self, prepared: Prepared, soft: Tensor) -> Tensor:
        known = known_as_heard(self.model, prepared.batch, prepared.records, soft)
        hidden = self.model.encode(prepared.batch, known.soft, known.wish.words)
        return hidden.gather(1, prepared.rows[..., None].expand(-1, -1, hidden.shape[-1])).float()

    def log_probs(self, prepared: Prepared) -> tuple[Tensor, Tensor]:
        """log π of every item, and log P of every prefix.

        Shape:
            returns: (trees, n_items), (trees, prefixes).
        """
        model = self.model
        soft = self._soft if self.scope == "small" else model.soft_tokens().float()
        known = known_as_heard(model, prepared.batch, prepared.records, soft)
        hidden = prepared.hidden if prepared.hidden is not None else self._hidden(prepared, soft)
        known = with_other_readings(model, known, prepared.batch, prepared.records, hidden[:, 0])
        inside = known.soft[self._members]  # (prefixes, largest, item_dim)
        items, prefixes = [], []
        for tree, states in enumerate(hidden):
            if model.levels:
                first = model.code_logits(states[:1], 0, item_logits(model, states[:1], known, tree))
                log_phi = F.log_softmax(first, dim=1)[0, torch.from_numpy(self.codes[:, 0])]
            else:
                log_phi = torch.zeros(1)
            h, weights = asked(model, states[1:], known, tree)
            named, terms = known.wish.named[tree][self._members], known.terms[tree][self._members]
            logits = model.item_logits(h, weights, known.wish.share[tree, None], inside, named, terms)
            log_item = F.log_softmax(logits.masked_fill(~self._real, float("-inf")), dim=1)
            both = (log_phi[:, None] + log_item)[self._real]
            items.append(torch.zeros(self.generator.dataset.n_items).scatter(0, self._members[self._real], both))
            prefixes.append(log_phi)
        return torch.stack(items), torch.stack(prefixes)


def rollouts(log_prob: Tensor, log_phi: Tensor, prefix_of: Tensor, size: int, beams: int) -> Tensor:
    """The `size` likeliest items inside the `beams` likeliest prefixes: what the three-step generator would list; unique and valid.

    Shape:
        log_prob: (trees, n_items); log_phi: (trees, prefixes); prefix_of: (n_items,); returns: (trees, ≤ size) item rows, -1 padded.
    """
    kept = torch.zeros_like(log_phi, dtype=torch.bool)
    kept.scatter_(1, log_phi.topk(min(beams, log_phi.shape[1]), dim=1).indices, True)
    inside = torch.where(kept[:, prefix_of], log_prob, float("-inf"))
    best = inside.topk(min(size, inside.shape[1]), dim=1)
    return torch.where(best.values.isfinite(), best.indices, -1)


def with_truth(group: Tensor, log_prob: Tensor, targets: Sequence[np.ndarray]) -> Tensor:
    """Groups without a right answer get their likeliest one in the place of their last rollout (ours; said wherever it is used).

    Shape:
        group: (trees, G); log_prob: (trees, n_items); targets: item rows of each tree.
    """
    out = group.clone()
    for row, wanted in enumerate(targets):
        own = torch.from_numpy(np.asarray(wanted, np.int64))
        if len(own) and not torch.isin(group[row], own).any():
            out[row, -1] = own[log_prob[row, own].argmax()]
    return out
