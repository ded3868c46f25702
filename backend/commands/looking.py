"""`info`: what a workspace holds."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, TextIO

from backend.commands.bars import short, show, table, write_json
from backend.progress import CancelToken


def info(args: argparse.Namespace, out: TextIO, cancel: CancelToken) -> None:
    """`info`: stages, figures, example households, categories."""
    from backend.errors import WorkspaceError
    from backend.workbench import Workbench

    bench = Workbench.open(args.workspace)
    found = bench.info()
    problems = list(found.problems)
    catalogue: dict[str, Any] = {}
    if found.stages["dataset"].state in ("ok", "stale"):
        try:
            shoppers = bench.shoppers()
            example = bench.example_shopper()
            others = shoppers["user_id"].iloc[:: max(1, len(shoppers) // 5)].head(5)
            catalogue = {
                "items": bench.dataset.n_items,
                "households": len(shoppers),
                "example_users": list(dict.fromkeys([example, *others])),
                "departments": bench.departments(),
                "categories": bench.categories()["category"].tolist(),
            }
        except WorkspaceError as error:
            problems.append(str(error))
    if args.json:
        stages = {name: vars(stage) for name, stage in found.stages.items()}
        write_json(out, {"workspace": found.path, "demo": found.demo, "state": found.state, "usable": found.usable, "stages": stages,
                         "problems": problems, **catalogue})  # fmt: skip
        return
    lines = [
        f"workspace {found.path}{' (the shipped demo, read-only)' if found.demo else ''}",
        "",
        stage_table(found.stages),
        "",
    ]
    if catalogue:
        lines += [
            f"{catalogue['items']:,} items in {len(catalogue['categories']):,} categories of {len(catalogue['departments'])} departments "
            f"(names: --json), {catalogue['households']:,} households",
            f"households to try: {', '.join(catalogue['example_users'])}",
        ]
    lines += [f"settings of {name}: {short(stage.settings)}" for name, stage in found.stages.items() if stage.settings]
    lines += [f"note: {problem}" for problem in problems]
    lines += [f"run `{stage.command}`" for stage in found.stages.values() if stage.state != "ok"][:1]
    show(out, *lines)


def stage_table(stages: Mapping[str, Any]) -> Any:
    """State and figures of some stages as a table."""
    rows = [
        [name, stage.state, stage.date[:10], None if stage.seconds is None else f"{stage.seconds:,.0f} s", short(stage.metrics)]
        for name, stage in stages.items()
    ]
    return table({"stage": "left", "state": "left", "made": "left", "took": "right", "figures": "left"}, rows)
