"""Where points of a drawn plotly figure lie on the page."""

from __future__ import annotations

from typing import Any

_PLACE = """([place, name, index]) => {
  const plot = [...document.querySelectorAll(place + ' .js-plotly-plot')][0] || document.querySelector(place);
  const box = plot.getBoundingClientRect(), axes = plot._fullLayout;
  const points = name === null ? plot._fullData[0] : plot._fullData.find(trace => trace.name === name);
  return [box.left + axes.xaxis._offset + axes.xaxis.d2p(points.x[index]), box.top + axes.yaxis._offset + axes.yaxis.d2p(points.y[index])];
}"""

QUIET_MS = 350
_STILL = """quiet => {
  const now = performance.now();
  if (window.still === undefined || !document.querySelector("[data-test-script-state='notRunning']")) window.still = now;
  return now - window.still > quiet;
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
    """Wait until nothing has run for a while; a run that is about to begin has begun by then."""
    page.evaluate("() => { window.still = performance.now(); }")
    page.wait_for_function(_STILL, arg=QUIET_MS)
