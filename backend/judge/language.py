"""A local language model as the judge (PSJ-A, S-GRec §3.1): it reads a household and an item, and says a level for each aspect.

- A prompt is a *tree*: the household once, each item behind it, each aspect behind its item. A mask makes every branch see its own ancestors
  alone, so the answers are those of one short prompt for each (household, item, aspect), at a tenth of the tokens.
- Nothing is generated: the model's logits of the four scale tokens behind an aspect's word are a distribution over the levels. The level is the
  likeliest, the expected level their mean.
- The base stays frozen; LoRA and the four rows of the scale's tokens train (`language_training`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from backend.data.schema import Dataset
from backend.errors import WeightsError
from backend.judge.aspects import ASPECTS, LEVELS, WORDS, Floats, Ints, Judgement, Situation
from backend.judge.evidence import Evidence
from backend.judge.wording import QUESTIONS, Wording, clause
from backend.judge_settings import LanguageSettings
from backend.model.backbones import load_backbone
from backend.model.training import trainable_state
from backend.precision import bf16_pays
from backend.settings import ModelSettings

ITEMS = 16  # of a tree
_NONE = -1


@dataclass(frozen=True)
class Tree:
    """One household with some items and all aspects behind each.

    Shape:
        tokens, item, aspect, position: (t,), item and aspect -1 where a token belongs to none; ask: (items, aspects) the token behind
        which a level is wanted.
    """

    tokens: Tensor
    item: Tensor
    aspect: Tensor
    position: Tensor
    ask: Tensor

    def mask(self) -> Tensor:
        """Which token may look at which: its ancestors and itself. Shape: (t, t) bool."""
        earlier = torch.ones(len(self.tokens), len(self.tokens), dtype=torch.bool).tril()
        own_item = (self.item[None] == _NONE) | (self.item[None] == self.item[:, None])
        own_aspect = (self.aspect[None] == _NONE) | (self.aspect[None] == self.aspect[:, None])
        return earlier & own_item & own_aspect


def grow(household: Tensor, items: Sequence[Tensor], questions: Sequence[Tensor]) -> Tree:
    """A tree of token ids. Shape: (tokens_i,) each."""
    tokens, item, aspect = [household], [_NONE] * len(household), [_NONE] * len(household)
    position: list[int] = list(range(len(household)))
    ask: list[list[int]] = []
    for number, text in enumerate(items):
        tokens.append(text)
        item += [number] * len(text)
        aspect += [_NONE] * len(text)
        position += range(len(household), len(household) + len(text))
        below, own = len(household) + len(text), list[int]()
        for place, question in enumerate(questions):
            tokens.append(question)
            item += [number] * len(question)
            aspect += [place] * len(question)
            position += range(below, below + len(question))
            own.append(len(position) - 1)
        ask.append(own)
    return Tree(torch.cat(tokens), *(torch.tensor(each) for each in (item, aspect, position, ask)))


class LanguageModel(nn.Module):
    """A decoder with LoRA that says levels.

    Raises:
        WeightsError: the model is not there, or does not write a level as a token of its own.
    """

    def __init__(self, settings: LanguageSettings) -> None:
        super().__init__()
        self.settings = settings
        about = ModelSettings(backbone=settings.model, layers=settings.layers, lora_rank=settings.rank)
        self.backbone = load_backbone(about)
        written = self.backbone.features([f"={level}" for level in range(LEVELS)])
        ids = torch.stack([tokens[-1] for tokens in written])
        if len(set(ids.tolist())) < LEVELS:
            raise WeightsError(f"the model {settings.model!r} has no token for each level", "judge.lm.model", "name another one")
        with torch.no_grad():
            self.scale = nn.Parameter(self.backbone.embed_text(ids).clone())  # (LEVELS, dim), as the tied head would read them

    def tree(self, household: str, items: Sequence[str]) -> Tree:
        """The tree of a prompt."""
        texts = self.backbone.features([household, *items, *QUESTIONS])
        return grow(texts[0], texts[1 : len(items) + 1], texts[len(items) + 1 :])

    def forward(self, tree: Tree) -> Tensor:
        """Logits of the levels. Shape: returns (items, aspects, LEVELS)."""
        embeds = self.backbone.embed_text(tree.tokens)[None]
        hidden = self.backbone(embeds, tree.mask()[None, None], tree.position[None])[0]
        return (hidden[tree.ask] @ self.scale.T).float()


class LanguageJudge:
    """Judges by a language model.

    Args:
        evidence: looked up for the prompts.
    """

    def __init__(self, model: LanguageModel, dataset: Dataset, evidence: Evidence) -> None:
        self.model, self.evidence, self.wording = model, evidence, Wording(dataset)
        layers = model.settings.layers
        self.name = f"lm: {model.settings.model}, {'all' if layers is None else layers} layers"

    def tree(self, situation: Situation, items: Ints, facts: Floats) -> Tree:
        """The prompt of some items. Shape: items (n,); facts (n, len(FACTS))."""
        lines = [self.wording.item(item, own) for item, own in zip(items.tolist(), facts, strict=True)]
        return self.model.tree(self.wording.household(situation), lines)

    @torch.no_grad()
    def chances(self, tree: Tree) -> Floats:
        """Probability of every level. Shape: returns (items, aspects, LEVELS)."""
        self.model.eval()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.model.settings.bf16 and bf16_pays()):
            logits = self.model(tree)
        found: Floats = logits.softmax(-1).numpy()
        return found

    def judge(self, situation: Situation, items: Ints, reasons: bool = False) -> Judgement:
        """Levels of items, and the evidence that was read. Shape: items (n,) rows."""
        facts = self.evidence.facts(situation, items)
        parts = [np.zeros((0, len(ASPECTS), LEVELS), np.float32)]
        for begin in range(0, len(items), ITEMS):
            own = slice(begin, begin + ITEMS)
            parts.append(self.chances(self.tree(situation, items[own], facts[own])))
        chance = np.concatenate(parts)
        levels = chance.argmax(-1)
        said = [
            {name: f"{WORDS[name][levels[row, place]]}: {clause(facts[row])}" for place, name in enumerate(ASPECTS)}
            for row in range(len(items) if reasons else 0)
        ]
        return Judgement(levels, chance @ np.arange(LEVELS), list(said))


def arrays_of(model: LanguageModel) -> dict[str, np.ndarray]:
    """What trains, as a stage stores it."""
    return {name: value.float().numpy() for name, value in trainable_state(model).items()}


def restore(model: LanguageModel, arrays: Mapping[str, np.ndarray]) -> None:
    """Put stored weights back.

    Raises:
        KeyError, RuntimeError: they are of another model.
    """
    with torch.no_grad():
        for name, parameter in trainable_state(model).items():
            parameter.copy_(torch.from_numpy(arrays[name]))
