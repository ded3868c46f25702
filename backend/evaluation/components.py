"""Component scores of a trained model on evaluation cases, computed once; every fusion setting is then a re-scoring.

- For each case: log φ of the K best prefixes and cos(h_k, ṽ_i) of every item inside them. Both do not depend on fusion settings, filters
  or priors, so sweeps, ablations and live tuning read them instead of asking the model again.
- With ℓ = 1 all prefixes of the catalogue are branches of one tree behind the prompt, and cases run in batches; other prefix
  lengths go through the generator's beam, case by case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from backend.data import schema as c
from backend.data.history import History, repeat_prior
from backend.evaluation.cases import Case
from backend.generation.beam import prefix_beam
from backend.generation.generator import Generator, PromptState, Shopper
from backend.generation.subset import cosines
from backend.model.prompt import Tokens
from backend.progress import CancelToken, Progress, Report, silent

Key = tuple[int, int, str]  # user, start, task
_BATCH = 16


@dataclass(frozen=True)
class Components:
    """What the model says about each case.

    Shape:
        rows: (n, K) prefix rows; logits: (n, K) of the first code (log φ where prefixes are longer), -inf where there is no beam;
        prefix_prior: (n, K) what the repeat prior adds to them; cos: (n, K, L) float16, -inf where padded;
        gates: (n, K, 2) weights of the item priors.
    """

    index: dict[Key, int]
    rows: np.ndarray
    logits: np.ndarray
    prefix_prior: np.ndarray
    cos: np.ndarray
    gates: np.ndarray

    @classmethod
    def empty(cls, cases: Sequence[Case], k: int, width: int) -> Components:
        """Arrays to be filled in."""
        n = len(cases)
        return cls(
            {key_of(case): row for row, case in enumerate(cases)},
            np.zeros((n, k), np.int64),
            np.full((n, k), -np.inf, np.float32),
            np.zeros((n, k), np.float32),
            np.full((n, k, width), -np.inf, np.float16),
            np.zeros((n, k, 2), np.float32),
        )


def key_of(case: Case) -> Key:
    """What identifies a case, whatever its view."""
    return case.user, case.start, case.task


def history_of(case: Case) -> History:
    """The prompt's history of a case."""
    newest_first = case.history[::-1]
    unique, newest, counts = np.unique(newest_first, return_index=True, return_counts=True)
    order = np.argsort(-newest, kind="stable")
    return History(unique[order], counts[order], np.floor(case.ages[::-1][newest[order]]).astype(np.int64))


def compute(
    generator: Generator, cases: Sequence[Case], beams: int = 64, report: Report = silent, cancel: CancelToken | None = None
) -> Components:
    """Component scores of all cases."""
    profiles = generator.dataset.users[c.PROFILE].tolist()
    width = generator.index.members.shape[1]
    k = min(beams, len(generator.index.last.codes))
    out = Components.empty(cases, k, width)
    order = sorted(range(len(cases)), key=lambda row: len(cases[row].history))  # equal lengths together: less padding
    for begin in range(0, len(order), _BATCH):
        if cancel:
            cancel.check()
        part = order[begin : begin + _BATCH]
        trees = [generator.tokens(_shopper(cases[row], profiles), cases[row].instruction) for row in part]
        if generator.model.levels == 1:
            _all_prefixes(generator, trees, part, [cases[row] for row in part], out)
        else:
            _by_beam(generator, trees, part, [cases[row] for row in part], out)
        report(Progress("components", min(begin + _BATCH, len(order)), len(order)))
    return out


def _shopper(case: Case, profiles: Sequence[str]) -> Shopper:
    none = np.zeros(0, np.int64)
    return Shopper(profiles[case.user], history_of(case), none, none, none)


def repeat_of(case: Case, n_items: int) -> np.ndarray:
    """Repeat prior of a case's household. Shape: (n_items,)."""
    new = np.diff(case.ages, prepend=case.ages[:1]) != 0  # events of one basket share their age
    return repeat_prior(case.history, case.ages, np.cumsum(new), n_items) if len(case.ages) else np.zeros(n_items)


@torch.inference_mode()
def _all_prefixes(generator: Generator, trees: list[Tokens], part: list[int], cases: Sequence[Case], out: Components) -> None:
    model, index = generator.model, generator.index
    codes = index.last.codes  # (prefixes, 1)
    at = []
    for tree in trees:
        emit, position = len(tree) - 1, tree.position[-1] + 1
        # prompt and instruction are the root here (branch 0), each prefix a branch of its own
        queries = [model.layout.target(tree, code, row + 1, 1, position)[1] for row, code in enumerate(codes.tolist())]
        at.append((emit, queries))
    batch = model.collate(trees)
    words = model.words(batch)
    hidden = model.encode(batch, generator.soft_tensor, words)
    for place, (row, (emit, queries), case) in enumerate(zip(part, at, cases, strict=True)):
        repeat = torch.from_numpy(repeat_of(case, len(generator.sids))).float()[None]
        prior = model.prefix_prior(hidden[place, emit : emit + 1], repeat).numpy()[0]
        logits = model.code_logits(hidden[place, emit], 0).float().numpy()
        best = np.argsort(-(logits + prior)[codes[:, 0]], kind="stable")[: out.rows.shape[1]]
        own = None if words is None else words[place : place + 1]
        h = model.query_vectors(hidden[place, queries], own).float().numpy()[best]
        out.rows[row], out.logits[row], out.prefix_prior[row] = best, logits[codes[best, 0]], prior[codes[best, 0]]
        out.gates[row] = model.item_priors(hidden[place, queries]).numpy()[best]
        out.cos[row] = cosines(h, generator.soft, index.members[best], _everything(generator))


def _by_beam(generator: Generator, trees: list[Tokens], part: list[int], cases: Sequence[Case], out: Components) -> None:
    index, allowed = generator.index, _everything(generator)
    for row, tree, case in zip(part, trees, cases, strict=True):
        state = generator.prompt_state(tree)
        prior = generator.prefix_prior(state, repeat_of(case, len(generator.sids)))

        def log_probs(prefixes: np.ndarray, state: PromptState = state, prior: np.ndarray = prior) -> np.ndarray:
            return generator.code_log_probs(state, prefixes, prior)

        found = prefix_beam(index, log_probs, out.rows.shape[1], allowed)
        n = len(found.rows)
        out.rows[row, :n], out.logits[row, :n] = found.rows, found.log_phi
        if generator.model.settings.soft_token:
            h, out.gates[row, :n] = generator.queries(state, index.last.codes[found.rows])
            out.cos[row, :n] = cosines(h, generator.soft, index.members[found.rows], allowed)
        else:
            out.cos[row, :n] = np.where(index.members[found.rows] >= 0, 0.0, -np.inf)


def _everything(generator: Generator) -> np.ndarray:
    return np.ones(len(generator.sids), bool)
