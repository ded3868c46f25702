"""`train --recipe sgrec`: the judge and the policies on a trained model."""

from __future__ import annotations

import argparse
from typing import Any, TextIO

from backend.bars import bars, show, table, write_json
from backend.commands.options import changes_of
from backend.errors import RequestError
from backend.progress import CancelToken

_SECTIONS = ("judge", "policy")
_TINY = {  # what --preset tiny means here
    "judge": {"held": 0.3, "weights": {"steps": 30}},
    "policy": {"contexts": 24, "held": 24, "batch": 8, "group": 8, "beams": 4, "seeds": [7]},
}


def align(args: argparse.Namespace, out: TextIO, cancel: CancelToken) -> None:
    """Train the judge and the arms, and say how they fared."""
    from pydantic import ValidationError

    changes = changes_of(args.set)
    odd = sorted(set(changes) - set(_SECTIONS))
    if odd or args.preset not in ("default", "tiny"):
        what = f"--set {odd[0]}" if odd else f"--preset {args.preset}"
        raise RequestError(
            f"{what} is no setting of the recipe sgrec", mend="it takes judge.FIELD, policy.FIELD, --preset default or tiny"
        )
    from backend.alignment.settings import PolicySettings
    from backend.alignment.training import align as train
    from backend.alignment.training import result
    from backend.judge.making import JudgeSettings
    from backend.workspace import Workspace

    def section(name: str, kind: type[Any]) -> Any:
        base = _TINY[name] if args.preset == "tiny" else {}
        try:
            return kind(**{**base, **changes.get(name, {})})
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise RequestError(f"impossible setting: {first['msg']}", f"{name}.{field}") from error

    judge, policy = section("judge", JudgeSettings), section("policy", PolicySettings)
    workspace = Workspace.open(args.workspace)
    workspace.check_writable()
    with bars() as report:
        train(workspace, judge, policy, 7 if args.seed is None else args.seed, report, cancel, resume=args.resume)
    found = result(workspace)
    if args.json:
        write_json(out, {"workspace": str(args.workspace), **found})
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
        f"aspects that the judge is used for: {', '.join(about['used']) or 'none'} ({about['labels']})",
        "",
        table(sides, rows),
    )
