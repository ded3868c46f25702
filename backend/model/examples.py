"""SFT samples: a household's basket becomes a tree of instructions and targets (SIGMA §1.3).

- A *context* is one training basket with what went before it. Each task that has a label in it becomes an instruction branch.
- Everything random is drawn from (seed, context number), so a sample does not depend on what came before it: resuming
  needs no random state, and any worker makes the same sample.
- The profile sentence is dropped now and then, so that a composed shopper without one is nothing new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from backend.data import schema as c
from backend.data.history import Histories, History
from backend.data.record import Record, Records
from backend.data.schema import Dataset
from backend.instructions.tasks import Context, Task
from backend.instructions.templates import render
from backend.model.batch import Batch, Targets
from backend.model.priors import RecordBatch
from backend.model.prompt import ITEM, SID, Tokens
from backend.model.sigma import SigmaModel
from backend.settings import ModelSettings, TrainSettings

HISTORY_LEAD = "Recently bought, oldest first:"
_PROFILE_DROPOUT = 0.1
_HISTORY_DROPOUT = 0.05


def profile_line(profile: str) -> str:
    """The profile sentence as it opens every prompt."""
    return f"{profile}. {HISTORY_LEAD}" if profile else f"A shopper. {HISTORY_LEAD}"


@dataclass(frozen=True)
class Branch:
    """An instruction, its demand (place among the sampler's tasks), the targets drawn for it, and all its right answers (item rows)."""

    text: str
    demand: int
    chosen: np.ndarray
    right: np.ndarray


@dataclass(frozen=True)
class Plan:
    """The content of one tree."""

    profile: str
    history: History
    branches: list[Branch]
    record: Record

    @property
    def texts(self) -> list[str]:
        """All texts of the tree."""
        return [self.profile, *(branch.text for branch in self.branches)]


@dataclass
class Sample:
    """One tree with its supervision, rows relative to the tree."""

    tokens: Tokens
    code_rows: list[int]
    codes: list[int]
    code_weights: list[float]
    code_items: list[int]
    query_rows: list[int]
    items: list[int]
    query_weights: list[float]
    also: list[np.ndarray]


class Sampler:
    """Makes trees from contexts.

    Args:
        baskets: frame with user, start, stop (rows of `dataset.events`), one row a context.
        tasks: the registry's tasks to draw instructions from.
    """

    def __init__(
        self,
        dataset: Dataset,
        baskets: pd.DataFrame,
        tasks: Sequence[Task],
        model: SigmaModel,
        settings: ModelSettings,
        train: TrainSettings,
        seed: int,
    ) -> None:
        self.histories, self.records = Histories(dataset), Records(dataset)
        self.profiles = [profile_line(text) for text in dataset.users[c.PROFILE]]
        self.user = baskets["user"].to_numpy(np.int64)
        self.start = baskets["start"].to_numpy(np.int64)
        self.stop = baskets["stop"].to_numpy(np.int64)
        self.tasks, self.model, self.settings, self.train, self.seed = list(tasks), model, settings, train, seed

    def __len__(self) -> int:
        return len(self.user)

    def plan(self, number: int, epoch: int = 0) -> Plan:
        """What the tree of context `number` will say."""
        rng = np.random.default_rng((self.seed, epoch, number))
        user, start, stop = int(self.user[number]), int(self.start[number]), int(self.stop[number])
        context = Context(
            user=user,
            history=self.histories.slice(user, start),
            history_steps=self.histories.steps[self.histories.first[user] : start],
            basket=np.unique(self.histories.items[start:stop]),
        )
        whole = self.histories.before(user, start)
        history = whole.salient(self.settings.history_items)
        cut = rng.random() < _HISTORY_DROPOUT  # now and then a shopper of whom little is known
        if cut:
            history = history.recent(int(rng.integers(1, 6)))
        profile = profile_line("") if rng.random() < _PROFILE_DROPOUT else self.profiles[user]
        branches = []
        for demand, task in enumerate(self.tasks):
            labelled = task.label(context, rng)
            if labelled is None or not len(labelled.targets):
                continue
            text = render(task.name, labelled.slots, rng, held_out=False)
            branches.append(Branch(text, demand, rng.permutation(labelled.targets)[: self.train.targets], labelled.targets))
        if len(branches) > self.train.branches:
            usual = [
                place for place, branch in enumerate(branches) if branch.demand == 0
            ]  # what most people ask is always trained
            others = np.setdiff1d(rng.permutation(len(branches)), usual, assume_unique=True)
            branches = [branches[place] for place in sorted([*usual, *others.tolist()][: self.train.branches])]
        past = slice(int(self.histories.first[user]), start)
        items, ages, steps = context.history, self.histories.days[start] - self.histories.days[past], context.history_steps
        if cut:  # the record knows no more than the prompt
            keep = np.isin(items, history.items)
            items, ages, steps = items[keep], ages[keep], steps[keep]
        week = self.model.store.trend.row(float(self.histories.days[start]))
        return Plan(profile, history, branches, self.records.of(items, ages, steps, week, self.records.deals_at(user, start)))

    def sample(self, plan: Plan) -> Sample:
        """The tree of a plan."""
        layout, backbone = self.model.layout, self.model.backbone
        tokens, position = layout.prompt(plan.profile, len(backbone.features([plan.profile])[0]), plan.history)
        out = Sample(tokens, [], [], [], [], [], [], [], [])
        if self.train.dense:
            self._dense(out, plan.history.items)
        for number, branch in enumerate(plan.branches, start=1):
            self._branch(out, branch.text, branch.chosen, branch.right, number, position)
        return out

    def _branch(self, out: Sample, text: str, chosen: np.ndarray, right: np.ndarray, branch: int, position: int) -> None:
        """One instruction and its targets; together they weigh 1."""
        layout = self.model.layout
        start_row, position = layout.instruction(out.tokens, text, len(self.model.backbone.features([text])[0]), branch, position)
        weight = 1.0 / len(chosen)
        for leaf, item in enumerate(chosen.tolist(), start=1):
            codes = layout.sids[item, : layout.prefix_levels].tolist()
            rows, query_row = layout.target(out.tokens, codes, branch, leaf, position)
            for level, code in enumerate(codes):  # each code is emitted at the token before it
                out.code_rows.append(start_row if level == 0 else rows[level - 1])
                out.codes.append(level * layout.codes + code)
                out.code_weights.append(weight)
                out.code_items.append(item)
            out.query_rows.append(query_row)
            out.items.append(item)
            out.query_weights.append(weight)
            out.also.append(right[right != item])

    def _dense(self, out: Sample, items: np.ndarray) -> None:
        """Ours: every history position predicts the next item too; together they weigh 1."""
        kind, value = np.array(out.tokens.kind), np.array(out.tokens.value)
        first = np.flatnonzero(kind == SID)[:: max(self.settings.prefix_levels, 1)]  # row of each history item's first code
        levels = self.settings.prefix_levels
        if not levels or len(first) < 2 or not (kind == ITEM).any():
            return
        weight = 1.0 / (len(first) - 1)
        for row, item in zip(first[1:].tolist(), items[1:].tolist(), strict=False):
            for level in range(levels):
                out.code_rows.append(row + level - 1)
                out.codes.append(int(value[row + level]))
                out.code_weights.append(weight)
                out.code_items.append(item)
            out.query_rows.append(row + levels - 1)
            out.items.append(item)
            out.query_weights.append(weight)
            out.also.append(np.zeros(0, np.int64))

    def remember(self, numbers: Sequence[int], epoch: int = 0) -> None:
        """Encode the texts of a batch as `batch` would, and no more.

        Float rounding depends on which texts are encoded together; a resumed run that catches up in the same order has the
        very same features, so it ends with the very same weights.
        """
        plans = [self.plan(number, epoch) for number in numbers]
        self.model.backbone.features([text for plan in plans for text in plan.texts])
        self.model.listen([branch.text for plan in plans for branch in plan.branches], self._demand(plans))

    def _demand(self, plans: Sequence[Plan]) -> torch.Tensor:
        """Demands of all instructions, given. Shape: (instructions, tasks), one-hot."""
        own = torch.tensor([branch.demand for plan in plans for branch in plan.branches], dtype=torch.long)
        return torch.nn.functional.one_hot(own, len(self.tasks)).float()

    def batch(self, numbers: Sequence[int], epoch: int = 0) -> tuple[Batch, Targets]:
        """Trees of several contexts, padded, with their supervision."""
        plans = [self.plan(number, epoch) for number in numbers]
        self.model.backbone.features(
            [text for plan in plans for text in plan.texts]
        )  # one pass of the text encoder, not one a text
        samples = [self.sample(plan) for plan in plans]
        return self.model.collate([sample.tokens for sample in samples], self._demand(plans)), join(samples, plans)


def join(samples: Sequence[Sample], plans: Sequence[Plan]) -> Targets:
    """Supervision of a batch of trees."""

    def at(field: str) -> torch.Tensor:
        pairs = [(tree, row) for tree, sample in enumerate(samples) for row in getattr(sample, field)]
        return torch.tensor(pairs, dtype=torch.long).reshape(-1, 2)

    def flat(field: str, dtype: torch.dtype) -> torch.Tensor:
        return torch.tensor([value for sample in samples for value in getattr(sample, field)], dtype=dtype)

    others = [other for sample in samples for other in sample.also]
    also = np.full((len(others), max((len(other) for other in others), default=0) or 1), -1, np.int64)
    for row, other in enumerate(others):
        also[row, : len(other)] = other
    return Targets(
        code_at=at("code_rows"),
        code=flat("codes", torch.long),
        code_weight=flat("code_weights", torch.float32),
        query_at=at("query_rows"),
        item=flat("items", torch.long),
        query_weight=flat("query_weights", torch.float32),
        also=torch.from_numpy(also),
        code_item=flat("code_items", torch.long),
        records=RecordBatch.of([plan.record for plan in plans]),
    )
