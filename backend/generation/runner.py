"""Prompts through the backbone: once each, everything else behind their KV cache.

- The K prefixes are branches of one tree behind the same cache, so they need neither copies of the cache nor K forward passes.
- What depends on the prompt alone (cache, code logits, h_k of prefixes met so far) is kept for the last few prompts: moving a filter or a
  weight, or forcing a prefix, re-runs only what depends on it.
- One thread at a time, step by step: sessions take turns while somebody draws.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache

from backend.data.record import Record
from backend.generation.logits import asked, first_code, item_logits, log_softmax
from backend.generation.readings import known_as_heard, with_other_readings
from backend.generation.shopper import Shopper
from backend.generation.turns import Turns
from backend.model.batch import Known
from backend.model.examples import profile_line
from backend.model.priors import RecordBatch
from backend.model.prompt import QUERY, SID, SPECIAL, Tokens
from backend.model.sigma import SigmaModel

_PROMPTS_KEPT = 8


def _exclusive(method: Callable[..., Any]) -> Callable[..., Any]:
    """One thread at a time in the model: a prompt's cache grows and shrinks while it is used."""

    @wraps(method)
    def locked(self: Runner, *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            return method(self, *args, **kwargs)

    return locked


@dataclass
class PromptState:
    """A prompt after the backbone: KV cache, last hidden state, and what has been computed behind it so far."""

    cache: DynamicCache
    length: int  # tokens
    position: int  # of the first token behind the prompt
    last: Tensor  # (1, dim)
    known: Known  # what is known beside the hidden states
    demand: dict[str, float]  # how the instruction is heard: probability of each task
    pools: dict[str, int]  # items that belong to what is asked, of each task whose pool is known
    code_logits: dict[tuple[int, ...], np.ndarray] = field(default_factory=dict)  # prefix → (codes,)
    repeat_share: np.ndarray | None = None  # (codes,) what the repeat prior adds to the logits of the first code
    queries: dict[tuple[int, ...], np.ndarray] = field(default_factory=dict)  # prefix → h_k (item_dim,) and its weights


class Runner:
    """The model, ready to be asked.

    Attributes:
        soft: soft tokens of the catalogue. Shape: (n_items, item_dim), unit norm.
    """

    def __init__(self, model: SigmaModel) -> None:
        self.model = model.eval()
        with torch.inference_mode():
            self.soft_tensor = model.soft_tokens().float()
        self.soft = self.soft_tensor.numpy()
        self._states: OrderedDict[Any, PromptState] = OrderedDict()
        self._lock = Turns()

    def tokens(self, shopper: Shopper, instruction: str) -> Tokens:
        """The prompt's tokens, instruction included."""
        layout, backbone = self.model.layout, self.model.backbone
        profile = profile_line(shopper.profile)
        history = shopper.history.salient(self.model.settings.history_items)
        tokens, position = layout.prompt(profile, len(backbone.features([profile])[0]), history)
        layout.instruction(tokens, instruction, len(backbone.features([instruction])[0]), 0, position)
        return tokens

    @_exclusive
    @torch.inference_mode()
    def prompt_state(self, tokens: Tokens, record: Record) -> PromptState:
        """Run a prompt of a household with this record through the backbone, or take it from the last few."""
        key = (
            tuple(tokens.value),
            tuple(tokens.kind),
            tuple(tokens.texts),
            tuple(tokens.instructions),
            tuple(tokens.count),
            tuple(tokens.recency),
            record.own.tobytes(),
            record.items.tobytes(),
            None if record.deals is None else record.deals.tobytes(),
        )
        if key in self._states:
            self._states.move_to_end(key)
            return self._states[key]
        batch = self.model.collate([tokens])
        n = len(tokens)
        cache = DynamicCache()
        mask = torch.ones(1, 1, n, n, dtype=torch.bool).tril()
        records = RecordBatch.of([record])
        known = known_as_heard(self.model, batch, records, self.soft_tensor)
        hidden = self.model.backbone(self.model.embed(batch, known.soft, known.wish.words), mask, batch.position, cache)
        known = with_other_readings(self.model, known, batch, records, hidden[:, -1])
        demand = dict(zip(self.model.listen.tasks, batch.said.demand[0].tolist(), strict=True))
        pools = {task: int(pool.sum()) for task, pool in batch.said.pools[0].items()}
        pools |= {task: int(own[0].sum()) for task, own in records.pools.items()}
        state = PromptState(cache, n, int(batch.position.max()) + 1, hidden[:, -1], known, demand, pools)
        self._states[key] = state
        while len(self._states) > _PROMPTS_KEPT:
            self._states.popitem(last=False)
        return state

    def _behind(self, state: PromptState, paths: list[list[tuple[int, int]]]) -> Tensor:
        """Hidden states of the last token of each path of (kind, value) tokens, all behind the same prompt.

        Shape:
            returns: (paths, dim).
        """
        length = len(paths[0])
        flat = torch.tensor([token for path in paths for token in path]).reshape(1, -1, 2)
        position = (state.position + torch.arange(length)).repeat(len(paths))[None]
        own = torch.block_diag(*[torch.ones(length, length).tril()] * len(paths)).bool()
        mask = torch.cat([torch.ones(len(own), state.length, dtype=torch.bool), own], dim=1)[None, None]
        hidden = self.model.extend(flat[..., 0], flat[..., 1], mask, position, state.cache)
        state.cache.crop(-len(own))  # negative: how many to remove
        return hidden[0, length - 1 :: length]

    @_exclusive
    @torch.inference_mode()
    def code_log_probs(self, state: PromptState, prefixes: np.ndarray, repeat_weight: float = 1.0) -> np.ndarray:
        """Log-probabilities of the next code behind each prefix.

        Args:
            repeat_weight: factor on what the repeat prior adds to the logits of the first code; deeper codes keep theirs.

        Shape:
            prefixes: (beams, t); returns: (beams, codes).
        """
        if not prefixes.shape[1]:
            logits, share = self.first_code(state)
            return log_softmax(logits + repeat_weight * share)[None].repeat(len(prefixes), 0)
        keys = [tuple(prefix) for prefix in prefixes.tolist()]
        missing = [key for key in keys if key not in state.code_logits]
        if missing:
            hidden = self._behind(state, [self._path(key) for key in missing])
            items = item_logits(self.model, hidden, state.known, 0)
            taken = torch.tensor(missing)
            inside = (self.model.sids[None, :, : taken.shape[1]] == taken[:, None]).all(-1)  # (missing, n_items)
            logits = self.model.code_logits(hidden, taken.shape[1], items.masked_fill(~inside, float("-inf")))
            state.code_logits.update(zip(missing, logits.numpy(), strict=True))
        return log_softmax(np.stack([state.code_logits[key] for key in keys]))

    @_exclusive
    @torch.inference_mode()
    def first_code(self, state: PromptState) -> tuple[np.ndarray, np.ndarray]:
        """Logits of the first code without the repeat prior, and what the prior adds. Shape: (codes,), (codes,)."""
        if state.repeat_share is None:
            logits, state.repeat_share = (each[0] for each in first_code(self.model, state.last, state.known, 0))
            state.code_logits[()] = logits
        return state.code_logits[()], state.repeat_share

    @_exclusive
    @torch.inference_mode()
    def queries(self, state: PromptState, prefixes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Query vectors h_k behind each prefix, and the weights there. Shape: (K, ℓ) → (K, item_dim), (K, 1 + terms)."""
        keys = [tuple(prefix) for prefix in prefixes.tolist()]
        missing = [key for key in keys if key not in state.queries]
        if missing:
            hidden = self._behind(state, [[*self._path(key), (SPECIAL, QUERY)] for key in missing])
            both = torch.cat(asked(self.model, hidden, state.known, 0), dim=1).numpy()
            state.queries.update(zip(missing, both, strict=True))
        both = np.stack([state.queries[key] for key in keys])
        return both[:, : self.soft.shape[1]], both[:, self.soft.shape[1] :]

    def _path(self, codes: tuple[int, ...]) -> list[tuple[int, int]]:
        return [(SID, level * self.model.codes + code) for level, code in enumerate(codes)]
