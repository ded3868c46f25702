"""The trie as a Hugging Face `LogitsProcessor`, for those who decode with `transformers.generate`.

- On a CPU the step is numpy's, on a GPU that of `TensorTrie`.
- Stateless: the node of each beam is walked to from the tokens generated so far, so beams may be reordered as `generate` likes.
- `generate` normalises before its processors, so scores are those of the normaliser *full* (see `constrained`).
- `generate` fills every setting that is not given with the model's own (`top_k`, `top_p`, `repetition_penalty` …), also where a generation config is
  passed; an instruct model's settings then prune a beam of 50 to a few. `own_settings` keeps them out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from backend.errors import RequestError
from backend.generation.constrained import Found
from backend.tokenization.trie import NodeMask, Trie
from backend.tokenization.trie_torch import TensorTrie


class TrieLogitsProcessor(LogitsProcessor):
    """Lets through what continues a SID of the catalogue.

    Args:
        trie: the catalogue.
        tokens: token ids of the codes of each level.
        vocabulary: tokens of the model.
        prompt_length: tokens of the (padded) prompt.
        mask: what filters leave.
        end: the only token let through behind a whole SID; None = all are.
        device: of the scores.
    """

    def __init__(
        self,
        trie: Trie,
        tokens: Sequence[np.ndarray],
        vocabulary: int,
        prompt_length: int,
        mask: NodeMask | None = None,
        end: int | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.trie, self.prompt_length, self.end, self.mask = trie, prompt_length, end, mask
        self.tensors = None if torch.device(device).type == "cpu" else TensorTrie(trie, device)
        self.tensor_mask = None if self.tensors is None or mask is None else self.tensors.mask(mask)
        self.tokens = [torch.as_tensor(np.asarray(level), dtype=torch.long, device=device) for level in tokens]
        self.code_of = torch.full((len(tokens), vocabulary), -1, device=device)
        for level, own in enumerate(self.tokens):
            self.code_of[level, own] = torch.arange(len(own), device=device)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores with −inf for what is illegal.

        Shape:
            input_ids: (batch · beams, length); scores: (batch · beams, vocabulary).
        """
        made = input_ids[:, self.prompt_length :]
        depth = made.shape[1]
        out = torch.full_like(scores, -torch.inf)
        if depth >= len(self.tokens):
            if self.end is None:
                return scores
            out[:, self.end] = scores[:, self.end]
            return out
        codes = torch.stack([self.code_of[level, made[:, level]] for level in range(depth)], 1) if depth else made
        own = self.tokens[depth]
        out[:, own] = self._legal(depth, codes, scores[:, own])
        return out

    def _legal(self, depth: int, codes: Tensor, logits: Tensor) -> Tensor:
        """Logits of a level with −inf for what is illegal. Shape: codes (beams, depth); logits and result (beams, codes of the level)."""
        if self.tensors is not None:
            return self.tensors.full(depth, self.tensors.walk(codes), logits, self.tensor_mask)
        nodes = self.trie.walk(codes.numpy())
        return torch.from_numpy(self.trie.full(depth, nodes, logits.float().numpy(), self.mask)).to(logits.dtype)


@contextmanager
def own_settings(model: Any) -> Iterator[None]:
    """A model without generation settings of its own, for the time of a block."""
    before = model.generation_config
    model.generation_config = GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = before


@torch.inference_mode()
def generate_sids(
    model: Any,
    prompt: Tensor,
    trie: Trie,
    tokens: Sequence[np.ndarray],
    beams: int,
    processor: LogitsProcessor | None,
    **settings: Any,
) -> Found:
    """Beam search by `transformers.generate`, under settings of ours alone.

    Args:
        prompt: token ids. Shape: (length,).
        processor: the constraint; None = none but `settings` (`prefix_allowed_tokens_fn=…`).

    Returns:
        the SIDs; one with a token that stands for no code of its level has code −1 there and leaf −1.

    Raises:
        RequestError: fewer than two beams, which `generate` does not search.
    """
    if beams < 2:
        raise RequestError(f"{beams} is no number of beams for `generate`", mend="ask for two at least")
    config = GenerationConfig(
        max_new_tokens=trie.depth, num_beams=beams, num_return_sequences=beams, do_sample=False,
        length_penalty=0.0, return_dict_in_generate=True, output_scores=True, pad_token_id=0, use_cache=True,
    )  # fmt: skip
    with own_settings(model):
        out = model.generate(
            prompt[None], attention_mask=torch.ones_like(prompt)[None], generation_config=config,
            logits_processor=LogitsProcessorList([] if processor is None else [processor]), **settings,
        )  # fmt: skip
    made = out.sequences[:, len(prompt) :].cpu().numpy()
    codes = np.full(made.shape, -1, np.int64)
    for level, own in enumerate(tokens):
        order = np.argsort(own)
        place = np.searchsorted(own, made[:, level], sorter=order).clip(max=len(own) - 1)
        found = order[place]
        codes[:, level] = np.where(np.asarray(own)[found] == made[:, level], found, -1)
    log_p = out.sequences_scores.cpu().numpy()
    alive = log_p > -1e8  # `generate` fills up with beams of −1e9 where there are fewer than asked for
    return Found(codes[alive], trie.walk(codes[alive]), log_p[alive])
