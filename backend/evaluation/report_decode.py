"""The README section of `bench decode`: what was asked of the trie kernel and what it does, then steps and whole generations.

A bar is read off all rows that it speaks of, and the worst of them counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.evaluation.markdown import Rows, markdown_table, provenance

_KERNEL = "trie kernel"
_FULL = "trie kernel, full normaliser"
_FREE = "no constraint, full normaliser"
_USUAL = "prefix_allowed_tokens_fn (transformers)"


@dataclass(frozen=True)
class Bar:
    """Something that was asked for.

    Attributes:
        most: the limit is the most that may be measured (True) or the least.
    """

    what: str
    limit: float
    unit: str
    measured: float
    where: str = ""
    most: bool = True

    @property
    def met(self) -> bool:
        """Whether it was reached."""
        return self.measured <= self.limit if self.most else self.measured >= self.limit


def bars(rows: Rows) -> Iterator[Bar]:
    """The bars that these rows say something of."""
    steps = [row for row in rows if row.get("method") == _KERNEL]
    for items, limit in ((100_000, 0.05), (1_000_000, 0.1)):
        own = [row for row in steps if row["items"] == items and row["beams"] == 50]
        if own:
            worst = max(own, key=lambda row: row["step_ms"])
            yield Bar(f"one step, {items:,} items, 50 beams", limit, "ms", worst["step_ms"], _shape(worst))
    for beams in sorted({row["beams"] for row in steps}):
        found = [
            (large["step_ms"] / small["step_ms"], _shape(large))
            for large in steps
            for small in steps
            if (large["items"], small["items"]) == (10_000_000, 10_000)
            and large["beams"] == small["beams"] == beams
            and _shape(large) == _shape(small)
        ]
        if found:
            yield Bar(f"a step's growth from 10,000 to 10,000,000 items, {beams} beams", 3, "×", *max(found))
    million = [row for row in steps if row["items"] == 1_000_000]
    if million:
        slow, large = max(million, key=lambda row: row["build_s"]), max(million, key=lambda row: row["bytes_per_item"])
        yield Bar("building 1,000,000 items", 1, "s", slow["build_s"], _shape(slow))
        yield Bar("memory of 1,000,000 items", 40, "MB", large["bytes_per_item"], _shape(large))
    if steps:
        yield Bar("outputs that no item has", 0, "", sum(row["illegal"] for row in steps), f"{len(steps)} catalogues and widths")
    whole = {(row["generation"], row["vocabulary"], row["beams"]): row for row in rows if "generation" in row}
    for name, vocabulary, beams in whole:
        if name != _FULL:
            continue
        ours = whole[name, vocabulary, beams]
        where = f"{vocabulary:,} tokens"
        usual, free = whole.get((_USUAL, vocabulary, beams)), whole.get((_FREE, vocabulary, beams))
        if usual and beams == 50:
            times = usual["ms_per_request"] / ours["ms_per_request"]
            same = f"{where}, {100 * ours['identical']:.0f} % of the answers identical"
            yield Bar(f"a whole generation against prefix_allowed_tokens_fn, {beams} beams", 10, "×", times, same, most=False)
        if ours.get("over_free") is not None:
            yield Bar(f"a whole generation over an unconstrained one, {beams} beams", 2, "%", 100 * ours["over_free"], where)
        elif free:
            more = 100 * (ours["ms_per_request"] / free["ms_per_request"] - 1)
            yield Bar(f"a whole generation over an unconstrained one, {beams} beams", 2, "%", more, where)


def section(data: Mapping[str, Any]) -> str:
    """Bars, steps at 50 beams (or the first width there is), generations."""
    rows = data["rows"]
    body = []
    for bar in bars(rows):
        sign = "≤" if bar.most else "≥"
        number = f"{bar.measured:.3g}" if bar.measured else "0"
        limit, measured = (f"{text} {bar.unit}".strip() for text in (f"{sign} {bar.limit:g}", number))
        body.append([bar.what, limit, measured, bar.where, "yes" if bar.met else "**no**"])
    parts = [
        markdown_table(["asked", "bar", "measured (the worst)", "where", "met"], body),
        "",
        _steps(rows),
        "",
        _whole(rows),
        "",
    ]
    return "\n".join([*parts, provenance(data)])


def _shape(row: Mapping[str, Any]) -> str:
    return f"{row['levels']} × {row['codes']:,}"


def _steps(rows: Rows) -> str:
    steps = [row for row in rows if "method" in row and row["build_s"]]
    widths = sorted({row["beams"] for row in steps})
    width = 50 if 50 in widths else widths[0]
    methods = list(dict.fromkeys(row["method"] for row in steps))
    cell = {(_shape(row), row["items"], row["method"]): row for row in steps if row["beams"] == width}
    body = []
    for shape, items in dict.fromkeys((shape, items) for shape, items, _ in cell):
        own: Sequence[Mapping[str, Any] | None] = [cell.get((shape, items, method)) for method in methods]
        ours = cell[shape, items, methods[0]]
        body.append(
            [shape, f"{items:,}", *(f"{row['step_ms']:.3g}" if row else "–" for row in own), f"{ours['build_s']:.3g}",
             f"{ours['bytes_per_item']:.3g}"]
        )  # fmt: skip
    return markdown_table([f"ms a step, {width} beams", "items", *methods, "build of the kernel, s", "bytes an item"], body)


def _whole(rows: Rows) -> str:
    whole = {(row["generation"], row["beams"], row["vocabulary"]): row for row in rows if "generation" in row}
    columns = list(dict.fromkeys((beams, vocabulary) for _, beams, vocabulary in whole))
    body = []
    for name in dict.fromkeys(name for name, _, _ in whole):
        own = [whole.get((name, *column)) for column in columns]
        first = next(row for row in own if row)
        body.append(
            [
                name,
                *(f"{row['ms_per_request']:.3g}" if row else "–" for row in own),
                f"{first['identical']:.0%}",
                f"{first['invalid']:.0%}",
            ]
        )
    heads = [f"{beams} beams, {vocabulary:,} tokens" for beams, vocabulary in columns]
    return markdown_table(["ms a whole generation", *heads, "same answers as prefix_allowed_tokens_fn", "invalid"], body)
