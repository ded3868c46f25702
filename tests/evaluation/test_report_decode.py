"""The bars of the decoding benchmark are read off rows, the worst of them, and a missed one is said to be missed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backend.evaluation.report import RESULTS
from backend.evaluation.report_decode import bars, section


def step(items: int, beams: int, ms: float, codes: int = 256, **more: Any) -> dict[str, Any]:
    return {"items": items, "levels": 4, "codes": codes, "beams": beams, "method": "trie kernel", "step_ms": ms, "worst_ms": ms, "build_s": 0.5,
            "bytes_per_item": 20.0, "illegal": 0, **more}  # fmt: skip


def whole(name: str, ms: float, **more: Any) -> dict[str, Any]:
    return {
        "generation": name,
        "vocabulary": 1024,
        "beams": 50,
        "threads": 1,
        "ms_per_request": ms,
        "identical": 1.0,
        "invalid": 0.0,
        **more,
    }


def met(rows: list[dict[str, Any]]) -> dict[str, tuple[float, bool]]:
    return {bar.what: (bar.measured, bar.met) for bar in bars(rows)}


def test_the_worst_shape_counts() -> None:
    found = met([step(100_000, 50, 0.02), step(100_000, 50, 0.06, codes=2048), step(1_000_000, 50, 0.09, bytes_per_item=41.0)])
    assert found["one step, 100,000 items, 50 beams"] == (0.06, False)
    assert found["one step, 1,000,000 items, 50 beams"] == (0.09, True)
    assert found["memory of 1,000,000 items"] == (41.0, False)
    assert found["building 1,000,000 items"] == (0.5, True)
    assert found["outputs that no item has"] == (0, True)
    assert met([step(10_000, 20, 0.1, illegal=1)])["outputs that no item has"] == (1, False)


def test_growth_is_taken_within_a_shape() -> None:
    rows = [
        step(10_000, 20, 0.01),
        step(10_000_000, 20, 0.02),
        step(10_000, 20, 0.02, codes=2048),
        step(10_000_000, 20, 0.08, codes=2048),
    ]
    assert met(rows)["a step's growth from 10,000 to 10,000,000 items, 20 beams"] == (4.0, False)


def test_generations() -> None:
    ours, free = whole("trie kernel, full normaliser", 50.0), whole("no constraint, full normaliser", 40.0)
    usual = whole("prefix_allowed_tokens_fn (transformers)", 600.0)
    found = met([usual, ours, free])
    assert found["a whole generation against prefix_allowed_tokens_fn, 50 beams"] == (12.0, True)
    assert found["a whole generation over an unconstrained one, 50 beams"] == (pytest.approx(25), False)
    paired = met([usual, {**ours, "over_free": 0.004}, free])
    assert paired["a whole generation over an unconstrained one, 50 beams"] == (0.4, True), "pairs say more than two medians"


def test_the_shipped_file_is_drawn() -> None:
    text = section(json.loads((RESULTS / "decode.json").read_text("utf-8")))
    assert text.count("one step, 100,000 items, 50 beams") == 1
    assert "| 4 × 256 | 10,000,000 |" in text
    assert section({"rows": [step(10_000, 20, 0.1)], "command": "c"}).startswith("| asked |")
