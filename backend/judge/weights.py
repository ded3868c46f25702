"""How much each aspect means to a household (PSJ-B, S-GRec §3.1 B): weights w(x) ≥ 0, Σ w = 1, from the household alone.

- *Group-relative* (the paper): a policy over a grid of weight vectors. For each pair a_i ≻ a_j a group of vectors is drawn, each is worth
  r = 1[w·s(a_i) > w·s(a_j)], and the policy moves by the group-relative objective. w(x) is the policy's mean.
- *Bradley-Terry* (ours, as a check): w(x) = softmax of a linear function, fitted by the likelihood of the pairs.
- Levels of part A are taken as they are; nothing here moves them.
- Which pairs is the caller's business: proxies (what was bought soon against what was not) or votes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from torch.nn import functional as F

from backend.evaluation.intervals import Interval, difference, interval
from backend.judge.aspects import ASPECTS, LEVELS, Floats, Ints
from backend.judge.group_relative import normalised, objective
from backend.judge.measure import by_household
from backend.judge.proxies import Labelled
from backend.judge_settings import WeightSettings

_SMALLEST = 1e-6  # a spread below this is none


@dataclass(frozen=True)
class Pairs:
    """Two items of one situation, the first preferred.

    Shape:
        better, worse: (n, aspects) expected levels; about: (n, user facts); user: (n,) row of the household (or who a vote is of).
    """

    better: Floats
    worse: Floats
    about: Floats
    user: Ints

    def __len__(self) -> int:
        return len(self.user)

    def with_more(self, others: Pairs) -> Pairs:
        """These pairs and others."""
        return Pairs(
            *(np.concatenate([getattr(side, name) for side in (self, others)]) for name in ("better", "worse", "about", "user"))
        )


@dataclass(frozen=True)
class Weights:
    """w(x) of households.

    Shape:
        matrix: (user facts, outputs); bias: (outputs,); vectors: (outputs, aspects) what each output stands for;
        centre, spread: (user facts,) of the training pairs.
    """

    matrix: Floats
    bias: Floats
    vectors: Floats
    centre: Floats
    spread: Floats

    def of(self, about: Floats) -> Floats:
        """Weights of households. Shape: (n, user facts) → (n, aspects), ≥ 0, rows sum to 1."""
        logits = ((about - self.centre) / self.spread) @ self.matrix + self.bias
        chance = np.exp(logits - logits.max(1, keepdims=True))
        return chance / chance.sum(1, keepdims=True) @ self.vectors

    def arrays(self) -> dict[str, Floats]:
        """As a stage stores it."""
        return {name: getattr(self, name) for name in ("matrix", "bias", "vectors", "centre", "spread")}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Weights:
        """From stored arrays."""
        return cls(*(arrays[name].astype(np.float64) for name in ("matrix", "bias", "vectors", "centre", "spread")))

    @classmethod
    def uniform(cls, facts: int, aspects: int = len(ASPECTS)) -> Weights:
        """The same weight for every aspect and household."""
        return cls(np.zeros((facts, aspects)), np.zeros(aspects), np.eye(aspects), np.zeros(facts), np.ones(facts))


def grid(parts: int, aspects: int = len(ASPECTS)) -> Floats:
    """All weight vectors whose entries are multiples of 1/parts. Shape: (vectors, aspects)."""
    bars = combinations(range(parts + aspects - 1), aspects - 1)
    return np.array([np.diff([-1, *cut, parts + aspects - 1]) - 1 for cut in bars], float) / parts


def proxy_pairs(labelled: Labelled, expected: Floats, per_situation: int, seed: int) -> Pairs:
    """Pairs by proxy: an item that was bought in the next four weeks against one that was not, of one situation.

    Shape:
        expected: (n, aspects) of the judge, NaN where an aspect is not used.
    """
    rng, first, second = np.random.default_rng(seed), [], []
    edges = np.searchsorted(labelled.group, np.arange(len(labelled.user) + 1))
    for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        own = np.arange(low, high)
        yes, no = own[labelled.bought[low:high]], own[~labelled.bought[low:high]]
        n = min(per_situation, len(yes) * len(no))
        if n:
            pick = rng.choice(len(yes) * len(no), n, replace=False)
            first.append(yes[pick // len(no)])
            second.append(no[pick % len(no)])
    a, b = (np.concatenate(rows) if rows else np.zeros(0, np.int64) for rows in (first, second))
    known = np.nan_to_num(expected)
    place = labelled.group[a]
    return Pairs(known[a], known[b], labelled.about[place], labelled.user[place])


def _prepare(pairs: Pairs) -> tuple[Floats, Floats, torch.Tensor]:
    centre, spread = pairs.about.mean(0), pairs.about.std(0)
    spread = np.where(spread > _SMALLEST, spread, 1.0)
    return centre, spread, torch.from_numpy((pairs.about - centre) / spread).float()


def fit_group_relative(pairs: Pairs, settings: WeightSettings, seed: int = 7) -> Weights:
    """Weights by group-relative policy optimisation (S-GRec §3.1 B)."""
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.from_numpy(grid(settings.grid, pairs.better.shape[1])).float()  # (V, aspects)
    centre, spread, about = _prepare(pairs)
    ahead = torch.from_numpy(pairs.better - pairs.worse).float()  # (n, aspects)
    linear = torch.nn.Linear(about.shape[1], len(vectors))
    torch.nn.init.zeros_(linear.weight)
    torch.nn.init.zeros_(linear.bias)
    optimizer = torch.optim.AdamW(linear.parameters(), lr=settings.lr, weight_decay=settings.decay)
    even = float(-np.log(len(vectors)))
    for _ in range(settings.steps):
        rows = torch.randint(len(pairs), (min(settings.batch, len(pairs)),), generator=generator)
        log_policy = F.log_softmax(linear(about[rows]), dim=1)  # (b, V)
        drawn = torch.multinomial(log_policy.detach().exp(), settings.group, replacement=True, generator=generator)  # (b, G)
        reward = ((vectors @ ahead[rows].T).T > 0).float().gather(1, drawn)  # 1[s_hol(a_i) > s_hol(a_j)]
        log_prob = log_policy.gather(1, drawn)
        step = objective(
            log_prob, log_prob.detach(), torch.full_like(log_prob, even), normalised(reward),
            torch.ones_like(drawn, dtype=torch.bool), settings.clip, settings.kl,
        )  # fmt: skip
        optimizer.zero_grad()
        step.loss.backward()
        optimizer.step()
    matrix, bias = linear.weight.detach().double().numpy().T, linear.bias.detach().double().numpy()
    return Weights(matrix, bias, vectors.double().numpy(), centre, spread)


def fit_bradley_terry(pairs: Pairs, settings: WeightSettings, seed: int = 7) -> Weights:
    """Weights by the likelihood of the pairs: P(a_i ≻ a_j) = sigmoid(κ · w(x)·(s_i - s_j)), κ learned (ours)."""
    torch.manual_seed(seed)
    aspects = pairs.better.shape[1]
    centre, spread, about = _prepare(pairs)
    ahead = torch.from_numpy(pairs.better - pairs.worse).float()
    matrix, bias = torch.zeros(about.shape[1], aspects, requires_grad=True), torch.zeros(aspects, requires_grad=True)
    scale = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.LBFGS([matrix, bias, scale], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        weights = F.softmax(about @ matrix + bias, dim=1)
        loss = -F.logsigmoid(scale.exp() * (weights * ahead).sum(1)).mean()
        loss = loss + settings.decay * (matrix.square().sum() + 0.1 * bias.square().sum())
        loss.backward()
        return loss

    optimizer.step(closure)
    return Weights(matrix.detach().double().numpy(), bias.detach().double().numpy(), np.eye(aspects), centre, spread)


def pair_accuracy(pairs: Pairs, weights: Weights) -> Floats:
    """Whether each pair is ordered rightly; a tie counts half. Shape: (n,)."""
    score = (weights.of(pairs.about) * (pairs.better - pairs.worse)).sum(1) / (LEVELS - 1)
    return np.where(np.abs(score) < 1e-12, 0.5, (score > 0).astype(float))


@dataclass(frozen=True)
class WeightReport:
    """Pair accuracy on held-out households, and its paired difference to uniform weights."""

    accuracy: Interval
    ahead: Interval


def measure_weights(pairs: Pairs, methods: Mapping[str, Weights], seed: int = 7) -> dict[str, WeightReport]:
    """Reports of some weights beside uniform ones, averaged by household; "uniform" is among them."""
    even = by_household(pair_accuracy(pairs, Weights.uniform(pairs.about.shape[1], pairs.better.shape[1])), pairs.user)
    found = {"uniform": even, **{name: by_household(pair_accuracy(pairs, one), pairs.user) for name, one in methods.items()}}
    return {
        name: WeightReport(interval(values, seed=seed), difference(values, even, seed=seed)) for name, values in found.items()
    }
