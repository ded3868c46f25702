"""`experiment arms | judged-share | levers`: comparisons of policies on a trained model with a judge."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backend.commands.bars import bars, table
from backend.commands.options import changes_of
from backend.errors import RequestError
from backend.progress import CancelToken
from backend.workspace import Workspace

_SHOWN = (("value", "value@10, $"), ("judge", "judge score"), ("hr", "HR@10"), ("ndcg", "NDCG@10"), ("breadth", "categories"))


def compare(
    args: argparse.Namespace, workspace: Workspace, folder: Path, seeds: Sequence[int], cancel: CancelToken
) -> dict[str, Any]:
    """The result of a table of policies."""
    if args.finished or args.minutes is not None:
        raise RequestError(f"{args.what} trains no model", "--finished, --minutes", "leave them out")
    changes = changes_of(args.set)
    odd = sorted(set(changes) - {"policy"})
    if odd:
        raise RequestError(f"--set {odd[0]} is no setting of {args.what}", mend="it takes policy.FIELD")
    own: dict[str, Any] = {**changes.get("policy", {}), **({"seeds": list(seeds)} if seeds else {})}
    if args.limit is not None:
        own["held"] = args.limit
    workspace.fresh_stage("judge")
    from backend.experiments.policies import compare_policies, lines_of, settings_in

    lines = lines_of(args.what, settings_in(workspace), own, args.only)
    with bars() as report:
        return compare_policies(workspace, args.what, lines, folder, args.split, report, cancel)


def headline(found: Mapping[str, Any]) -> Any:
    """Each line's arms minus the start, with what the judge was asked."""
    cell = {(row["line"], row["arm"], row["metric"]): row for row in found["rows"]}
    sides = {"line": "left", "arm": "left", **{name: "left" for _, name in _SHOWN}, "items judged a run": "right"}
    body = []
    for line, arm in dict.fromkeys((row["line"], row["arm"]) for row in found["rows"]):
        training = cell.get((line, arm, "training"))
        if training is None:
            continue
        told = [cell[line, arm, metric] for metric, _ in _SHOWN]
        cells = [f"{row['diff']:+.3f} [{row['diff_low']:+.3f}, {row['diff_high']:+.3f}]" for row in told]
        body.append([line, arm, *cells, f"{training['judge_calls']:,.0f}"])
    return table(
        sides, body, f"minus the start, {found['split']} split, seeds {', '.join(map(str, found['seeds']))}, 95 % intervals"
    )
