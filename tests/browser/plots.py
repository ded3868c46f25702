"""Where points of a drawn plotly figure lie on the page."""

from __future__ import annotations

from typing import Any

_PLACE = """([place, name, index]) => {
  const plot = [...document.querySelectorAll(place + ' .js-plotly-plot')][0] || document.querySelector(place);
  const box = plot.getBoundingClientRect(), axes = plot._fullLayout;
  const points = name === null ? plot._fullData[0] : plot._fullData.find(trace => trace.name === name);
  return [box.left + axes.xaxis._offset + axes.xaxis.d2p(points.x[index]), box.top + axes.yaxis._offset + axes.yaxis.d2p(points.y[index])];
}"""


def place(page: Any, plot: str, index: int, trace: str | None = None) -> tuple[float, float]:
    """Pixels of a point: of the figure at a selector (or inside it), of a trace by its name (None = the first)."""
    x, y = page.evaluate(_PLACE, [plot, trace, index])
    return x, y


def click(page: Any, plot: str, index: int, trace: str | None = None) -> None:
    """Click a point, after hovering over it as a hand would."""
    x, y = place(page, plot, index, trace)
    page.mouse.move(x, y)
    page.wait_for_timeout(300)
    page.mouse.click(x, y)


def settled(page: Any) -> None:
    """Wait until nothing runs."""
    page.wait_for_timeout(400)
    page.locator("[data-test-script-state='notRunning']").first.wait_for()
    page.wait_for_timeout(200)
