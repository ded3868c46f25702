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
from backend.data.history import History
from backend.evaluation.cases import Case
from backend.generation.beam import prefix_beam
from backend.generation.generator import Generator, Shopper
from backend.generation.subset import cosines
from backend.model.prompt import Tokens
from backend.progress import CancelToken, Progress, Report, silent

Key = tuple[int, int, str]  # user, start, task
_BATCH = 16


@dataclass(frozen=True)
class Components:
    """What the model says about each case.

    Shape:
        rows: (n, K) prefix rows, best first; log_phi: (n, K), -inf where there is no beam; cos: (n, K, L) float16, -inf where padded.
    """

    index: dict[Key, int]
    rows: np.ndarray
    log_phi: np.ndarray
    cos: np.ndarray


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
    rows = np.zeros((len(cases), k), np.int64)
    log_phi = np.full((len(cases), k), -np.inf, np.float32)
    cos = np.full((len(cases), k, width), -np.inf, np.float16)
    order = sorted(range(len(cases)), key=lambda row: len(cases[row].history))  # equal lengths together: less padding
    for begin in range(0, len(order), _BATCH):
        if cancel:
            cancel.check()
        part = order[begin : begin + _BATCH]
        trees = [generator.tokens(_shopper(cases[row], profiles), cases[row].instruction) for row in part]
        if generator.model.levels == 1:
            _all_prefixes(generator, trees, part, rows, log_phi, cos)
        else:
            _by_beam(generator, trees, part, rows, log_phi, cos)
        report(Progress("components", min(begin + _BATCH, len(order)), len(order)))
    return Components({key_of(case): row for row, case in enumerate(cases)}, rows, log_phi, cos)


def _shopper(case: Case, profiles: Sequence[str]) -> Shopper:
    none = np.zeros(0, np.int64)
    return Shopper(profiles[case.user], history_of(case), none, none, none)


@torch.inference_mode()
def _all_prefixes(
    generator: Generator, trees: list[Tokens], part: list[int], rows: np.ndarray, log_phi: np.ndarray, cos: np.ndarray
) -> None:
    model, index = generator.model, generator.index
    codes = index.last.codes  # (prefixes, 1)
    at = []
    for tree in trees:
        emit, position = len(tree) - 1, tree.position[-1] + 1
        # prompt and instruction are the root here (branch 0), each prefix a branch of its own
        queries = [model.layout.target(tree, code, row + 1, 1, position)[1] for row, code in enumerate(codes.tolist())]
        at.append((emit, queries))
    batch = model.collate(trees)
    hidden, words = model.encode(batch, generator.soft_tensor), model.words(batch.grounded)
    for place, (row, (emit, queries)) in enumerate(zip(part, at, strict=True)):
        phi = torch.log_softmax(model.code_logits(hidden[place, emit], 0).float(), -1).numpy()[codes[:, 0]]
        best = np.argsort(-phi, kind="stable")[: rows.shape[1]]
        own = None if words is None else words[place : place + 1]
        h = model.query_vectors(hidden[place, queries], own).float().numpy()[best]
        rows[row], log_phi[row] = best, phi[best]
        cos[row] = cosines(h, generator.soft, index.members[best], _everything(generator))


def _by_beam(
    generator: Generator, trees: list[Tokens], part: list[int], rows: np.ndarray, log_phi: np.ndarray, cos: np.ndarray
) -> None:
    index, allowed = generator.index, _everything(generator)
    for row, tree in zip(part, trees, strict=True):
        state = generator.prompt_state(tree)
        found = prefix_beam(
            index, lambda prefixes, state=state: generator.code_log_probs(state, prefixes), rows.shape[1], allowed
        )  # type: ignore[misc]
        n = len(found.rows)
        rows[row, :n], log_phi[row, :n] = found.rows, found.log_phi
        if generator.model.settings.soft_token:
            h = generator.queries(state, index.last.codes[found.rows])
            cos[row, :n] = cosines(h, generator.soft, index.members[found.rows], allowed)
        else:
            cos[row, :n] = np.where(index.members[found.rows] >= 0, 0.0, -np.inf)


def _everything(generator: Generator) -> np.ndarray:
    return np.ones(len(generator.sids), bool)
