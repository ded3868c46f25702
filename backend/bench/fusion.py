"""How long one move of a knob of the fusion lab takes: re-ranking every example, all metrics of all parts, paired intervals.

- A timed move is what the page asks for when a slider is let go: a setting that was not seen before, scored and compared with the reference.
- Invented terms of a stated size first (the same on every machine), then the workspace's own stored examples, where there are any.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd

from backend.evaluation.fusion_lab import FusionLab
from backend.evaluation.lab_cases import GROUPS, TAIL, LabCases, starts
from backend.evaluation.metrics import Catalogue
from backend.progress import CancelToken, Progress, Report
from backend.settings import FusionSettings, LabSettings
from backend.workbench import Workbench

SIZES = ((2000, 1000), (2000, 250), (8000, 1000))
MOVES: dict[str, dict[str, float]] = {
    "model": {},  # prefixes, cosines, priors
    "model + value": {"value_weight": 0.3},
    "model + value + judge": {"value_weight": 0.3, "judge_weight": 1.0},
    "model + value + diversity": {"value_weight": 0.3, "diversity": 0.3},
    "model, prefix weight 0": {"prefix_weight": 0.0},  # the dearest: no prefix can be left out
}
_TASKS = ("JustForYou", "Category", "Query", "Discover")
_WIDTH, _BEAMS, _CODES = 256, 64, 64


def rows(workspace: str | None, repeats: int, report: Report, cancel: CancelToken) -> list[dict[str, Any]]:
    """One row for each size and each set of terms.

    Returns:
        examples · candidates · terms · p50_ms · p95_ms; `examples` counts the lists that are made.
    """
    bench = Workbench.open(workspace)
    labs = [lambda size=size: invented(*size) for size in SIZES]
    total = (len(labs) + 1) * len(MOVES)
    out: list[dict[str, Any]] = []
    for place, make in enumerate([*labs, lambda: bench.fusion_lab("test")]):
        cancel.check()
        lab = make()
        if lab is None:
            continue
        for number, (name, update) in enumerate(MOVES.items()):
            times = _moves(lab, update, repeats, cancel)
            row = {"examples": len(lab), "candidates": lab.cases.candidates, "terms": name}
            out.append(
                row | {"p50_ms": round(float(np.percentile(times, 50)), 2), "p95_ms": round(float(np.percentile(times, 95)), 2)}
            )
            report(Progress("fusion", place * len(MOVES) + number + 1, total, f"{len(lab)} × {lab.cases.candidates}, {name}"))
    return out


def _moves(lab: FusionLab, update: dict[str, float], repeats: int, cancel: CancelToken) -> list[float]:
    """Milliseconds of `repeats` moves; the first, which compiles and draws the resamples, is not counted."""
    shipped = LabSettings.of(lab.cases.shipped).model_copy(update={"top": 10, **update})
    reference = lab.score(shipped)
    times = []
    for number in range(repeats + 1):
        cancel.check()
        setting = shipped.model_copy(update={"tau": shipped.tau * (1.01 + 0.001 * number)})
        began = time.perf_counter()
        lab.compare(lab.score(setting), reference)
        times.append(1000 * (time.perf_counter() - began))
    return times[1:]


def invented(examples: int, candidates: int, seed: int = 7, items: int = 5700, split: str = "test") -> FusionLab:
    """A lab over random terms: so many examples in four tasks (those of one task have a second view, so there are more lists than examples)."""
    rng = np.random.default_rng(seed)
    n, m = examples, examples * candidates
    sizes = np.full((n, _BEAMS), candidates // _BEAMS)
    sizes[:, : candidates - sizes[0].sum()] += 1
    item = np.concatenate([rng.permutation(items)[:candidates] for _ in range(n)]).astype(np.int32)
    held = rng.random(m) < 0.15
    tail = np.zeros((n, _BEAMS, GROUPS, len(TAIL)), np.float32)
    tail[..., 0] = rng.normal(3, 1, tail.shape[:3])
    tail[..., 0, 0] = -np.inf
    targets = rng.integers(1, 12, n)
    frame = pd.DataFrame(
        {
            "user": np.arange(n),
            "user_id": [str(row) for row in range(n)],
            "start": 0,
            "split": split,
            "instruction": "an invented one",
        }
    )
    frame["task"] = np.repeat(_TASKS, -(-n // 4))[:n]
    wanted = np.repeat(np.arange(n) * candidates, targets) + rng.integers(0, candidates, targets.sum())
    lab = LabCases(
        cases=frame, shipped=FusionSettings(beams=_BEAMS, per_prefix=200, tau=0.25),
        first_logits=rng.normal(0, 2, (n, _CODES)).astype(np.float32), first_prior=rng.normal(0, 1, (n, _CODES)).astype(np.float32),
        code=np.tile(np.arange(_BEAMS, dtype=np.int16), (n, 1)), rest=np.zeros((n, _BEAMS), np.float32), tail=tail,
        scaled=np.full(n, 5.0, np.float32), offsets=starts(sizes.ravel()), item=item,
        cos=rng.integers(-12000, 32767, m, dtype=np.int16), repeat=np.where(held, rng.integers(0, 32767, m), 0).astype(np.int16),
        popularity=rng.integers(-32767, 32767, m, dtype=np.int16), judge=np.random.default_rng(seed + 1).integers(-32767, 0, m, dtype=np.int16),
        bought=held, judged="invented", scale=np.tile(np.array([1, 5, 2, 1.5], np.float32) / 32767, (n, 1)),
        target=item[wanted], target_offsets=starts(targets), target_bought=held[wanted],
    )  # fmt: skip
    vectors = rng.normal(size=(items, _WIDTH)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    price = rng.gamma(2, 2, items) + 0.3
    facts = Catalogue(rng.integers(0, 150, items), price, rng.gamma(4, 2, items), rng.random(items) < 0.5, vectors)
    return FusionLab(lab, facts, np.log(price / np.median(price)).astype(np.float32))
