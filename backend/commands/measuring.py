"""`evaluate` and `bench`: measuring quality and speed."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from backend.commands.bars import bars, cell, short, show, table, write_json
from backend.commands.options import LATER, check_arm, check_limit
from backend.errors import RequestError
from backend.progress import CancelToken

if TYPE_CHECKING:
    from backend.workspace import Workspace


def evaluate(args: argparse.Namespace, out: TextIO, cancel: CancelToken) -> None:
    """`evaluate`: the figures of the model and the baselines."""
    from backend.workspace import Workspace

    check_arm(args)
    check_limit(args.limit)
    others = []
    for text in args.compare:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise RequestError(f"{text[:60]!r} names no workspace", "--compare", "write it as NAME=DIR")
        others.append((name, Workspace.open(path)))
    workspace = Workspace.open(args.workspace)
    if args.recipe == "jd":
        _evaluate_jd(args, out, cancel, workspace, others)
        return
    if args.recipe == "sgrec":
        _evaluate_sgrec(args, out, cancel, workspace, others)
        return
    for one in (workspace, *(other for _, other in others)):
        for stage in ("dataset", "grounding", "tokens", "model"):
            one.fresh_stage(stage)
    from backend.evaluation.run import evaluate_workspace

    with bars() as report:
        done = evaluate_workspace(
            workspace, args.split, report, cancel, others=others, limit=args.limit, tune_baselines=args.tune
        )
    summary = done.summary()
    if args.json:
        write_json(out, summary)
        return
    show(out, _headline(summary["results"], f"{args.split} split, 95 % bootstrap intervals"))


def _evaluate_jd(
    args: argparse.Namespace, out: TextIO, cancel: CancelToken, workspace: Workspace, others: Sequence[tuple[str, Workspace]]
) -> None:
    """The figures of the second recipe: next items, invalid rates, translations."""
    for one in (workspace, *(other for _, other in others)):
        one.fresh_stage("jd")
    from backend.evaluation.jd import evaluate_jd

    with bars() as report:
        measured = evaluate_jd(workspace, args.split, report, cancel, others=others, limit=args.limit)
    if args.json:
        write_json(out, measured)
        return
    sides = {name: "right" if name in ("beams", "n", "of") else "left" for name in measured["rows"][0]}
    rows = [[cell(value) for value in row.values()] for row in measured["rows"]]
    wanted = ("hr", "ndcg", "recall")
    headline = [row for row in measured["results"] if row["slice"] == "all" and row["k"] == 10 and row["metric"] in wanted]
    show(
        out,
        _headline(headline, f"{args.split} split, next item, 95 % bootstrap intervals"),
        "",
        table(sides, rows, "beams and translations"),
    )


def _evaluate_sgrec(
    args: argparse.Namespace, out: TextIO, cancel: CancelToken, workspace: Workspace, others: Sequence[tuple[str, Workspace]]
) -> None:
    """The figures of a policy arm beside its start."""
    if others:
        raise RequestError("the recipe sgrec is compared with its own start", "--compare", "leave it out")
    workspace.fresh_stage("policy")
    from backend.alignment.evaluating import evaluate_arm

    with bars() as report:
        measured = evaluate_arm(workspace, args.arm, args.split, report, cancel, limit=args.limit)
    if args.json:
        write_json(out, measured)
        return
    wanted = ("hr", "ndcg", "recall", "value")
    headline = [row for row in measured["results"] if row["slice"] == "all" and row["k"] == 10 and row["metric"] in wanted]
    against = [row for row in measured["differences"] if row["k"] == 10 and row["metric"] in wanted]
    sides = {"task": "left", "view": "left", "at 10": "left", "arm minus start": "right", "95 % interval": "right", "n": "right"}
    rows = [
        [row["task"], row["view"], row["metric"], f"{row['diff']:+.4f}", f"{row['low']:+.4f} to {row['high']:+.4f}", row["n"]]
        for row in against
    ]
    title = f"{args.split} split, one fusion for both, 95 % bootstrap intervals"
    show(out, _headline(headline, title), "", table(sides, rows, "paired differences"))


def _headline(results: Sequence[Mapping[str, Any]], title: str) -> Any:
    """One line a task, view and recommender; one column a metric, with its interval."""
    metrics = list(dict.fromkeys(f"{row['metric']}@{row['k']}" for row in results))
    lines: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in results:
        line = lines.setdefault((row["task"], row["view"], row["recommender"]), {"n": row["n"]})
        line[f"{row['metric']}@{row['k']}"] = f"{row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
    sides = {"task": "left", "view": "left", "recommender": "left", "n": "right", **dict.fromkeys(metrics, "left")}
    return table(sides, [[*key, line["n"], *(line.get(name) for name in metrics)] for key, line in lines.items()], title)


def bench(args: argparse.Namespace, out: TextIO, cancel: CancelToken) -> None:
    """`bench`: measurements of this machine."""
    from backend import bench as benches

    if args.what not in benches.MEASURES:
        raise RequestError(f"bench {args.what} is not there yet", mend=LATER)
    if not 1 <= args.repeats <= 10_000:
        raise RequestError(f"{args.repeats} is no number of repeats", "--repeats", "give a number from 1 to 10000")
    extent = "quick" if args.quick else "full" if args.full else "default"
    if extent != "default" and args.what != "decode":
        raise RequestError(f"bench {args.what} has one extent only", f"--{extent}", "leave it out; it is for bench decode")
    with bars() as report:
        measured = benches.measure(args.what, args.workspace, args.repeats, report, cancel, extent)
    if args.json:
        write_json(out, measured)
        return
    kinds: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}  # rows that say the same things stand in one table
    for row in measured["rows"]:
        kinds.setdefault(tuple(row), []).append(row)
    tables: list[Any] = []
    for names, own in kinds.items():
        sides = {name: "right" if isinstance(own[0][name], (int, float)) else "left" for name in names}
        tables += [
            "",
            table(sides, [[short(each) if isinstance(each, Mapping) else each for each in row.values()] for row in own]),
        ]
    show(out, f"{args.what} on {measured['machine']}, commit {measured['commit']}, {measured['date']}", *tables)
