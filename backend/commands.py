"""What the commands of the command line do. Heavy libraries are imported where they are needed, after the request is known to make sense."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from backend.bars import bars, cell, show, table, write_json
from backend.errors import RequestError
from backend.progress import CancelToken
from backend.settings import Settings, load_preset

if TYPE_CHECKING:
    from backend.generation.request import Request
    from backend.workbench import Recommendation, Workbench

MAX_LINES = 100_000  # of an --instructions file
MAX_BYTES = 64 << 20
_LATER = "it comes with a later release; see CHANGELOG.md"


def run(args: argparse.Namespace, out: TextIO, cancel: CancelToken) -> None:
    """Run the command that was parsed.

    Args:
        out: where the answer goes.

    Raises:
        SigmascopeError: the request cannot be served; says what, where and how to mend it.
        Cancelled: interrupted.
    """
    {"build": build, "train": train, "evaluate": evaluate, "recommend": recommend, "info": info, "bench": bench}[args.command](
        args, out, cancel
    )


# settings ---------------------------------------------------------------------------------------------------------------


def settings_of(args: argparse.Namespace) -> Settings:
    """Preset, --seed, --source, --path, --backbone and --set together; the later ones win.

    Raises:
        RequestError: unknown preset, unknown or impossible setting.
    """
    changes: dict[str, Any] = {}
    if args.seed is not None:
        changes["seed"] = args.seed
    data = {"source": getattr(args, "source", None), "path": getattr(args, "path", None)}
    if data["path"]:
        data["path"] = str(Path(data["path"]).expanduser().resolve())  # a workspace is built again from anywhere
    data = {name: value for name, value in data.items() if value is not None}
    if data:
        changes["data"] = data
    if getattr(args, "backbone", None):
        changes["model"] = {"backbone": args.backbone}
    for text in args.set:
        name, equals, value = text.partition("=")
        section, dot, field = name.strip().partition(".")
        if not equals or not section or (dot and not field):
            raise RequestError(
                f"--set {text[:60]!r} is no setting", mend="write it as SECTION.FIELD=VALUE, e.g. train.max_minutes=5"
            )
        if not dot:
            changes[section] = _value(value)
        elif not isinstance(changes.setdefault(section, {}), dict):
            raise RequestError(f"{section} has no fields", f"--set {text[:60]}", "write it as SECTION.FIELD=VALUE")
        else:
            changes[section][field] = _value(value)
    return load_preset(args.preset, **changes)


def _value(text: str) -> Any:
    """A JSON value (5, true, null, ["a"]), or the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


# building and training --------------------------------------------------------------------------------------------------


def build(args: argparse.Namespace, out: TextIO, cancel: CancelToken) -> None:
    """`build`: dataset, grounding and tokens."""
    if args.source in ("amazon", "movielens"):
        raise RequestError(f"the source {args.source!r} cannot be read yet", "--source", _LATER)
    settings = settings_of(args)
    from backend.workspace import Workspace

    workspace = Workspace(args.workspace)
    workspace.check_writable()
    from backend import pipeline

    with bars() as report:
        pipeline.build(workspace, settings, report, cancel)
    _made(args, out, ("dataset", "grounding", "tokens"), f"next: python -m backend train --workspace {args.workspace}")


def train(args: argparse.Namespace, out: TextIO, cancel: CancelToken) -> None:
    """`train`: the model."""
    _only_sigma(args.recipe)
    settings = settings_of(args)
    from backend.data.store import dataset_settings
    from backend.workspace import Workspace

    workspace = Workspace.open(args.workspace)
    workspace.check_writable()
    workspace.fresh_stage("tokens")
    settings = settings.model_copy(
        update={"data": dataset_settings(workspace)}
    )  # the tables are what they are: same dates, same source
    from backend import pipeline

    with bars() as report:
        pipeline.train(workspace, settings, report, cancel, resume=args.resume)
    _made(args, out, ("model",), f"next: python -m backend evaluate --workspace {args.workspace}")


def _made(args: argparse.Namespace, out: TextIO, stages: Sequence[str], following: str) -> None:
    """Say what was made: the stages as `info` shows them."""
    from backend.health import inspect
    from backend.workspace import Workspace

    found = {name: stage for name, stage in inspect(Workspace.open(args.workspace)).stages.items() if name in stages}
    if args.json:
        write_json(out, {"workspace": str(args.workspace), "stages": {name: vars(stage) for name, stage in found.items()}})
        return
    show(out, _stage_table(found), "", following)


def evaluate(args: argparse.Namespace, out: TextIO, cancel: CancelToken) -> None:
    """`evaluate`: the figures of the model and the baselines."""
    from backend.workspace import Workspace

    workspace = Workspace.open(args.workspace)
    for name in ("dataset", "tokens", "model"):
        workspace.fresh_stage(name)
    from backend.evaluation.run import evaluate_workspace

    with bars() as report:
        done = evaluate_workspace(workspace, args.split, report, cancel)
    if args.json:
        write_json(out, done.summary())
        return
    for title, frame in done.tables.items():
        sides = {str(name): "right" if frame[name].dtype.kind in "if" else "left" for name in frame.columns}
        show(out, table(sides, frame.astype(object).to_numpy().tolist(), title), "")


# asking -----------------------------------------------------------------------------------------------------------------


def recommend(args: argparse.Namespace, out: TextIO, cancel: CancelToken) -> None:
    """`recommend`: one list for each instruction. Everything that can be wrong is checked before the model is loaded."""
    _only_sigma(args.recipe)
    texts = [args.instruction] if args.instruction is not None else _lines(args.instructions)
    _check_texts(texts, args.instructions)
    from backend.workbench import Workbench

    bench = Workbench.open(args.workspace)
    requests = _requests(bench, texts, args)
    for request in requests:
        cancel.check()
        answer = bench.recommend(request)
        if args.json:
            write_json(out, as_json(request, answer))
        else:
            show(out, *_drawn(bench, request, answer))


def _only_sigma(recipe: str) -> None:
    if recipe != "sigma":
        raise RequestError(f"the recipe {recipe!r} is not there yet", "--recipe", _LATER)


def _lines(name: str) -> list[str]:
    """The instructions of a file, empty lines left out.

    Raises:
        RequestError: no such file, not UTF-8 text, empty or too large.
    """
    path = Path(name)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise RequestError("the file is too large", name, f"split it into files of {MAX_BYTES >> 20} MiB at most")
        texts = [line for line in path.read_text("utf-8-sig").split("\n") if line.strip()]
    except UnicodeDecodeError as error:
        raise RequestError("the file is not UTF-8 text", f"{name}, byte {error.start}", "save it as UTF-8") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RequestError(f"the file of instructions cannot be read: {reason}", name, "name a text file") from error
    if not texts:
        raise RequestError("the file holds no instruction", name, "write one instruction a line")
    if len(texts) > MAX_LINES:
        raise RequestError(f"the file holds {len(texts):,} instructions", name, f"split it into files of {MAX_LINES:,} at most")
    return [line.rstrip("\r") for line in texts]


def _check_texts(texts: Sequence[str], file: str | None) -> None:
    from backend.instructions.prices import read_limits
    from backend.instructions.templates import sanitise

    for number, text in enumerate(texts, start=1):
        try:
            read_limits(sanitise(text))
        except RequestError as error:
            place = ", ".join(part for part in (f"{file}, instruction {number}" if file else "", error.where) if part)
            raise RequestError(error.what, place, error.mend) from error


def _requests(bench: Workbench, texts: Sequence[str], args: argparse.Namespace) -> list[Request]:
    """The requests, checked against the tables: household, category, prices, length; and the stages that the model needs."""
    import numpy as np
    from pydantic import ValidationError

    from backend.data import schema
    from backend.generation.filters import allowed_items
    from backend.generation.request import Request
    from backend.instructions.prices import parse_price

    highest = None if args.max_price is None else parse_price(args.max_price, "--max-price")
    try:
        fusion = type(bench.fusion())(**{**bench.fusion().model_dump(), "top": args.top})
    except ValidationError as error:
        raise RequestError(f"{args.top} is no length of a list", "--top", "give a number from 1 to 1000") from error
    for name in ("grounding", "tokens", "model"):
        bench.workspace.fresh_stage(name)
    users = bench.dataset.users[schema.USER]
    user = bench.example_shopper() if args.user is None else args.user
    if not (users == user).any():
        raise RequestError(f"unknown household {user[:40]!r}", "--user", "`python -m backend info` shows example ids")
    made = [
        Request(instruction=text, user=user, category=args.category, max_price=highest, seen=args.seen, fusion=fusion)
        for text in texts
    ]
    allowed_items(bench.dataset, made[0], np.zeros(0, np.int64), {})  # raises for an unknown category
    return made


def as_json(request: Request, answer: Recommendation) -> dict[str, Any]:
    """The contract's object."""
    return {
        "instruction": request.instruction,
        "user": request.user,
        "reading": {name: answer.reading[name] for name in ("task", "filters", "unknown")},
        "items": [
            {
                **{name: row[name] for name in ("rank", "item_id", "title", "category", "price", "score", "prefix")},
                "source": {name: row[f"source_{name}"] for name in ("department", "category", "type")},
            }
            for row in answer.items.to_dict("records")
        ],
        "timings_ms": dict(answer.timings_ms),
    }


def _drawn(bench: Workbench, request: Request, answer: Recommendation) -> list[Any]:
    """The list as a table, with who was asked for, what was understood, and the notes."""
    profile = bench.shopper(str(request.user), baskets=0).profile
    reading = answer.reading
    filters = ", ".join(f"{name.replace('_', ' ')} {cell(value)}" for name, value in reading["filters"].items()) or "none"
    unknown = f" · not understood: {', '.join(reading['unknown'])}" if reading["unknown"] else ""
    rows = [
        [row["rank"], row["title"], row["category"], f"{row['price']:.2f}", row["score"], row["prefix"], row["why"]]
        for row in answer.items.to_dict("records")
    ]
    sides = {"#": "right", "item": "left", "category": "left", "$": "right", "score": "right", "prefix": "left", "why": "left"}
    steps = " · ".join(f"{name} {value:.0f} ms" for name, value in answer.timings_ms.items() if name != "answer")
    return [
        f"“{request.instruction}” for household {request.user} ({profile})",
        f"task: {reading['task']} · filters: {filters}{unknown}",
        "",
        table(sides, rows),
        "",
        *(f"note: {note}" for note in answer.notes),
        steps,
        "",
    ]


# looking ----------------------------------------------------------------------------------------------------------------


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
        _stage_table(found.stages),
        "",
    ]
    if catalogue:
        lines += [
            f"{catalogue['items']:,} items in {len(catalogue['categories']):,} categories of {len(catalogue['departments'])} departments "
            f"(names: --json), {catalogue['households']:,} households",
            f"households to try: {', '.join(catalogue['example_users'])}",
        ]
    lines += [f"settings of {name}: {_short(stage.settings)}" for name, stage in found.stages.items() if stage.settings]
    lines += [f"note: {problem}" for problem in problems]
    lines += [f"run `{stage.command}`" for stage in found.stages.values() if stage.state != "ok"][:1]
    show(out, *lines)


def _stage_table(stages: Mapping[str, Any]) -> Any:
    rows = [
        [name, stage.state, stage.date[:10], None if stage.seconds is None else f"{stage.seconds:,.0f} s", _short(stage.metrics)]
        for name, stage in stages.items()
    ]
    return table({"stage": "left", "state": "left", "made": "left", "took": "right", "figures": "left"}, rows)


def _short(values: Mapping[str, Any], most: int = 8) -> str:
    """The single values among some figures, on one line."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{inner}": each for inner, each in value.items()}
        else:
            flat[name] = value
    single = [f"{name} {cell(value)}" for name, value in flat.items() if isinstance(value, (str, int, float))]
    return ", ".join(single[:most]) + (" …" if len(single) > most else "")


def bench(args: argparse.Namespace, out: TextIO, cancel: CancelToken) -> None:
    """`bench`: measurements of this machine."""
    from backend import bench as benches

    if args.what not in benches.MEASURES:
        raise RequestError(f"bench {args.what} is not there yet", mend=_LATER)
    if not 1 <= args.repeats <= 10_000:
        raise RequestError(f"{args.repeats} is no number of repeats", "--repeats", "give a number from 1 to 10000")
    with bars() as report:
        measured = benches.measure(args.what, args.workspace, args.repeats, report, cancel)
    if args.json:
        write_json(out, measured)
        return
    names = list(measured["rows"][0]) if measured["rows"] else []
    sides = {name: "right" if isinstance(measured["rows"][0][name], (int, float)) else "left" for name in names}
    rows = [[_short(value) if isinstance(value, Mapping) else value for value in row.values()] for row in measured["rows"]]
    show(out, f"{args.what} on {measured['machine']}, commit {measured['commit']}, {measured['date']}", "", table(sides, rows))
