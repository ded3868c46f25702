"""The Recommend page on the invented workbench."""

from __future__ import annotations

import json
import re

from backend.generation.request import Request
from backend.settings import FusionSettings
from tests.pages.conftest import Opened, html_of
from tests.pages.fake import INJECTION, FakeWorkbench


def titles(app) -> list[str]:  # noqa: ANN001
    return [button.label for button in app.button if str(button.key).startswith("open-list-")]


def test_cold(opened: Opened) -> None:
    app = opened("recommend")
    assert not app.exception
    assert not app.error
    assert len(titles(app)) == 10
    drawn = html_of(app)
    assert "Heard as JustForYou 90% · Discover 10% (of 1,234 items)" in drawn
    assert drawn.count('class="sg-step done"') == 3
    assert "understood" in drawn
    assert "synthetic" in "".join(str(caption.value) for caption in app.caption)


def test_a_page_left_in_the_middle_of_its_run_comes_back_whole(opened: Opened) -> None:
    app = opened("recommend", q="bread")
    app.switch_page("pages/overview.py").run()
    for name in ("tau", "prefix_weight", "beams"):  # as if they had never been drawn
        if f"fusion_{name}" in app.session_state:
            del app.session_state[f"fusion_{name}"]
    app.switch_page("pages/recommend.py").run()
    assert not app.exception
    assert app.session_state["instruction"] == "bread"
    assert app.session_state["fusion_prefix_weight"] == FusionSettings().prefix_weight  # not the least of the slider
    assert len(titles(app)) == 10


def test_an_instruction_is_read_and_changes_the_list(opened: Opened) -> None:
    app = opened("recommend")
    before = titles(app)
    app.text_input("instruction").set_value("frozen pizza party under $4").run()
    assert titles(app) != before
    drawn = html_of(app)
    assert "task Category" in drawn
    assert "price ≤ $4.00" in drawn
    assert "“party”?" in drawn


def test_what_was_read_can_be_let_go_of(opened: Opened) -> None:
    app = opened("recommend", q="bread without cake")
    drawn = html_of(app)
    for chip in ("no Cakes", "on discount or with a coupon", "together ≤ $30.00"):
        assert chip in drawn
    app.button("drop-deals").click().run()
    assert app.text_input("instruction").value == "bread"  # the other filters of the text became the session's
    drawn = html_of(app)
    assert "on discount" not in drawn
    assert "no Cakes" in drawn
    assert "together ≤ $30.00" in drawn
    app.button("drop-exclude").click().run()
    app.button("drop-max_total").click().run()
    drawn = html_of(app)
    assert "no Cakes" not in drawn
    assert "together ≤" not in drawn
    assert not app.exception


def test_a_suggestion_becomes_the_instruction(opened: Opened, bench: FakeWorkbench) -> None:
    app = opened("recommend")
    app.pills("suggestion").set_value(bench.suggestions()[2]).run()
    assert app.text_input("instruction").value == bench.suggestions()[2]
    assert app.pills("suggestion").value is None


def test_filters(opened: Opened) -> None:
    app = opened("recommend")
    app.selectbox("category").set_value("Ice cream").run()
    assert len(titles(app)) == 10
    assert all("ice cream" in title.lower() or "sorbet" in title.lower() for title in titles(app))
    app.number_input("max_price").set_value(0.5).run()
    assert "items pass the filters" in html_of(app) or app.info
    assert not app.exception


def test_the_link_restores_the_state(opened: Opened, bench: FakeWorkbench) -> None:
    app = opened(
        "recommend", q="ice cream", user="114", category="Frozen", max="5", seen="hide", tau="0.2", apf="0", N="7", prefix="a20"
    )
    assert app.text_input("instruction").value == "ice cream"
    assert app.selectbox("user").value == "114"
    assert app.selectbox("category").value == "Frozen"
    assert app.number_input("max_price").value == 5
    assert app.number_input("fusion_tau").value == 0.2
    assert app.toggle("fusion_apf").value is False
    kept = app.session_state["answer"] if "answer" in app.session_state else None  # noqa: SIM401
    request = Request(**json.loads(kept[0])) if kept else None
    if request:  # the forced prefix may hold nothing that passes the filters, then an error says so
        assert request.forced_prefix == (20,)
    else:
        assert "prefix a20" in str(app.error[0].value).replace("\\", "")


def test_a_bad_link_still_opens(opened: Opened) -> None:
    app = opened("recommend", user="nobody", tau="hot", category="<script>", prefix="zz")
    assert not app.exception
    assert "could not be read" in str(app.warning[0].value)
    assert len(titles(app)) == 10


def test_a_users_error_is_one_line(opened: Opened) -> None:
    app = opened("recommend")
    app.text_input("instruction").set_value("x" * 3000).run()
    assert not app.exception
    assert "too long" in str(app.error[0].value)
    app.text_input("instruction").set_value("milk").run()
    assert not app.error
    assert len(titles(app)) == 10


def test_titles_are_text_and_never_markup(opened: Opened, bench: FakeWorkbench) -> None:
    assert bench.dataset.items["title"].iat[0] == INJECTION
    app = opened("recommend", user=bench.dataset.users["user_id"].iat[-1], category="Baking", N="100")
    assert not app.exception
    drawn = html_of(app)
    labels = "".join(titles(app)) + "".join(option for pills in app.pills for option in pills.options)
    assert "&lt;script&gt;" in drawn  # the hostile item is on the page, as text
    assert "<script" not in drawn
    assert r"\<script\>" in labels
    assert not re.search(r"(?<!\\)[<\[*$`]", labels)  # every mark that means something in Markdown is escaped


def test_dropping_a_purchase(opened: Opened) -> None:
    app = opened("recommend")
    first = app.pills[0]
    item = bench_item(app, first)
    first.set_value([item]).run()
    assert app.session_state["dropped"] == [item]
    assert json.loads(app.session_state["answer"][0])["dropped"] == [item]
    app.button("undrop").click().run()
    assert app.session_state["dropped"] == []


def bench_item(app, pills) -> str:  # noqa: ANN001
    """The item behind the first pill of a basket."""
    from pages.components.state import current

    shopper = current().shopper(app.session_state["user"])
    return str(shopper.baskets[0].items["item_id"].iat[0])


def test_a_composed_shopper(opened: Opened, bench: FakeWorkbench) -> None:
    app = opened("recommend")
    app.segmented_control("mode").set_value("Compose").run()
    app.text_input("profile").set_value("A student who bakes").run()
    app.text_input("find").set_value("bagels").run()
    item = str(bench.items_search("bagels", limit=8)["item_id"].iat[0])
    app.pills("found").set_value(item).run()
    asked = json.loads(app.session_state["answer"][0])
    assert asked["user"] is None
    assert asked["profile"] == "A student who bakes"
    assert asked["history"] == [item]
    assert not app.exception


def test_a_forced_prefix_can_be_let_go(opened: Opened) -> None:
    app = opened("recommend", prefix="a3")
    assert not app.error
    prefixes = {record["prefix"] for record in app.session_state["answer"][1].items.to_dict("records")}
    assert prefixes == {"a3"}
    app.button("release").click().run()
    assert json.loads(app.session_state["answer"][0])["forced_prefix"] is None


def test_an_unchanged_request_is_not_computed_again(opened: Opened, bench: FakeWorkbench) -> None:
    app = opened("recommend")
    calls = []
    own = bench.recommend
    bench.recommend = lambda *args: calls.append(1) or own(*args)  # type: ignore[method-assign]
    app.segmented_control("compare-mode").set_value("Best prefix only").run()
    assert len(calls) == 1  # only the other list
    assert not app.exception


def test_a_filter_of_a_control_is_let_go_of(opened: Opened) -> None:
    app = opened("recommend", q="milk", max="4", category="Milk")
    app.button("drop-max_price").click().run()
    assert app.number_input("max_price").value is None
    assert app.selectbox("category").value == "Milk"
    app.button("drop-category").click().run()
    assert json.loads(app.session_state["answer"][0])["category"] is None
    assert not [button for button in app.button if str(button.key).startswith("drop-")]


def test_a_filter_of_the_text_is_let_go_of(opened: Opened) -> None:
    app = opened("recommend", q="frozen pizza under $4")
    assert "about Frozen pizza" in html_of(app)
    app.button("drop-max_price").click().run()
    assert app.text_input("instruction").value == "frozen pizza"
    assert "price ≤" not in html_of(app)
    assert not app.exception


def test_an_item_is_added_to_the_basket(opened: Opened, bench: FakeWorkbench) -> None:
    app = opened("recommend", user="107")
    first = str(app.session_state["answer"][1].items["item_id"].iat[0])
    app.button("add-list-1").click().run()
    asked = json.loads(app.session_state["answer"][0])
    assert asked["user"] is None
    assert asked["profile"] == bench.shopper("107").profile
    assert asked["history"][-1] == first
    oldest = bench.shopper("107").baskets[-1].items["item_id"].iat[0]
    assert asked["history"][0] == oldest
    again = str(app.session_state["answer"][1].items["item_id"].iat[1])
    app.button("add-list-2").click().run()
    history = json.loads(app.session_state["answer"][0])["history"]
    assert history[-1] == again
    assert len(history) == len(set(history))  # each item once
    assert not app.exception


def test_the_inspector_leads_on(opened: Opened) -> None:
    app = opened("recommend")
    app.button("open-list-2").click().run()
    assert not app.exception
    item = str(app.session_state["answer"][1].items["item_id"].iat[1])
    app.button("inspector-add").click().run()
    assert json.loads(app.session_state["answer"][0])["history"][-1] == item


def test_a_link_to_a_composed_shopper_replaces_the_one_in_focus(opened: Opened) -> None:
    app = opened("recommend", user="107")
    app.query_params.clear()
    app.query_params["basket"] = "i0005,i0007"
    app.run()
    asked = json.loads(app.session_state["answer"][0])
    assert (asked["user"], asked["history"]) == (None, ["i0005", "i0007"])
