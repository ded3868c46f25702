"""The decoder of the recipe `jd`: a plain causal language model whose vocabulary also holds the tokens of items.

    L = L_next + L_align,   L_next = -Σ_t log P(c_t | prompt, c_<t) over full semantic IDs,   L_align likewise of title → SID and SID → title

- `nano` is a small Llama from scratch with one matrix for input and output rows. Anything else is a pretrained model under LoRA whose
  new rows train in full beside it (peft's `trainable_token_indices`): new rows that stay frozen under LoRA stall the loss.
- The targets of a prompt are packed behind it as branches of one tree: each sees the prompt and itself, never the others. A test proves that a packed
  target has the loss that it has alone.
- A row whose branches share nothing packs the short samples of the alignment tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from backend.model.backbones import LORA_TARGETS, cut_layers, load_pretrained
from backend.model.batch import Losses
from backend.model.item_words import ItemWords
from backend.settings import JdSettings
from backend.tokenization.representations import Representation

_START_STD = 0.04  # of nano's weights; in half as wide rows a copied token would hardly be heard at the output


@dataclass
class Row:
    """One line of tokens before padding, with what is asked at each of its places.

    `branch` 0 is seen by all branches; `asked` holds (place, token that follows, weight, of an alignment task).
    """

    ids: list[int] = field(default_factory=list)
    branch: list[int] = field(default_factory=list)
    position: list[int] = field(default_factory=list)
    asked: list[tuple[int, int, float, bool]] = field(default_factory=list)

    def shared(self, ids: Sequence[int]) -> None:
        """A prompt that all branches see."""
        self._put(ids, 0, 0)

    def dense(self, places: Sequence[tuple[int, int]]) -> None:
        """The tokens of the prompt's items behind their first, from those before; together they weigh as much as the targets."""
        total = sum(stop - start - 1 for start, stop in places)
        for start, stop in places:
            self.asked += [
                (place - 1, self.ids[place], (stop - start) / max(total, 1), False) for place in range(start + 1, stop)
            ]

    def target(self, answer: Sequence[int], weight: float) -> None:
        """An answer to the shared prompt, as a branch of its own."""
        prompt = self.branch.count(0)
        first = len(self.ids)
        self._put(answer[:-1], self._next_branch(), prompt)
        places = [prompt - 1, *range(first, len(self.ids))]
        self.asked += [(place, token, weight, False) for place, token in zip(places, answer, strict=True)]

    def sample(self, prompt: Sequence[int], answer: Sequence[int]) -> None:
        """A prompt with its answer that shares nothing with the rest of the line."""
        first = len(self.ids)
        self._put([*prompt, *answer[:-1]], self._next_branch(), 0)
        self.asked += [(first + len(prompt) - 1 + step, token, 1.0, True) for step, token in enumerate(answer)]

    def _next_branch(self) -> int:
        return max(self.branch, default=0) + 1

    def _put(self, ids: Sequence[int], branch: int, position: int) -> None:
        self.ids += ids
        self.branch += [branch] * len(ids)
        self.position += range(position, position + len(ids))


@dataclass
class Lines:
    """Rows of a batch, padded.

    Shape:
        ids, position: (rows, length) int64; mask: (rows, 1, length, length) bool, True = may look.
    """

    ids: Tensor
    position: Tensor
    mask: Tensor


@dataclass
class Asked:
    """What is supervised.

    Shape:
        at: (m, 2) row and place; token: (m,) what follows there; weight: (m,); aligned: (m,) bool.
    """

    at: Tensor
    token: Tensor
    weight: Tensor
    aligned: Tensor


def collate(rows: Sequence[Row]) -> tuple[Lines, Asked]:
    """Rows as one batch."""
    length = max(len(row.ids) for row in rows)
    ids, branch, position = (np.full((len(rows), length), blank, np.int64) for blank in (0, -1, 0))
    for place, row in enumerate(rows):
        own = slice(len(row.ids))
        ids[place, own], branch[place, own], position[place, own] = row.ids, row.branch, row.position
    other, mine = branch[:, None, :], branch[:, :, None]
    seen = ((other == 0) | (other == mine)) & np.tri(length, dtype=bool)  # (rows, length, length)
    asked = [(place, *one) for place, row in enumerate(rows) for one in row.asked]
    at, token, weight, aligned = (
        torch.tensor([list(one[:2]) for one in asked]), torch.tensor([one[2] for one in asked]),
        torch.tensor([one[3] for one in asked]), torch.tensor([one[4] for one in asked]),
    )  # fmt: skip
    lines = Lines(torch.from_numpy(ids), torch.from_numpy(position), torch.from_numpy(seen[:, None]))
    return lines, Asked(at, token, weight, aligned)


class FullSidModel(nn.Module):
    """The causal language model over text and items.

    Args:
        causal: a transformers model with a language head over `words.size` tokens, bare or under peft.
    """

    def __init__(self, causal: Any, words: ItemWords) -> None:
        super().__init__()
        self.causal, self.words = causal, words

    @property
    def base(self) -> Any:
        """The transformers model itself; where it is under LoRA its layers are adapted in place."""
        return self.causal.get_base_model() if hasattr(self.causal, "peft_config") else self.causal

    def plain(self) -> Any:
        """The transformers model for inference, LoRA and new rows merged into it."""
        merged = self.causal.merge_and_unload() if hasattr(self.causal, "peft_config") else self.causal
        return merged.eval()

    def hidden(self, lines: Lines) -> Tensor:
        """Hidden states. Shape: (rows, length, dim)."""
        dtype = next(self.causal.parameters()).dtype
        additive = torch.zeros(lines.mask.shape, dtype=dtype).masked_fill(~lines.mask, torch.finfo(dtype).min)
        out = self.base.get_decoder()(
            input_ids=lines.ids, attention_mask=additive, position_ids=lines.position, use_cache=False
        )  # fmt: skip
        hidden: Tensor = out.last_hidden_state
        return hidden

    def each(self, lines: Lines, asked: Asked) -> Tensor:
        """-log P of every token that is asked for. Shape: (m,)."""
        places, back = torch.unique(asked.at, dim=0, return_inverse=True)  # targets of a prompt share its last state
        state = self.hidden(lines)[places[:, 0], places[:, 1]]
        log_p = torch.log_softmax(self.base.get_output_embeddings()(state).float(), -1)
        return -log_p[back, asked.token]

    def losses(self, lines: Lines, asked: Asked) -> Losses:
        """L_next + L_align; `ntp` and `id` of the result are the two of them."""
        each = self.each(lines, asked)
        weight = asked.weight.to(each)
        parts = [(each * weight * own).sum() / (weight * own).sum().clamp(min=1e-9) for own in (~asked.aligned, asked.aligned)]
        return Losses(parts[0] + parts[1], float(parts[0].detach()), float(parts[1].detach()))


def new_nano(settings: JdSettings, words: ItemWords) -> FullSidModel:
    """A small Llama from scratch."""
    config = LlamaConfig(
        vocab_size=words.size, hidden_size=settings.hidden, intermediate_size=int(settings.hidden * 2.75),
        num_hidden_layers=settings.layers or 3, num_attention_heads=settings.heads, num_key_value_heads=settings.heads,
        max_position_embeddings=2048, tie_word_embeddings=True, initializer_range=_START_STD, pad_token_id=None, bos_token_id=None,
        eos_token_id=None,
    )  # fmt: skip
    return FullSidModel(LlamaForCausalLM(config), words)


def under_lora(causal: Any, settings: JdSettings, words: ItemWords) -> FullSidModel:
    """A pretrained causal model with new rows that train in full; everything else of it stays frozen under LoRA."""
    from peft import LoraConfig, get_peft_model

    cut_layers(causal.get_decoder(), settings.layers)
    head = causal.get_output_embeddings()
    tied = head.weight is causal.get_input_embeddings().weight
    causal.resize_token_embeddings(words.size, mean_resizing=False)
    rows = list(range(words.text_size, words.size))
    spread = float(causal.get_input_embeddings().weight[: words.text_size].detach().std())
    with torch.no_grad():
        for table in {id(one): one for one in (causal.get_input_embeddings(), causal.get_output_embeddings())}.values():
            nn.init.normal_(table.weight[words.text_size :], std=spread)
    names = ["embed_tokens"] if tied else ["embed_tokens", "lm_head"]
    lora = LoraConfig(
        r=settings.lora_rank, lora_alpha=2 * settings.lora_rank, target_modules=LORA_TARGETS,
        trainable_token_indices=dict.fromkeys(names, rows),
    )  # fmt: skip
    return FullSidModel(get_peft_model(causal, lora), words)


def write_words(
    settings: JdSettings, representation: Representation, names: Sequence[str], tokenizer: Tokenizer, text_size: int
) -> ItemWords:
    """How items are written under these settings.

    Args:
        representation: codes of the items; of no matter where they are written as titles.
        names: their titles.
    """
    if settings.representation == "title":
        return ItemWords.of_titles(tokenizer, text_size, names)
    return ItemWords.of(tokenizer, text_size, representation)


def build_model(settings: JdSettings, representation: Representation, names: Sequence[str], tokenizer: Tokenizer) -> FullSidModel:
    """An untrained model.

    Args:
        tokenizer: of the catalogue; a pretrained backbone brings its own.

    Raises:
        WeightsError: the backbone cannot be loaded.
    """
    if settings.backbone == "nano":
        return new_nano(settings, write_words(settings, representation, names, tokenizer, tokenizer.get_vocab_size()))
    own, causal = load_pretrained(settings.backbone, AutoModelForCausalLM)
    size = int(causal.get_input_embeddings().num_embeddings)
    return under_lora(causal, settings, write_words(settings, representation, names, own.backend_tokenizer, size))
