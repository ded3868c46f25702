"""Two sessions at once: neither sees the other's state, and the model answers both as it answers one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from backend.generation.request import Request
from backend.workbench import Recommendation, Workbench
from tests.pages.conftest import Opened, html_of


def test_pages_do_not_share_their_state(opened: Opened) -> None:
    one, two = opened("recommend", q="frozen pizza"), opened("recommend", q="milk", max="3")
    one.selectbox("category").set_value("Ice cream").run()
    two.run()
    assert two.selectbox("category").value is None
    assert one.number_input("max_price").value is None
    assert one.text_input("instruction").value == "frozen pizza"
    assert "price ≤ $3.00" in html_of(two)
    assert "price ≤" not in html_of(one)


def at_once(*works: Callable[[], Recommendation]) -> list[Recommendation]:
    found: list[Recommendation | None] = [None] * len(works)
    gate = threading.Barrier(len(works))

    def run(place: int) -> None:
        gate.wait(30)
        found[place] = works[place]()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert all(answer is not None for answer in found)
    return found  # type: ignore[return-value]


def test_one_model_answers_two_sessions_as_it_answers_one(trained: Path) -> None:
    bench = Workbench.open(trained)
    users = bench.dataset.users["user_id"].tolist()
    texts = ("something new", "under $5", "what next?", "surprise me")
    asked = [Request(user=users[place % 3], instruction=text) for place, text in enumerate(texts)]
    alone = [Workbench.open(trained).recommend(request) for request in asked]
    made = at_once(*[lambda request=request: bench.recommend(request) for request in asked])
    assert len({id(bench.generator()) for _ in made}) == 1
    for single, both in zip(alone, made, strict=True):
        pd.testing.assert_frame_equal(single.items[["item_id", "rank", "prefix"]], both.items[["item_id", "rank", "prefix"]])
        pd.testing.assert_series_equal(single.items["score"], both.items["score"], rtol=1e-4)
