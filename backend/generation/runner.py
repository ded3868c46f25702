"""Prompts through the backbone: once each, everything else behind their KV cache.

- The K prefixes are branches of one tree behind the same cache, so they need neither copies of the cache nor K forward passes.
- What depends on the prompt alone (cache, code logits, h_k of prefixes met so far) is kept for the last few prompts: moving a filter or a
  weight, or forcing a prefix, re-runs only what depends on it.
- One thread at a time, step by step: sessions take turns while somebody draws.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache

from backend.generation.shopper import Shopper
from backend.model.examples import profile_line
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
    words: Tensor | None  # (1, item_dim) soft token of the instruction
    code_logits: dict[tuple[int, ...], np.ndarray] = field(default_factory=dict)  # prefix → (codes,)
    queries: dict[tuple[int, ...], np.ndarray] = field(default_factory=dict)  # prefix → h_k (item_dim,) and two prior weights


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
        self._lock = threading.RLock()

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
    def prompt_state(self, tokens: Tokens) -> PromptState:
        """Run a prompt through the backbone, or take it from the last few."""
        key = (
            tuple(tokens.value),
            tuple(tokens.kind),
            tuple(tokens.texts),
            tuple(tokens.grounded),
            tuple(tokens.count),
            tuple(tokens.recency),
        )
        if key in self._states:
            self._states.move_to_end(key)
            return self._states[key]
        batch = self.model.collate([tokens])
        n = len(tokens)
        cache = DynamicCache()
        mask = torch.ones(1, 1, n, n, dtype=torch.bool).tril()
        words = self.model.words(batch)
        hidden = self.model.backbone(self.model.embed(batch, self.soft_tensor, words), mask, batch.position, cache)
        state = PromptState(cache, n, int(batch.position.max()) + 1, hidden[:, -1], words)
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
    def code_log_probs(self, state: PromptState, prefixes: np.ndarray, prior: np.ndarray | None = None) -> np.ndarray:
        """Log-probabilities of the next code behind each prefix.

        Shape:
            prefixes: (beams, t); prior: (codes,) logits added to the first code; returns: (beams, codes).
        """
        keys = [tuple(prefix) for prefix in prefixes.tolist()]
        missing = [key for key in keys if key not in state.code_logits]
        if missing:
            hidden = state.last if not missing[0] else self._behind(state, [self._path(key) for key in missing])
            logits = self.model.code_logits(hidden, len(missing[0])).float().numpy()
            state.code_logits.update(zip(missing, logits, strict=True))
        table = np.stack([state.code_logits[key] for key in keys])
        return log_softmax(table if prior is None or prefixes.shape[1] else table + prior)

    @_exclusive
    @torch.inference_mode()
    def prefix_prior(self, state: PromptState, repeat: np.ndarray) -> np.ndarray:
        """Logits that the repeat prior adds to the first code. Shape: (n_items,) → (codes,)."""
        return self.model.prefix_prior(state.last, torch.from_numpy(repeat).float()[None]).numpy()[0]

    @_exclusive
    @torch.inference_mode()
    def queries(self, state: PromptState, prefixes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Query vectors h_k behind each prefix, and the weights of the two item priors there. Shape: (K, ℓ) → (K, item_dim), (K, 2)."""
        keys = [tuple(prefix) for prefix in prefixes.tolist()]
        missing = [key for key in keys if key not in state.queries]
        if missing:
            hidden = self._behind(state, [[*self._path(key), (SPECIAL, QUERY)] for key in missing])
            h = self.model.query_vectors(hidden, state.words).float()
            both = torch.cat([h, self.model.item_priors(hidden)], dim=1).numpy()
            state.queries.update(zip(missing, both, strict=True))
        both = np.stack([state.queries[key] for key in keys])
        return both[:, :-2], both[:, -2:]

    def _path(self, codes: tuple[int, ...]) -> list[tuple[int, int]]:
        return [(SID, level * self.model.codes + code) for level, code in enumerate(codes)]


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Along the last axis."""
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
