"""The health report in plain words: what is measured, which threshold it is held against, and what that means for recommending.

Thresholds are ours, named here once and shown beside each verdict. They separate "as expected" from "look here", not right from wrong: the first
level is made even on purpose, the later ones describe residuals, which no rule makes even.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Grade = Literal["good", "warn", "bad"]


@dataclass(frozen=True)
class Thresholds:
    """From where on a figure is worth a look (`warn`) or an alarm (`bad`)."""

    usage: tuple[float, float] = (0.95, 0.80)  # lowest share of codes in use over the levels; below
    first_perplexity: tuple[float, float] = (0.70, 0.40)  # perplexity of the first level / codes; below
    later_perplexity: tuple[float, float] = (0.40, 0.15)  # lowest of the later levels; below
    collisions: tuple[float, float] = (0.10, 0.50)  # share of items whose full SID is not their own; above
    skew: tuple[float, float] = (2.0, 4.0)  # largest first-level prefix / mean size; above
    purity: tuple[float, float] = (0.35, 0.15)  # share of items in their first prefix's commonest category; below


@dataclass(frozen=True)
class Verdict:
    """One judged figure; `sentence` is for a reader who knows no codebooks."""

    name: str
    value: float
    shown: str  # the figure as one would write it
    limits: str  # the thresholds in words
    grade: Grade
    sentence: str


def verdicts(health: Mapping[str, Any], codes: int, prefix_levels: int | None = None, soft_token: bool | None = None,
             thresholds: Thresholds | None = None) -> list[Verdict]:  # fmt: skip
    """Judge a health report.

    Args:
        health: of `semantic_ids.health`.
        codes: codebook size.
        prefix_levels, soft_token: of the model that uses the codes, where there is one: they decide what a collision costs.
        thresholds: None = the shipped ones.
    """
    limit, levels, n = thresholds or Thresholds(), health["levels"], int(health["items"])
    mean = n / max(1, levels[0]["prefixes"])
    return [
        _usage(levels, codes, limit.usage),
        _perplexity(levels, codes, limit),
        _collisions(int(health["collisions"]), n, len(levels), prefix_levels, soft_token, limit.collisions),
        _skew(int(health["largest_prefix"]), int(health["smallest_prefix"]), mean, limit.skew),
        _purity(levels[0]["purity"], limit.purity),
    ]


def _usage(levels: list[Mapping[str, Any]], codes: int, limits: tuple[float, float]) -> Verdict:
    worst = min(levels, key=lambda row: row["usage"])
    value = float(worst["usage"])
    dead = round((1 - value) * codes)
    said = (
        f"All {codes} codes of every level are in use." if dead == 0
        else f"{dead} of the {codes} codes of level {worst['level']} name nothing: the codebook is too large, or training lost them."
    )  # fmt: skip
    return Verdict("Usage", value, f"{value:.0%}", _below(limits, "{:.0%}"), _grade(value, limits), said)


def _perplexity(levels: list[Mapping[str, Any]], codes: int, limit: Thresholds) -> Verdict:
    first, later = levels[0], levels[1:] or levels
    worst = min(later, key=lambda row: row["perplexity"])
    grades = [
        _grade(first["perplexity"] / codes, limit.first_perplexity),
        _grade(worst["perplexity"] / codes, limit.later_perplexity) if len(levels) > 1 else "good",
    ]
    grade: Grade = "bad" if "bad" in grades else "warn" if "warn" in grades else "good"
    said = f"The first level is as even as {first['perplexity']:.3g} codes of equal size would be"
    if len(levels) > 1:
        said += f"; level {worst['level']}, the least even one, as {worst['perplexity']:.3g}"
        said += ": a few of its codes take most of the residuals." if worst["perplexity"] < 0.4 * codes else "."
    else:
        said += "."
    limits = (
        f"first level: {_below(limit.first_perplexity, '{:.0%}')} of the codes; later: {_below(limit.later_perplexity, '{:.0%}')}"
    )
    return Verdict("Perplexity", float(first["perplexity"]), f"{first['perplexity']:.3g} of {codes}", limits, grade, said)


def _collisions(count: int, n: int, levels: int, emitted: int | None, soft: bool | None, limits: tuple[float, float]) -> Verdict:
    share = count / n if n else 0.0
    grade = _grade(share, limits, high=True)
    said = f"{count:,} of {n:,} items share all {levels} codes with another."
    if count == 0:
        said = "Every item has a semantic ID of its own."
    elif soft and emitted is not None and emitted < levels:
        plural = "level" if emitted == 1 else "levels"
        said += f" This model emits {emitted} {plural} and tells items apart by their soft tokens, so that costs it nothing."
        grade = "good" if grade == "good" else "warn"  # no alarm where nothing is lost
    else:
        said += " A model that only emits codes cannot tell them apart."
    return Verdict("Collisions", share, f"{100 * share:.3g}%", _above(limits, "{:.0%}"), grade, said)


def _skew(largest: int, smallest: int, mean: float, limits: tuple[float, float]) -> Verdict:
    value = largest / mean if mean else 0.0
    said = f"First-level prefixes hold {smallest:,} to {largest:,} items, {mean:.3g} on average."
    if value > limits[0]:
        said += " The search inside the largest one is most of the work, and its first code says little."
    return Verdict("Skew", value, f"{value:.3g} ×", _above(limits, "{:g} ×"), _grade(value, limits, high=True), said)


def _purity(value: float, limits: tuple[float, float]) -> Verdict:
    said = f"{value:.0%} of the items lie in a first-level prefix whose commonest category is theirs."
    return Verdict("Meaning", value, f"{value:.0%}", _below(limits, "{:.0%}"), _grade(value, limits), said)


def _grade(value: float, limits: tuple[float, float], high: bool = False) -> Grade:
    warn, bad = limits
    if high:
        return "bad" if value > bad else "warn" if value > warn else "good"
    return "bad" if value < bad else "warn" if value < warn else "good"


def _below(limits: tuple[float, float], form: str) -> str:
    return f"look below {form.format(limits[0])}, alarm below {form.format(limits[1])}"


def _above(limits: tuple[float, float], form: str) -> str:
    return f"look above {form.format(limits[0])}, alarm above {form.format(limits[1])}"
