"""The parts of the pages by themselves: text, links, chips, figures, lookups."""

from __future__ import annotations

import doctest
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from backend.data.history import distinct
from backend.errors import RequestError
from backend.figures import generation as figures
from backend.figures import style
from backend.generation.request import Request
from backend.inspection import explain, health
from backend.settings import FusionSettings
from pages.components import aligned, ask, chips, text
from pages.components.link import from_params, to_params
from tests.pages.fake import FakeWorkbench, fake_workspace

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("module", [figures, text])
def test_examples_in_docstrings(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


def test_markdown_is_made_harmless() -> None:
    assert text.md("a*b [x](y) $z$ :red[q]\n<b>") == r"a\*b \[x\]\(y\) \$z\$ \:red\[q\] \<b\>"


def test_labels_differ() -> None:
    found = text.labels({"1": "Milk, 1 gal", "2": "Milk, 1 gal", "3": "Eggs"})
    assert len(set(found.values())) == 3


def test_a_link_keeps_everything() -> None:
    defaults = FusionSettings()
    asked = Request(
        instruction="milk & honey?", user="7", dropped=("i1", "i2"), category="Dairy", max_price=3.5, seen="hide",
        max_total=20.0, exclude=("Milk, cream", "Eggs"), deals=True, theme="Halloween",
        forced_prefix=(17, 3),
        fusion=FusionSettings(tau=0.02, apf=False, sigma_domain="probability", beams=5, popularity_weight=-0.5,
                              strength=0.5, value_weight=0.25, diversity=0.3),
    )  # fmt: skip
    params = to_params(asked, defaults)
    assert from_params(params, defaults) == (asked, [])
    assert to_params(Request(fusion=defaults), defaults) == {}


def test_a_composed_shopper_fits_a_link() -> None:
    asked = Request(profile="A couple", history=("i1", "i1", "i3"))
    assert from_params(to_params(asked, FusionSettings()), FusionSettings())[0] == asked


def test_unreadable_parameters_are_named() -> None:
    request, bad = from_params({"q": "x", "tau": "-1", "seen": "maybe", "zzz": "1", "max": "cheap"}, FusionSettings())
    assert request.instruction == "x"
    assert bad == ["tau", "seen", "zzz", "max"]


def test_sid_chips() -> None:
    drawn = chips.sid("a17·b203·c9·d41", prefix="a17", soft=True)
    assert drawn.count("sg-code") == 5
    assert drawn.count("sg-faded") == 3
    assert "sg-soft" in drawn
    assert "<script" not in chips.sid("<script>·b1")


def test_colours_are_bound_to_the_order() -> None:
    names = [f"d{number}" for number in range(12)]
    colours = style.department_colours(names)
    assert len(set(list(colours.values())[:8])) == 8
    assert colours["d8"] == colours["d11"] == style.OTHER


def test_the_themes_know_the_same_colours() -> None:
    themes = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text("utf-8"))["theme"]
    assert tuple(themes["light"]["chartCategoricalColors"]) == tuple(themes["dark"]["chartCategoricalColors"]) == style.PALETTE


def test_the_steps_draw_the_same_rows(bench: FakeWorkbench) -> None:
    result = bench.recommend(Request(user="114", instruction="pizza"))
    rows = figures.prefix_rows(result.trace.prefixes)
    assert int(rows["kept"].sum()) == 20
    assert len(rows) == 26
    colours = style.department_colours(bench.departments())
    tree = figures.prefix_tree(rows, bench.prefixes(), colours)
    items = bench.dataset.items
    strips = figures.strips(rows, result.trace.subsets, result.items, items["title"], items["department"], colours)
    assert tree.layout.height == strips.layout.height
    assert tree.layout.yaxis.range == strips.layout.yaxis.range
    ranks = sorted(int(label) for label in strips.data[1].text)
    assert ranks == list(range(1, 11))
    bars = tree.data[-1]
    np.testing.assert_allclose(bars.x, rows["probability"])


def test_a_tree_of_two_levels(bench: FakeWorkbench) -> None:
    rows = figures.prefix_rows(
        pd.DataFrame({"prefix": ["a1·b2", "a1·b3", "a2·b1"], "probability": [0.5, 0.3, 0.2], "kept": [True, True, False],
                      "forced": False, "legal": True, "n_items": 4, "level": 2})
    )  # fmt: skip
    tree = figures.prefix_tree(rows, bench.prefixes(), {})
    assert len(tree.layout.shapes) == 5  # two branches from the root, three leaves


def test_figures_of_nothing(bench: FakeWorkbench) -> None:
    empty = bench.recommend(Request(user="114", stock=()))
    rows = figures.prefix_rows(empty.trace.prefixes)
    items = bench.dataset.items
    figures.prefix_tree(rows, bench.prefixes(), {})
    figures.strips(rows, empty.trace.subsets, empty.items, items["title"], items["department"], {})


def test_hostile_titles_in_figures_and_lists(bench: FakeWorkbench) -> None:
    assert "<" not in style.short("<script>", 20)
    moves = pd.DataFrame({"item_id": ["a"], "title": ["<script>"], "department": ["D"], "left": [1.0], "right": [2.0]})
    assert "<script" not in aligned.aligned(moves, "<b>", "right", {})


def test_the_comparison_aligns(bench: FakeWorkbench) -> None:
    asked = Request(user="114", instruction="pizza")
    same = bench.recommend_compare(asked, asked)
    assert same.overlap == 1
    assert (same.moves["left"] == same.moves["right"]).all()


def test_why_names_what_was_bought(bench: FakeWorkbench) -> None:
    items = bench.dataset.items
    history = distinct(np.array([5, 5, 9]), np.array([9.0, 3.0, 0.0]))
    other = int(np.flatnonzero(items["department"] == "Pet care")[0])
    lines = explain.why([5, 9, other], ["a1", "a1", "a9"], [0.5, 0.5, 0.21], items, history, bench.prefixes())
    assert lines[0] == "bought twice, last 3 days ago"
    assert lines[1] == "bought once, in the last basket too"
    assert lines[2].startswith("prefix a9 (φ 0.21)")
    undated = explain.why([5], ["a1"], [0.5], items, history, bench.prefixes(), dated=False)
    assert undated == ["bought twice"]


def test_lookups(bench: FakeWorkbench) -> None:
    assert len(bench.shoppers("couple 25-34")) > 0
    assert bench.shoppers("107")["user_id"].tolist() == ["107"]
    assert len(bench.items_search("PIZZA thin", limit=3)) == 3
    assert len(bench.items_search("")) == 0
    shopper = bench.shopper("107")
    assert shopper.n_baskets == 30
    assert shopper.baskets[0].time > shopper.baskets[1].time
    assert bench.shopper("100").attributes == {}  # unknown attributes are left out
    for lookup in (bench.shopper, bench.item):
        with pytest.raises(RequestError, match="unknown"):
            lookup("nobody")


def test_dropped_items_leave_the_history(bench: FakeWorkbench) -> None:
    whole = bench.lookup.people.resolve(Request(user="107"))
    last = int(whole.items[-1])
    item = bench.dataset.items["item_id"].iat[last]
    less = bench.lookup.people.resolve(Request(user="107", dropped=(item,)))
    assert last in whole.history.items
    assert last not in less.history.items
    assert last not in less.items
    assert len(less.items) == len(less.days) == len(less.steps) < len(whole.items)


def test_stock_lists() -> None:
    known = {"i1", "i2"}
    assert ask.read_stock(b'item_id,left\ni1,3\n"i2",5\nother,1\n', known) == ("i1", "i2")
    for raw, what in ((b"x" * 200_001, "too large"), (b"\xff\xfe\x00", "UTF-8"), (b"nothing\n", "no item")):
        with pytest.raises(RequestError, match=what):
            ask.read_stock(raw, known)


def test_health_of_every_state() -> None:
    assert health.inspect(fake_workspace()).state == "ok"
    assert health.inspect(fake_workspace(stale=("tokens",))).state == "stale"
    missing = health.inspect(fake_workspace(without=("model", "evaluation")))
    assert missing.state == "missing"
    assert not missing.usable
    assert "train --workspace" in missing.stages["model"].command
    damaged = fake_workspace()
    (damaged.path / "tokens" / "manifest.json").write_text("{")
    assert health.inspect(damaged).stages["tokens"].state == "damaged"
