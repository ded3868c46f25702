"""The beam tree and the steps: everything kept is drawn under its parent, no two ends share a row, texts are no markup."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from backend.figures import jd as figures_jd
from backend.generation.constrained import Logits
from backend.generation.searched import NODES, beams_of, searched
from backend.tokenization.trie import Trie


def search(seed: int, beams: int = 20) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    trie = Trie.build(rng.integers(12, size=(150, 4)), 12)

    def model(codes: np.ndarray, origin: np.ndarray) -> Logits:
        return Logits(np.random.default_rng((seed, codes.shape[1])).normal(size=(len(codes), 12)).astype(np.float32) * 2)

    found, nodes = searched(trie, model, beams)
    return nodes, beams_of(trie, found)


@pytest.mark.parametrize("seed", range(5))
def test_the_tree_holds_what_was_kept(seed: int) -> None:
    nodes, beams = search(seed)
    shown = figures_jd.drawn(nodes)
    assert set(beams["sid"]) <= set(shown["sid"])
    assert set(shown["parent"]) <= {*shown["sid"], "·"}, "every node hangs on a drawn one"
    assert shown["row"].notna().all()
    ends = shown[~shown["sid"].isin(shown["parent"])]
    assert sorted(ends["row"]) == list(range(len(ends))), "one row an end, none empty"
    for sid, rows in shown.groupby("parent")["row"]:
        if sid != "·":
            own = float(shown.loc[shown["sid"] == sid, "row"].iloc[0])
            assert rows.min() <= own <= rows.max()
    few = figures_jd.drawn(nodes, most=3)
    assert (few["kept"] & (few["level"] == 4)).sum() == 3


def test_titles_are_text() -> None:
    nodes, beams = search(1)
    sid = beams["sid"].iloc[0]
    figure = figures_jd.beam_tree(figures_jd.drawn(nodes), {sid: "<b>bold</b> & more"})
    texts = [text for trace in figure.data for text in (trace.text or ())]
    assert any("&lt;b&gt;" in text for text in texts)
    assert not any("<b>bold" in text for text in texts)
    assert [trace.name for trace in figure.data if trace.name] == ["kept", "legal, pruned", "no item has it"]


def test_steps_show_before_and_after() -> None:
    nodes, beams = search(2)
    parts = beams["sid"].iloc[0].split("·")
    ways = ["·".join(parts[:length]) for length in range(1, 5)]
    way = nodes[nodes["sid"].isin(ways)].sort_values("level")
    figure = figures_jd.steps(way)
    before, after = (np.array(trace.y) for trace in figure.data)
    assert len(before) == 4
    assert (after >= before - 1e-9).all()


def test_nothing_searched_is_an_empty_tree() -> None:
    shown = figures_jd.drawn(pd.DataFrame(columns=list(NODES)))
    assert shown.empty
    assert figures_jd.beam_tree(shown, {}).data
