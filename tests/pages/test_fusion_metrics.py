"""The Fusion page's bars of metrics: every length is a share of the longest thing in its table."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from pages.components.fusion_metrics import multiples

NAMES = ["part", "metric", "value", "low", "high", "reference", "diff", "diff_low", "diff_high", "n"]
FRAME = pd.DataFrame(
    [
        ["plain", "hr", 0.40, 0.35, 0.50, 0.30, 0.10, 0.02, 0.18, 9],
        ["<b>hostile</b>", "hr", 0.20, 0.10, 0.25, 0.30, -0.10, -0.2, -0.01, 8],
        ["plain", "value", 2.0, 1.0, 3.0, 4.0, -2.0, -5.0, 1.0, 9],
        ["plain", "coverage", 0.5, np.nan, np.nan, 0.25, 0.25, np.nan, np.nan, 9],
    ],
    columns=NAMES,
)


def tables(metrics: list[str]) -> list[ElementTree.Element]:
    drawn = multiples(FRAME, ["plain", "<b>hostile</b>"], metrics, 10)
    return ElementTree.fromstring(drawn).findall("table")


def bars(table: ElementTree.Element) -> list[tuple[str, dict[str, float]]]:
    """Class and lengths (percent) of each bar, whiskers included."""
    found = []
    for bar in table.iter("div"):
        styles = ";".join([bar.get("style", ""), *(each.get("style", "") for each in bar.iter("i"))])
        found.append((bar.get("class", ""), {name: float(value) for name, value in re.findall(r"--(\w):([\d.]+)%", styles)}))
    return found


def test_lengths_are_shares_of_the_longest() -> None:
    hr, value = tables(["hr", "value"])
    assert bars(hr) == [("up", {"v": 80, "r": 60, "l": 70, "h": 100}), ("down", {"v": 40, "r": 60, "l": 20, "h": 50})]
    assert bars(value) == [("", {"v": 50, "r": 100, "l": 25, "h": 75})], "a difference whose interval holds nought has no colour"


def test_words_say_what_the_bars_show() -> None:
    (hr, value, coverage) = tables(["hr", "value", "coverage"])
    words = ["".join(table.itertext()) for table in (hr, value, coverage)]
    assert "HR@10" in words[0]
    assert "<b>hostile</b>" in words[0], "as text"
    assert "0.400 ▲ +0.100" in words[0]
    assert "0.200 ▼ −0.100" in words[0]
    assert "Value of hits@10 ($)" in words[1]
    assert words[1].endswith("<b>hostile</b>–"), "a part without this metric keeps its row"
    titles = [row.get("title") for row in hr.iter("tr")]
    assert titles[0] == "plain: 0.400 [0.350, 0.500], reference 0.300, difference ▲ +0.100 [+0.0200, +0.1800], n = 9"
    assert "(no interval)" in str(next(coverage.iter("tr")).get("title"))
    assert bars(coverage) == [("", {"v": 100, "r": 50})], "no whisker where there is no interval"
