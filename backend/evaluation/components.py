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

from backend.data.history import distinct
from backend.data.record import Record, basket_ordinals
from backend.evaluation.cases import Case
from backend.generation.beam import prefix_beam
from backend.generation.generator import Generator
from backend.generation.judged import Moment, log_shares
from backend.generation.logits import asked, first_code, log_softmax, nearness
from backend.generation.readings import known_as_heard, with_other_readings
from backend.generation.runner import PromptState
from backend.generation.shopper import Shopper
from backend.generation.subset import cosines, without_items
from backend.model.priors import TERMS, RecordBatch
from backend.model.prompt import Tokens
from backend.progress import CancelToken, Progress, Report, silent

Key = tuple[int, int, str]  # user, start, task
_BATCH = 16


@dataclass(frozen=True)
class Components:
    """What the model says about each case.

    Shape:
        first_logits, first_prior: (n, codes) of the first code, and what the repeat prior adds to them at weight 1 (one column where ℓ = 0);
        rows: (n, K) prefix rows; rest: (n, K) log-probability of the codes after the first, -inf where there is no beam;
        cos: (n, K, L) float16, -inf where padded; weights: (n, K, 1 + terms) sureness and weights of the priors;
        record: (n,) row of the household's record in terms: (records, n_items, terms) float16, what the priors know of each item;
        judge: (records, n_items) float32, what the judge's score adds at weight 1 (`judged.log_shares`); None = there is no judge.
    """

    index: dict[Key, int]
    first_logits: np.ndarray
    first_prior: np.ndarray
    rows: np.ndarray
    rest: np.ndarray
    cos: np.ndarray
    weights: np.ndarray
    record: np.ndarray
    terms: np.ndarray
    judge: np.ndarray | None = None

    @classmethod
    def empty(
        cls, cases: Sequence[Case], codes: int, k: int, width: int, n_items: int, terms: int, judged: bool = False
    ) -> Components:
        """Arrays to be filled in."""
        n = len(cases)
        records, record = np.unique([[case.user, case.start] for case in cases], axis=0, return_inverse=True)
        return cls(
            {key_of(case): row for row, case in enumerate(cases)},
            np.zeros((n, codes), np.float32),
            np.zeros((n, codes), np.float32),
            np.zeros((n, k), np.int64),
            np.full((n, k), -np.inf, np.float32),
            np.full((n, k, width), -np.inf, np.float16),
            np.zeros((n, k, 1 + terms), np.float32),
            record.ravel(),
            np.zeros((len(records), n_items, terms), np.float16),
            np.zeros((len(records), n_items), np.float32) if judged else None,
        )

    def log_phi(self, at: Sequence[int], first_code: np.ndarray, repeat_weight: float) -> np.ndarray:
        """Beam scores log φ of some cases under a weight of the repeat prior.

        Shape:
            at: (b,) rows of cases; first_code: (prefixes,) first code of each prefix row; returns: (b, K).
        """
        first = log_softmax(self.first_logits[at] + repeat_weight * self.first_prior[at])  # (b, codes)
        return np.take_along_axis(first, first_code[self.rows[at]], 1) + self.rest[at]

    def judged(self, at: Sequence[int], members: np.ndarray) -> np.ndarray | float:
        """What the judge's score adds to some cases' items at weight 1. Shape: at (b,); members (b, K, L) item rows; returns (b, K, L)."""
        return 0.0 if self.judge is None else self.judge[self.record[at][:, None, None], members]


def key_of(case: Case) -> Key:
    """What identifies a case, whatever its view."""
    return case.user, case.start, case.task


def compute(
    generator: Generator, cases: Sequence[Case], beams: int = 64, report: Report = silent, cancel: CancelToken | None = None
) -> Components:
    """Component scores of all cases."""
    width = generator.index.members.shape[1]
    k = min(beams, len(generator.index.last.codes))
    terms = len(generator.model.listen.tasks) + len(TERMS)
    codes = generator.model.codes if generator.model.levels else 1
    judged = generator.judge is not None and not generator.judge.missing()
    out = Components.empty(cases, codes, k, width, generator.dataset.n_items, terms, judged)
    _judge(generator, cases, out, report, cancel)
    order = sorted(range(len(cases)), key=lambda row: len(cases[row].history))  # equal lengths together: less padding
    for begin in range(0, len(order), _BATCH):
        if cancel:
            cancel.check()
        part = order[begin : begin + _BATCH]
        trees = [tokens_of(generator, cases[row]) for row in part]
        if generator.model.levels == 1:
            _all_prefixes(generator, trees, part, [cases[row] for row in part], out)
        else:
            _by_beam(generator, trees, part, [cases[row] for row in part], out)
        report(Progress("components", min(begin + _BATCH, len(order)), len(order)))
    return out


def _judge(generator: Generator, cases: Sequence[Case], out: Components, report: Report, cancel: CancelToken | None) -> None:
    """Fill in what the judge says, once a record."""
    if generator.judge is None or out.judge is None:
        return
    first = np.unique(out.record, return_index=True)[1].tolist()
    for done, row in enumerate(first, 1):
        if cancel:
            cancel.check()
        out.judge[out.record[row]] = log_shares(generator.judge.scores(moment_of(generator, cases[row])))
        if done % _BATCH == 0 or done == len(first):
            report(Progress("components", done, len(first), "the judge's scores"))


def moment_of(generator: Generator, case: Case) -> Moment:
    """When and of whom a case is asked."""
    day = np.datetime64(int(generator.shoppers.histories.days[case.start]), "D")
    return Moment(case.user, day, case.history, case.ages, basket_ordinals(case.ages))


def tokens_of(generator: Generator, case: Case) -> Tokens:
    """The prompt of a case."""
    none = np.zeros(0, np.int64)
    profile = str(generator.shoppers.profiles.iloc[case.user])
    return generator.runner.tokens(Shopper(profile, distinct(case.history, case.ages), none, none, none), case.instruction)


def record_of(generator: Generator, case: Case) -> Record:
    """The record of a case's household."""
    deals = generator.records.deals_at(case.user, case.start)
    return generator.records.of(case.history, case.ages, basket_ordinals(case.ages), deals=deals)


def with_all_prefixes(generator: Generator, tree: Tokens) -> tuple[int, list[int]]:
    """Lay every prefix of the catalogue behind a prompt, each as a branch of its own; prompt and instruction are the root (branch 0).

    Returns:
        the row where the first code is emitted, and the row of each prefix' `<q>`.
    """
    emit, position = len(tree) - 1, tree.position[-1] + 1
    codes, layout = generator.index.last.codes, generator.model.layout  # (prefixes, ℓ)
    return emit, [layout.target(tree, code, row + 1, 1, position)[1] for row, code in enumerate(codes.tolist())]


@torch.inference_mode()
def _all_prefixes(generator: Generator, trees: list[Tokens], part: list[int], cases: Sequence[Case], out: Components) -> None:
    model, index = generator.model, generator.index
    codes = index.last.codes  # (prefixes, 1)
    at = [with_all_prefixes(generator, tree) for tree in trees]
    batch = model.collate(trees)
    records = RecordBatch.of([record_of(generator, case) for case in cases])
    known = known_as_heard(model, batch, records, generator.runner.soft_tensor)
    hidden = model.encode(batch, known.soft, known.wish.words)
    emits = hidden[torch.arange(len(at)), [emit for emit, _ in at]]
    known = with_other_readings(model, known, batch, records, emits)
    for place, (row, (emit, queries)) in enumerate(zip(part, at, strict=True)):
        logits, prior = first_code(model, hidden[place, emit : emit + 1], known, place)
        out.first_logits[row], out.first_prior[row] = logits[0], prior[0]
        best = np.argsort(-(out.first_logits[row] + out.first_prior[row])[codes[:, 0]], kind="stable")[: out.rows.shape[1]]
        h, weights = (each.numpy()[best] for each in asked(model, hidden[place, queries], known, place))
        out.rows[row], out.rest[row] = best, 0.0
        out.weights[row], out.terms[out.record[row]] = weights, known.terms[place].numpy()
        members = index.members[best]
        out.cos[row] = nearness(cosines(h, generator.runner.soft, members, _everything(generator)), known, place, members)


def _by_beam(generator: Generator, trees: list[Tokens], part: list[int], cases: Sequence[Case], out: Components) -> None:
    index, runner, allowed = generator.index, generator.runner, _everything(generator)
    root = np.zeros((1, 0), np.int64)
    for row, tree, case in zip(part, trees, cases, strict=True):
        state = runner.prompt_state(tree, record_of(generator, case))

        def log_probs(prefixes: np.ndarray, state: PromptState = state) -> np.ndarray:
            return runner.code_log_probs(state, prefixes)

        found = prefix_beam(index, log_probs, out.rows.shape[1], allowed)
        n, codes = len(found.rows), index.last.codes[found.rows]
        out.rows[row, :n], out.rest[row, :n] = found.rows, found.log_phi
        if generator.model.levels:
            out.first_logits[row], out.first_prior[row] = runner.first_code(state)
            out.rest[row, :n] -= log_probs(root)[0, codes[:, 0]]
        h, out.weights[row, :n] = runner.queries(state, codes)
        out.terms[out.record[row]] = state.known.terms[0].numpy()
        members = index.members[found.rows]
        cos = nearness(cosines(h, runner.soft, members, allowed), state.known, 0, members)
        out.cos[row, :n] = cos if generator.model.settings.soft_token else without_items(cos)


def _everything(generator: Generator) -> np.ndarray:
    return np.ones(len(generator.sids), bool)
