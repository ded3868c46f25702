"""README sections of the experiments (`python -m backend experiment …`), drawn from their result files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.evaluation.markdown import Rows, change, grid, interval, markdown_table, provenance


def _of(rows: Rows, metric: str, k: int | None = 10) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["metric"] == metric and (k is None or row["k"] == k)]


def _means(data: Mapping[str, Any], metric: str = "hr", k: int = 10, name: str = "HR") -> str:
    return grid(_of(data["results"], metric, k), f"{name}@{k}", interval)


def _trainings(data: Mapping[str, Any]) -> str:
    """What each training was and what came of each seed."""
    body = []
    for each in data["trainings"]:
        seed = each["HR@10"]
        body.append(
            [
                each["variant"],
                each["seed"],
                f"{each['minutes']:.1f}",
                f"{each['steps']:,}",
                f"{each['contexts seen']:,}",
                f"{each['trained parameters'] / 1e6:.2f}",
                f"{each['parameters'] / 1e6:.1f}",
                *(f"{seed[task]:.3f}" for task in seed),
            ]
        )
    tasks = [f"HR@10 {task}" for task in data["trainings"][0]["HR@10"]]
    head = ["training", "seed", "minutes", "steps", "contexts seen", "trained parameters (M)", "parameters (M)", *tasks]
    return markdown_table(head, body)


def _about(data: Mapping[str, Any]) -> str:
    seeds = ", ".join(str(seed) for seed in data.get("seeds") or [data["seed"]])
    return f"Split: {data['split']}; training seeds {seeds}; {data['resamples']} bootstrap resamples, 95 % paired intervals over households."


def ablations(data: Mapping[str, Any]) -> str:
    """Differences from the whole system, HR@10 and NDCG@10, and the trainings behind them."""
    parts = [
        _about(data),
        "",
        grid([row for row in _of(data["results"], "hr") if row["recommender"] == "SIGMA"], "HR@10", interval),
    ]
    for metric, name in (("hr", "HR"), ("ndcg", "NDCG")):
        rows = [
            row
            for row in _of(data["differences"], metric)
            if row["recommender"] in data["others"] or "SIGMA, " in row["recommender"]
        ]
        if rows:
            parts += ["", grid(rows, f"{name}@10, minus SIGMA", change)]
    return "\n".join([*parts, "", _trainings(data), "", provenance(data)])


def trained(data: Mapping[str, Any]) -> str:
    """Means of systems that were trained within a budget, differences from the first, and the trainings."""
    rows = [row for row in _of(data["differences"], "hr") if row["recommender"] in data["others"]]
    parts = [_about(data), "", _means(data), "", _means(data, "ndcg", name="NDCG")]
    parts += ["", grid(rows, "HR@10, minus SIGMA", change)] if rows else []
    return "\n".join([*parts, "", _trainings(data), "", provenance(data)])


def wordings(data: Mapping[str, Any]) -> str:
    """Seen against unseen wordings, the ten worst of them, what is heard, what lists share."""
    named = [{**row, "recommender": _worded(row["recommender"])} for row in data["results"]]
    parts = [f"Split: {data['split']}, seed {data['seed']}; every example asked in an unseen and in a seen wording.", ""]
    for metric, name in (("hr", "HR"), ("constraint", "Constraint kept")):
        rows = _of(named, metric)
        if rows:
            parts += [grid(rows, f"{name}@10", interval), ""]
    paired = [row for row in _of(data["differences"], "hr") if row["recommender"] == "SIGMA, seen wordings"]
    parts += [grid(paired, "HR@10, minus unseen wordings", change), ""] if paired else []
    worst = [row for row in data["wordings"] if row["worst"]]
    body = [
        [row["task"], f"“{row['wording']}”", "seen" if row["seen"] else "unseen", row["n"], interval({**row, "mean": row["hr@10"]}),
         f"{row['against_task']:+.3f}", f"{row['heard']:.2f}"]
        for row in worst
    ]  # fmt: skip
    head = ["task", "its worst wordings", "in training", "n", "HR@10", "against the task's wordings", "heard as the task"]
    parts += [markdown_table(head, body), ""] if body else []
    tasks = list(dict.fromkeys(row["task"] for row in data["confusion"]))
    body = []
    for row in data["confusion"]:
        right, shares = interval({**row, "mean": row["right"]}), [f"{row[task]:.2f}" for task in tasks]
        body.append([f"{row['task']}, {'seen' if row['seen'] else 'unseen'}", row["n"], right, *shares])
    parts += [markdown_table(["asked", "n", "heard rightly", *(f"as {task}" for task in tasks)], body), ""]
    cell = {(row["task"], row["other"]): row for row in data["overlap"]}
    body = []
    for first in tasks:
        found = [cell.get((first, other)) or cell.get((other, first)) for other in tasks]
        body.append([first, *(interval({**row, "mean": row["shared"]}, 2) if row else "–" for row in found)])
    parts += [markdown_table(["items that two lists of ten share", *tasks], body), ""]
    return "\n".join([*parts, provenance(data)])


def _worded(name: str) -> str:
    side = "seen wordings" if "seen wordings" in name else "unseen wordings"
    return side + (", constraint as filter" if name.endswith("constraint as filter") else "")


def cold_start(data: Mapping[str, Any]) -> str:
    """Items and households without a past."""
    items = [row for row in data["results"] if row["view"].startswith("cold ")]
    users = [row for row in data["results"] if not row["view"].startswith("cold ")]
    held, whole = data["held_items"], data["items"]
    parts = [f"{held:,} of {whole:,} items held out of everything. Split: {data['split']}, seed {data['seed']}.", ""]
    if items:
        ranks = [row for row in items if row["metric"] == "rank"]
        parts += [grid(_of(items, "hr", 20), "HR@20 of held items", interval), ""]
        parts += [grid(ranks, "mean rank of held items, 0 = first, 1 = last", interval), ""]
        pairs = [row for row in _of(data["differences"], "hr", 20) if row["view"].startswith("cold ")]
        parts += [grid([{**row, "recommender": row["reference"]} for row in pairs], "HR@20, SIGMA minus", change), ""]
    if users:
        pairs = [row for row in _of(data["differences"], "hr", 10) if not row["view"].startswith("cold ")]
        parts += [grid(_of(users, "hr"), "HR@10", interval), ""]
        parts += [grid([{**row, "recommender": row["reference"]} for row in pairs], "HR@10, SIGMA minus", change), ""]
    return "\n".join([*parts, provenance(data)])
