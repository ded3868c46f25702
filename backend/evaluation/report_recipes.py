"""README sections of the further recipes, drawn from what `evaluate --recipe jd --json` and `train --recipe sgrec --json` printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def representations(data: Mapping[str, Any]) -> str:
    """Ways to write an item, side by side: one line each, then all beams, then paired differences."""
    names = [row["representation"] for row in data["representations"]]
    whole = [row for row in data["results"] if row["slice"] == "all" and row["k"] == 10]
    steps = sorted({row["steps"] for row in data["trainings"]})
    said = f"{steps[0]:,}" if len(steps) == 1 else f"{steps[0]:,} to {steps[-1]:,}"
    parts = [
        f"Split: {data['split']}, {data['households']:,} households, seed {data['seed']}, {said} training steps each; {data['resamples']} bootstrap "
        "resamples, 95 % intervals. JustForYou alone.",
        "",
        _written(data, names, whole),
        "",
    ]
    for metric, name in (("hr", "HR@10"), ("ndcg", "NDCG@10")):
        parts += [grid([row for row in whole if row["metric"] == metric], name, interval), ""]
    own = data["others"][0]
    for metric, name in (("hr", "HR@10"), ("ndcg", "NDCG@10")):
        pairs = [row for row in data["differences"] if row["reference"] == own and row["metric"] == metric]
        parts += [grid(pairs, f"{name}, minus {own}", change), ""]
    parts += [_lists(whole), "", _activity(data["results"]), ""]
    return "\n".join([*parts, provenance(data)])


def _written(data: Mapping[str, Any], names: Sequence[str], whole: Rows) -> str:
    """What each way of writing costs and gives, along the trie with a beam of 20."""
    cost = {row["representation"]: row for row in data["representations"]}
    trained = {row["representation"]: row for row in data["trainings"]}
    figure = {(row["recommender"], row["view"], row["metric"]): row for row in whole}
    beam = {(row["model"], row["beams"], row["what"]): row for row in data["rows"]}
    body = []
    for name in names:
        along = f"{name}, constrained beam 20"
        free = [beam[name, beams, "invalid SIDs, free beam"] for beams in (20, 50)]
        bound = [beam[name, beams, "invalid SIDs, constrained beam"] for beams in (20, 50)]
        speed = [beam[name, beams, "ms a request, constrained beam, median"] for beams in (20, 50)]
        body.append(
            [
                name,
                f"{cost[name]['tokens']:.3g}",
                f"{cost[name]['branching']:.3g}",
                f"{cost[name]['first_purity']:.2f}",
                f"{cost[name]['shared']:,}",
                *(interval(figure[along, view, metric]) for view, metric in (("all", "hr"), ("all", "ndcg"), ("new", "hr"))),
                *(interval({**row, "mean": row["value"]}) for row in free),
                " / ".join(f"{row['value']:.3f}".removeprefix("0") for row in bound),
                " / ".join(f"{row['value']:.3g}" for row in speed),
                f"{trained[name]['minutes']:.1f}",
                f"{trained[name]['parameters'] / 1e6:.2f}",
            ]
        )
    head = ["representation", "tokens an item", "branching", "purity of the first token", "items written like another", "HR@10", "NDCG@10",
            "HR@10, new items", "invalid, free beam 20", "invalid, free beam 50", "invalid along the trie, beam 20 / 50",
            "ms a request, beam 20 / 50", "training minutes", "parameters (M)"]  # fmt: skip
    return markdown_table(head, body)


def _lists(rows: Rows) -> str:
    """What else the lists are like."""
    named = (("diversity", "diversity in the list"), ("novelty", "novelty, bits"), ("breadth", "categories in the list"))
    cell = {(row["recommender"], row["metric"]): row for row in rows if row["view"] == "all"}
    names = list(dict.fromkeys(name for name, _ in cell))
    found = [[cell.get((name, metric)) for metric, _ in named] for name in names]
    body = [[name, *(f"{row['mean']:.3g}" if row else "–" for row in own)] for name, own in zip(names, found, strict=True)]
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


_POLICY = (("value", "value@10, $"), ("judge", "judge score (proxy)"), ("hr", "HR@10"), ("ndcg", "NDCG@10"), ("recall", "Recall@10"),
           ("novelty", "novelty, bits"), ("breadth", "categories"))  # fmt: skip
_LOOKS = (("steps", "steps"), ("agreement", "signs agree"), ("coefficient", "mean λ"), ("dead", "dead groups"), ("judge_calls", "judge calls"),
          ("seconds", "seconds"))  # fmt: skip


def policy(data: Mapping[str, Any]) -> str:
    """All arms from one start: differences on held-out baskets, and what training looked like."""
    cell = {(row["arm"], row["metric"]): row for row in data["rows"] if row.get("k") in (10, None) and "arm" in row}
    arms = list(dict.fromkeys(arm for arm, _ in cell))
    seeds = data["seeds"] if isinstance(data["seeds"], Sequence) else [data["seeds"]]
    start = [cell[arms[0], metric] for metric, _ in _POLICY if (arms[0], metric) in cell]
    parts = [
        f"Split: {data['split']}, {start[0]['n']:,} households; training seeds {', '.join(map(str, seeds))}, means over them; "
        "95 % paired intervals over households. "
        f"{data['labels'].capitalize()}.",
        "",
    ]
    shown = [(metric, name) for metric, name in _POLICY if (arms[0], metric) in cell]
    body = [[f"{arms[0]} (the start)", *(f"{cell[arms[0], metric]['mean']:.3f}" for metric, _ in shown)]]
    for arm in arms[1:]:
        own = [cell[arm, metric] for metric, _ in shown]
        body.append([arm, *(change({**row, "low": row["diff_low"], "high": row["diff_high"]}, 4) for row in own)])
    parts += [markdown_table(["minus the start", *(name for _, name in shown)], body), ""]
    trained = [cell[arm, "training"] for arm in arms if (arm, "training") in cell]
    body = [[row["arm"], *("–" if row.get(key) is None else f"{row[key]:.3g}" for key, _ in _LOOKS)] for row in trained]
    parts += [markdown_table(["training, a seed", *(name for _, name in _LOOKS)], body), ""]
    return "\n".join([*parts, provenance(data)])


def lines(data: Mapping[str, Any]) -> str:
    """A table of policies: each line's arms minus the common start, beside what the judge was asked."""
    cell = {(row["line"], row["arm"], row["metric"]): row for row in data["rows"]}
    seeds = ", ".join(map(str, data["seeds"]))
    trained = [(line, arm) for line, arm, metric in cell if metric == "training"]
    first = next(row for row in data["rows"] if "n" in row)
    body = []
    for line, arm in trained:
        own = [cell[line, arm, metric] for metric, _ in _POLICY]
        told = [change({**row, "low": row["diff_low"], "high": row["diff_high"]}, 4) for row in own]
        body.append([line, arm, *told, f"{cell[line, arm, 'training']['judge_calls']:,.0f}"])
    head = ["line", "arm, minus the start", *(name for _, name in _POLICY), "items judged, a run"]
    about = f"Split: {data['split']}, {first['n']:,} households; training seeds {seeds}; 95 % paired intervals over households. "
    return "\n".join([about + f"{data['labels'].capitalize()}.", "", markdown_table(head, body), "", provenance(data)])
