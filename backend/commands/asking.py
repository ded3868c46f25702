"""`recommend`: one list for each instruction. Everything that can be wrong is checked before the model is loaded."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from backend.commands.bars import cell, show, table, write_json
from backend.commands.options import check_arm
from backend.errors import RequestError
from backend.progress import CancelToken

if TYPE_CHECKING:
    from backend.generation.request import Request
    from backend.workbench import Recommendation, Workbench

_NEEDED = {  # stages, by recipe
    "sigma": ("grounding", "tokens", "model"), "jd": ("grounding", "jd"), "sgrec": ("grounding", "tokens", "model", "policy"),
}  # fmt: skip
MAX_LINES = 100_000  # of an --instructions file
MAX_BYTES = 64 << 20


def recommend(args: argparse.Namespace, out: TextIO, cancel: CancelToken) -> None:
    """`recommend`: one list for each instruction. Everything that can be wrong is checked before the model is loaded."""
    check_arm(args)
    texts = [args.instruction] if args.instruction is not None else _lines(args.instructions)
    _check_texts(texts, args.instructions)
    from backend.workbench import Workbench

    bench = Workbench.open(args.workspace)
    requests = _requests(bench, texts, args)
    if args.recipe == "jd":
        _recommend_jd(bench, requests, args.json, out, cancel)
        return
    if args.recipe == "sgrec":
        bench = bench.sgrec.bench(args.arm)
    bench.generator()  # loaded before the clock of the first request runs
    for request in requests:
        cancel.check()
        answer = bench.recommend(request)
        if args.json:
            write_json(out, as_json(request, answer))
        else:
            show(out, *_drawn(bench, request, answer))


def _recommend_jd(bench: Workbench, requests: Sequence[Request], json: bool, out: TextIO, cancel: CancelToken) -> None:
    """The lists of the second recipe."""
    bench.jd.generator()
    for request in requests:
        cancel.check()
        answer = bench.jd.recommend(request, free_too=False)
        if json:
            write_json(out, as_json(request, answer))
            continue
        rows = [
            [row["rank"], row["title"], row["category"], f"{row['price']:.2f}", row["score"], row["prefix"]]
            for row in answer.items.to_dict("records")
        ]
        sides = {"#": "right", "item": "left", "category": "left", "$": "right", "P": "right", "semantic ID": "left"}
        steps = " · ".join(f"{name} {value:.0f} ms" for name, value in answer.timings_ms.items())
        who = f"“{request.instruction}” for household {request.user} (recipe jd)"
        show(out, who, "", table(sides, rows), "", *(f"note: {note}" for note in answer.notes), steps, "")


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

    from backend.generation.filters import allowed_items
    from backend.generation.request import Request
    from backend.instructions.prices import parse_price

    highest = None if args.max_price is None else parse_price(args.max_price, "--max-price")
    total = None if args.max_total is None else parse_price(args.max_total, "--max-total")
    try:
        fusion = type(bench.fusion())(**{**bench.fusion().model_dump(), "top": args.top})
    except ValidationError as error:
        raise RequestError(f"{args.top} is no length of a list", "--top", "give a number from 1 to 1000") from error
    for name in _NEEDED[args.recipe]:
        bench.workspace.fresh_stage(name)
    user = bench.example_shopper() if args.user is None else args.user
    people = bench.lookup.people
    try:
        people.user_row(user)
    except RequestError as error:
        raise RequestError(error.what, "--user", error.mend) from error
    made = [
        Request(
            instruction=text,
            user=user,
            category=args.category,
            max_price=highest,
            max_total=total,
            exclude=tuple(args.exclude),
            deals=args.deals,
            theme=args.theme,
            seen=args.seen,
            fusion=fusion,
        )
        for text in texts
    ]
    allowed_items(bench.dataset, made[0], np.zeros(0, np.int64), people.item_rows)  # raises for an unknown category
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
