"""`train --recipe sgrec`: the judge and the policies on a trained model."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, TextIO

from backend.commands.bars import bars, show, table, write_json
from backend.commands.options import changes_of, settings_of
from backend.errors import RequestError
from backend.progress import CancelToken

_SECTIONS = {"judge", "policy"}


def align(args: argparse.Namespace, out: TextIO, cancel: CancelToken) -> None:
    """Train the judge and the arms, and say how they fared."""
    odd = sorted(set(changes_of(args.set)) - _SECTIONS)
    if odd:
        raise RequestError(f"--set {odd[0]} is no setting of the recipe sgrec", mend="it takes judge.FIELD and policy.FIELD")
    settings = settings_of(args)
    from backend.alignment.training import align as train
    from backend.alignment.training import result
    from backend.workspace import Workspace

    workspace = Workspace.open(args.workspace)
    workspace.check_writable()
    with bars() as report:
        train(workspace, settings.judge, settings.policy, settings.seed, report, cancel, resume=args.resume)
    found = result(workspace)
    if args.json:
        write_json(out, found)
        return
    about = workspace.stage("judge").metrics
    rows = [
        [
            row["arm"],
            row["metric"],
            row["mean"],
            f"{row['diff']:+.4f}",
            f"{row['diff_low']:+.4f} to {row['diff_high']:+.4f}",
            row["n"],
        ]
        for row in found["rows"]
        if row["metric"] != "training"
    ]
    sides = {"arm": "left", "at 10": "left", "mean": "right", "minus sft": "right", "95 % interval": "right", "n": "right"}
    show(
        out,
        *_judged(about, found.get("judge") or {}),
        "",
        table(sides, rows),
    )


def _judged(about: Mapping[str, Any], paid: Mapping[str, Any]) -> list[str]:
    """Who rewarded, for which aspects, and what an endpoint has cost."""
    lines = [f"aspects that the student is used for: {', '.join(about['used']) or 'none'} ({about['labels']})"]
    teacher = about.get("teacher")
    if teacher:
        lines.append(f"rollouts were rewarded by {teacher['name']}, used for: {', '.join(teacher['used'])}")
    total = paid.get("total") or {}
    if "requests" in total:
        lines.append(
            f"it was asked {total['requests']:,.0f} times ({total['cached']:,.0f} answers were kept from before): "
            f"{total['tokens_in']:,.0f} tokens sent, {total['tokens_out']:,.0f} answered, ${total['dollars']:,.2f}"
        )
    return lines
