"""Training the language model that judges: SFT on the levels, then group-relative optimisation over the discrete scale (S-GRec §3.1 A).

- SFT: cross-entropy of the level behind every question of a tree.
- Group-relative: a group of levels is drawn from what the model says of a question; a level is worth 1 - |level - wanted| / 3, so a near miss
  is worth something; advantages inside the group, the clipped objective, a pull towards what SFT made.
- Both run in the project's own loop: checkpoints survive a kill, the same steps follow a resume. What SFT made is kept beside it, since the
  second part starts from it and is held by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backend.judge.aspects import LEVELS
from backend.judge.group_relative import normalised, objective
from backend.judge.language import LanguageJudge, LanguageModel, Tree
from backend.judge.proxies import Labelled
from backend.judge_settings import LanguageSettings
from backend.model.batch import Losses
from backend.model.training import TrainingResult, train_model
from backend.progress import CancelToken, Progress, Report, silent
from backend.settings import TrainSettings


class Questions:
    """Trees of labelled situations and the levels that are wanted, as the loop asks for them."""

    def __init__(self, judge: LanguageJudge, labelled: Labelled, situations: int) -> None:
        self._judge, self._labelled = judge, labelled
        self._asked = list(labelled.asked())[:situations]
        self.anchors: list[Tensor] = []  # log-probabilities of what SFT made, one (items, aspects, LEVELS) a situation

    def __len__(self) -> int:
        return len(self._asked)

    def tree(self, number: int) -> Tree:
        """The prompt of a situation."""
        situation, rows = self._asked[number]
        return self._judge.tree(situation, self._labelled.items[rows], self._labelled.facts[rows])

    def batch(self, numbers: Sequence[int], epoch: int = 0) -> tuple[list[Tree], list[tuple[Tensor, Tensor]]]:
        """Trees; the levels of each, Shape: (items, aspects), and its anchor, empty where there is none."""
        del epoch
        wanted = [torch.from_numpy(self._labelled.levels[self._asked[number][1]]) for number in numbers]
        anchors = [self.anchors[number] if self.anchors else torch.zeros(0) for number in numbers]
        return [self.tree(number) for number in numbers], list(zip(wanted, anchors, strict=True))

    def remember(self, numbers: Sequence[int], epoch: int = 0) -> None:
        """Nothing is kept from step to step."""


class Taught(nn.Module):
    """The loss of SFT."""

    def __init__(self, model: LanguageModel) -> None:
        super().__init__()
        self.model = model

    def losses(self, trees: Sequence[Tree], wanted: Sequence[tuple[Tensor, Tensor]]) -> Losses:
        """Cross-entropy over the levels, and the share that is right."""
        logits = torch.cat([self.model(tree).flatten(0, 1) for tree in trees])
        levels = torch.cat([own.flatten() for own, _ in wanted])
        loss = F.cross_entropy(logits, levels)
        return Losses(loss, float(loss.detach()), float((logits.argmax(1) == levels).float().mean()))


class Optimised(nn.Module):
    """The group-relative loss."""

    def __init__(self, model: LanguageModel, settings: LanguageSettings) -> None:
        super().__init__()
        self.model, self.settings = model, settings

    def losses(self, trees: Sequence[Tree], wanted: Sequence[tuple[Tensor, Tensor]]) -> Losses:
        """The objective over groups of drawn levels, and their mean reward."""
        log_prob = F.log_softmax(torch.cat([self.model(tree).flatten(0, 1) for tree in trees]), dim=1)  # (questions, LEVELS)
        levels = torch.cat([own.flatten() for own, _ in wanted])
        anchor = torch.cat([own.flatten(0, 1) for _, own in wanted])
        drawn = torch.multinomial(log_prob.detach().exp(), self.settings.group, replacement=True)  # (questions, G)
        reward = worth(drawn, levels)
        own = log_prob.gather(1, drawn)
        found = objective(
            own, own.detach(), anchor.gather(1, drawn), normalised(reward), torch.ones_like(drawn, dtype=torch.bool),
            self.settings.clip, self.settings.kl,
        )  # fmt: skip
        return Losses(found.loss, float(found.loss.detach()), float(reward.mean()))


def worth(drawn: Tensor, wanted: Tensor) -> Tensor:
    """1 for the level that is wanted, less by a third for each step away. Shape: (questions, G), (questions,) → (questions, G)."""
    return 1.0 - (drawn - wanted[:, None]).abs() / (LEVELS - 1)


def teach(
    judge: LanguageJudge, labelled: Labelled, folder: Path, seed: int, report: Report = silent, cancel: CancelToken | None = None
) -> TrainingResult:
    """SFT, from the checkpoint in the folder where there is one; the curve's figures are the loss and the share that is right.

    Raises:
        Cancelled: asked to stop; the checkpoint holds all finished steps.
    """
    settings = judge.model.settings
    asked, path = Questions(judge, labelled, settings.situations), folder / "sft.safetensors"
    loop, names = _loop(settings, settings.lr), ("L_SFT", "share right")
    return train_model(Taught(judge.model), asked, loop, seed, path, report, cancel, names=names)


def optimise(
    judge: LanguageJudge, labelled: Labelled, folder: Path, seed: int, report: Report = silent, cancel: CancelToken | None = None
) -> TrainingResult:
    """Group-relative optimisation of what SFT made, which is what the model holds now; likewise. The curve tells the mean reward.

    Raises:
        Cancelled: asked to stop; the checkpoint holds all finished steps.
    """
    settings = judge.model.settings
    asked, path = Questions(judge, labelled, settings.optimised), folder / "optimised.safetensors"
    anchors = []
    for number in range(len(asked)):
        if cancel:
            cancel.check()
        anchors.append(torch.from_numpy(judge.chances(asked.tree(number))).clamp_min(1e-12).log())
        report(Progress("judge", number + 1, len(asked), "what SFT says"))
    asked.anchors = anchors
    loop, names = _loop(settings, settings.optimised_lr), ("loss", "mean reward")
    return train_model(Optimised(judge.model, settings), asked, loop, seed, path, report, cancel, names=names)


def _loop(settings: LanguageSettings, lr: float) -> TrainSettings:
    """The loop's settings for one of the two parts."""
    return TrainSettings(
        batch=settings.batch,
        lr=lr,
        weight_decay=0.01,
        dropout=0.0,
        bf16=settings.bf16,
        checkpoint_steps=settings.checkpoint_steps,
    )
