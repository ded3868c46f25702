"""The address of a page whose first run was broken off before it told its state."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pages.components import address


class Params(dict):
    """What Streamlit gives for the address."""

    def to_dict(self) -> dict[str, str]:
        return dict(self)


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Session and address of a browser that is nobody's."""
    fake = SimpleNamespace(session_state={}, query_params=Params())
    monkeypatch.setattr(address, "st", fake)
    return fake


def test_a_link_is_kept_though_the_page_was_left_before_it_told_its_state(browser: SimpleNamespace) -> None:
    browser.query_params = Params(q="milk")
    address.opened("recommend")
    assert address.followed("recommend") == {"q": "milk"}
    address.opened("overview")  # … and no `publish` before it
    assert address.kept("recommend") == {"q": "milk"}


def test_what_the_page_tells_takes_its_place(browser: SimpleNamespace) -> None:
    browser.query_params = Params(q="milk", tau="soup")
    address.opened("recommend")
    address.followed("recommend")
    address.publish("recommend", {})  # all as usual: nothing of the link could be read
    assert address.kept("recommend") == {}
