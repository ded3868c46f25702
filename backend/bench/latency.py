"""How long a recommendation takes, by step.

- Each timed request has a prompt of its own (another household or another wording), so that no prompt is taken from the cache: what is
  measured is the whole of it, reading, prefill, beams, subsets and fusion.
- `first_ms` is the very first request of a row; `p50_ms` and `p95_ms` are over the repetitions after it.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from backend.data import schema
from backend.data.history import Histories
from backend.generation.request import Request
from backend.progress import CancelToken, Progress, Report
from backend.workbench import Workbench

KM = ((5, 20), (20, 50), (50, 50))  # K prefixes, M items of each
WORDINGS = ("what should I put in my cart next?", "surprise me", "something for breakfast", "dinner for two under $10")


def rows(workspace: str | None, repeats: int, report: Report, cancel: CancelToken) -> list[dict[str, Any]]:
    """One row for each history length and each (K, M), the workspace's own setting last.

    Returns:
        recipe · backbone · history (items in the prompt) · K · M · first_ms · p50_ms · p95_ms · by_step_ms (medians).
    """
    bench = Workbench.open(workspace)
    settings = bench.workspace.fresh_stage("model").manifest["settings"]["model"]
    generator = bench.generator()
    histories = _histories(bench)
    longest = int(settings["history_items"])
    sizes = sorted({max(1, longest // 4), longest})
    shipped = bench.fusion()
    pairs = list(dict.fromkeys([*KM, (shipped.beams, shipped.per_prefix)]))
    plan = [(size, 20, 50) for size in sizes[:-1]] + [(longest, beams, per_prefix) for beams, per_prefix in pairs]
    out = []
    for place, (size, beams, per_prefix) in enumerate(plan):
        fusion = shipped.model_copy(update={"beams": beams, "per_prefix": per_prefix, "top": 10})
        times: list[float] = []
        steps: list[dict[str, float]] = []
        for number in range(repeats + 1):
            cancel.check()
            items = tuple(histories[(place * 31 + number) % len(histories)][-size:])
            wording = WORDINGS[(number // len(histories)) % len(WORDINGS)]
            request = Request(instruction=wording, history=items, fusion=fusion)
            began = time.perf_counter()
            trace = generator.recommend(request)
            times.append(1000 * (time.perf_counter() - began))
            steps.append({name: value for name, value in trace.timings_ms.items() if name != "total"})
            report(
                Progress("latency", place * (repeats + 1) + number + 1, len(plan) * (repeats + 1), f"history {size}, K {beams}")
            )
        out.append(
            {
                "recipe": "sigma",
                "backbone": settings["backbone"],
                "history": size,
                "K": beams,
                "M": per_prefix,
                "first_ms": round(times[0], 2),
                "p50_ms": round(float(np.percentile(times[1:], 50)), 2),
                "p95_ms": round(float(np.percentile(times[1:], 95)), 2),
                "by_step_ms": {name: round(float(np.median([step[name] for step in steps[1:]])), 2) for name in steps[0]},
            }
        )
    return out


def _histories(bench: Workbench, most: int = 200) -> list[list[str]]:
    """Distinct histories (item ids, oldest first) of the households with the longest ones."""
    dataset = bench.dataset
    ids = dataset.items[schema.ITEM].to_numpy()
    histories = Histories(dataset)
    sizes = np.diff(histories.first)
    found = [
        [str(ids[item]) for item in histories.before(int(user), int(histories.first[user + 1])).items]
        for user in np.argsort(-sizes, kind="stable")[:most]
        if sizes[user]
    ]
    return sorted(found, key=len, reverse=True)[: max(1, len(found) // 2)]
