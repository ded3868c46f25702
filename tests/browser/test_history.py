"""Back and forward over all pages, in a real browser over the invented workbench: one press is one step, and a link brings all of it back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.browser.conftest import LONG
from tests.browser.plots import settled

PATIENCE = 2 * LONG  # the Fusion page compiles at its first visit


@dataclass(frozen=True)
class Page:
    """A page, a choice on it, and how the choice stands in the address."""

    file: str
    title: str
    role: str  # of the control that is used
    name: str
    told: str

    def control(self, page: Any) -> Any:
        """The control; a slider's name holds more than its label."""
        return page.get_by_role(self.role, name=self.name, exact=self.role != "slider").first

    def use(self, page: Any) -> None:
        """Choose."""
        control = self.control(page)
        if self.role == "slider":
            control.press("ArrowLeft")
        elif self.role == "switch":
            page.locator("label", has_text=self.name).first.click()
        else:
            control.click()

    def chosen(self, page: Any) -> str:
        """What the control says."""
        control = self.control(page)
        control.wait_for(state="attached", timeout=PATIENCE)  # the thumb of a slider is a hidden input
        return str(control.input_value() if self.role == "slider" else control.is_checked())


PAGES = (
    Page("recommend", "Recommend", "radio", "hide", "seen=hide"),
    Page("semantic_ids", "Semantic IDs", "radio", "icicle", "kind=icicle"),
    Page("latent_space", "Latent space", "switch", "Density", "density=1"),
    Page("fusion", "Fusion", "slider", "Popularity", "wpop="),
    Page("evidence", "Evidence", "radio", "Speed", "section=Speed"),
)


def at(page: Any, url: str, where: Page | None) -> str:
    """Wait until the browser is at an address and the page is drawn; what the page's control then says."""
    page.wait_for_url(url, timeout=PATIENCE)
    if where is None:
        page.locator(".sg-pipe").wait_for(timeout=PATIENCE)
        return ""
    page.get_by_role("heading", name=where.title, exact=True).wait_for(timeout=PATIENCE)
    where.chosen(page)
    settled(page)
    return where.chosen(page)


def test_every_press_is_one_step(page: Any, invented: str) -> None:
    page.goto(invented, timeout=PATIENCE)
    steps: list[tuple[str, Page | None, str]] = [(page.url, None, at(page, page.url, None))]
    for each in PAGES:
        page.get_by_role("link", name=each.title, exact=True).click()
        said = at(page, f"{invented}/{each.file}", each)  # nothing is added to the address on opening
        steps.append((page.url, each, said))
        each.use(page)
        page.wait_for_url(lambda url, told=each.told: told in url, timeout=PATIENCE)
        changed = at(page, page.url, each)
        assert changed != said, each
        steps.append((page.url, each, changed))
    for url, where, said in reversed(steps[:-1]):
        page.go_back()
        assert at(page, url, where) == said, url
    for url, where, said in steps[1:]:
        page.go_forward()
        assert at(page, url, where) == said, url

    # a page that was left with a choice is entered with it, by an address that says so, in one step
    left, before = PAGES[1], page.url
    page.get_by_role("link", name=left.title, exact=True).click()
    assert at(page, f"{invented}/{left.file}?{left.told}", left) == "True"
    page.go_back()
    at(page, before, PAGES[-1])
    page.go_forward()
    assert at(page, f"{invented}/{left.file}?{left.told}", left) == "True"
    page.reload()
    assert at(page, f"{invented}/{left.file}?{left.told}", left) == "True"


def test_on_a_phone_too(page: Any, invented: str) -> None:
    """The sidebar is folded away; a page that was left is entered as it was, and leaving it again takes one press."""
    page.set_viewport_size({"width": 390, "height": 800})
    left, other = PAGES[4], PAGES[1]
    page.goto(f"{invented}/{left.file}", timeout=PATIENCE)
    at(page, page.url, left)
    left.use(page)
    page.wait_for_url(lambda url: left.told in url, timeout=PATIENCE)
    was = page.url

    def go(where: Page, url: str) -> None:
        page.get_by_test_id("stExpandSidebarButton").click()
        page.get_by_role("link", name=where.title, exact=True).click()
        assert at(page, url, where)
        page.locator("[data-testid='stSidebarCollapseButton'] button").click()

    go(other, f"{invented}/{other.file}")
    go(left, was)
    assert left.chosen(page) == "True"
    page.go_back()
    at(page, f"{invented}/{other.file}", other)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
