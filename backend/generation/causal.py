"""A transformers decoder as a model of codes: one prompt, all beams behind its KV cache as branches of one tree.

- The prompt is read once, whatever the number of beams; a step reads one token a beam, each looking at the prompt and its own ancestors. The cache
  is neither copied nor reordered.
- The head is applied to the tokens of the level alone, unless the normaliser over the full vocabulary is wanted.
- The decoder is called itself, never `generate`: the model's own generation settings play no part.
- For decoders whose logits are one linear layer over the last hidden state (Llama, Qwen, SmolLM2, …).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache

from backend.generation.constrained import Logits, NextCode


class CodeDecoder:
    """A causal model and the tokens that stand for codes.

    Args:
        model: a transformers model with a language head.
        tokens: token ids of the codes of each level.
    """

    def __init__(self, model: Any, tokens: Sequence[np.ndarray]) -> None:
        self.model = model.eval()
        device = next(model.parameters()).device
        self.tokens = [torch.as_tensor(np.asarray(level), dtype=torch.long, device=device) for level in tokens]
        head = model.get_output_embeddings()
        self.heads = [
            (head.weight.detach()[level], None if head.bias is None else head.bias.detach()[level]) for level in self.tokens
        ]

    def ask(self, prompt: Tensor, full: bool = True) -> NextCode:
        """The model behind a prompt.

        Args:
            prompt: token ids. Shape: (length,).
            full: also work out the sum over the full vocabulary.
        """
        return _Asked(self, prompt, full)


class _Asked:
    """One request: the cache, and which of its tokens each beam may look at."""

    def __init__(self, decoder: CodeDecoder, prompt: Tensor, full: bool) -> None:
        self.decoder, self.prompt, self.full = decoder, prompt, full
        self.cache = DynamicCache()
        self.seen = torch.ones(1, len(prompt), dtype=torch.bool, device=prompt.device)  # (beams, tokens in the cache)

    @torch.inference_mode()
    def __call__(self, codes: np.ndarray, origin: np.ndarray) -> Logits:
        depth = codes.shape[1]
        hidden = self._prompt() if depth == 0 else self._step(depth, codes[:, -1], origin)
        if not self.full:
            return Logits(torch.nn.functional.linear(hidden, *self.decoder.heads[depth]).float().cpu().numpy())
        # log_softmax is a third of the time of logsumexp
        log_p = torch.log_softmax(self.decoder.model.get_output_embeddings()(hidden).float(), 1)
        return Logits(log_p[:, self.decoder.tokens[depth]].cpu().numpy(), np.zeros(len(hidden), np.float32))

    def _prompt(self) -> Tensor:
        out = self.decoder.model.get_decoder()(input_ids=self.prompt[None], past_key_values=self.cache, use_cache=True)
        return out.last_hidden_state[:, -1]

    def _step(self, depth: int, codes: np.ndarray, origin: np.ndarray) -> Tensor:
        device = self.prompt.device
        tokens = self.decoder.tokens[depth - 1][torch.from_numpy(codes).to(device)]
        beams = len(tokens)
        own = torch.eye(beams, dtype=torch.bool, device=device)
        self.seen = torch.cat([self.seen[torch.from_numpy(origin).to(device)], own], 1)
        dtype = self.decoder.heads[0][0].dtype
        mask = torch.zeros(self.seen.shape, dtype=dtype, device=device).masked_fill_(~self.seen, torch.finfo(dtype).min)
        out = self.decoder.model.get_decoder()(
            input_ids=tokens[None],
            attention_mask=mask[None, None],
            position_ids=torch.full((1, beams), len(self.prompt) + depth - 1, device=device),
            past_key_values=self.cache,
            use_cache=True,
        )
        return out.last_hidden_state[0]
