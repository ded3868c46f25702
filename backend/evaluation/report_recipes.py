"""README sections of the further recipes, drawn from what `evaluate --recipe jd --json` printed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.evaluation.markdown import Rows, change, grid, interval, markdown_table, provenance


def jd(data: Mapping[str, Any]) -> str:
    """Next items by full semantic IDs: lists against the baselines, by activity, what the constraint does, titles and SIDs."""
    whole = [row for row in data["results"] if row["slice"] == "all" and row["k"] == 10]
    parts = [
        f"Split: {data['split']}, {data['households']:,} households, seed {data['seed']}, {data['steps']:,} training steps; "
        f"{data['resamples']} bootstrap resamples, 95 % intervals. JustForYou alone: the recipe knows one task.",
        "",
    ]
    for metric, name in (("hr", "HR@10"), ("ndcg", "NDCG@10")):
        parts += [grid([row for row in whole if row["metric"] == metric], name, interval), ""]
    own = data["others"][0]
    pairs = [
        row for row in data["differences"] if row["recommender"] == own and row["metric"] == "hr" and row["reference"] != own
    ]
    parts += [grid([{**row, "recommender": row["reference"]} for row in pairs], f"HR@10, {own}, minus", change), ""]
    others = [
        row for row in data["differences"] if row["reference"] == own and row["recommender"] != own and row["metric"] == "hr"
    ]
    parts += [grid(others, f"HR@10, minus {own}", change), ""] if others else []
    parts += [_lists(whole), "", _activity(data["results"]), "", _beams(data["rows"]), ""]
    return "\n".join([*parts, provenance(data)])


def _lists(rows: Rows) -> str:
    """What else the lists are like."""
    named = (("diversity", "diversity in the list"), ("novelty", "novelty, bits"), ("breadth", "categories in the list"))
    cell = {(row["recommender"], row["metric"]): row for row in rows if row["view"] == "all"}
    names = list(dict.fromkeys(name for name, _ in cell))
    body = [[name, *(f"{cell[name, metric]['mean']:.3g}" for metric, _ in named)] for name in names]
    return markdown_table(["lists of ten, all items", *(title for _, title in named)], body)


def _activity(rows: Rows) -> str:
    """HR@10 by how often a household shops."""
    cells = {
        (row["recommender"], row["slice"]): row
        for row in rows
        if row["metric"] == "hr" and row["k"] == 10 and row["view"] == "all" and row["slice"] != "all"
    }
    slices = list(dict.fromkeys(name for _, name in cells))
    names = list(dict.fromkeys(name for name, _ in cells))
    counts = [next(row["n"] for (_, own), row in cells.items() if own == name) for name in slices]
    head = ["HR@10 by activity", *(f"{name} (n={n:,})" for name, n in zip(slices, counts, strict=True))]
    return markdown_table(head, [[name, *(interval(cells[name, own]) for own in slices)] for name in names])


def _beams(rows: Rows) -> str:
    """Invalid SIDs, milliseconds, titles."""
    body = []
    for row in rows:
        value = f"{row['value']:.3g}"
        if row["low"] is not None:
            value = interval({**row, "mean": row["value"]})
        body.append([row["model"], row["what"], row["beams"] or "–", value, f"{row['n']:,}"])
    return markdown_table(["model", "what", "beams", "value", "n"], body)
