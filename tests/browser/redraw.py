"""How long the Fusion page takes to be drawn again after a move, in a real browser: `python -m tests.browser.redraw > assets/results/redraw.json`.

The app runs over the shipped demo with the examples of all households. A move is one press of an arrow key on a slider; it ends when the
chart of all metrics is another one, as the browser has it: the message to the server, its work, the figure's way back and its drawing.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

from backend.workspace import provenance
from tests.browser.server import chromium, serve

LONG = 900_000  # milliseconds; the examples of all households are prepared first
MOVES = 30
# the time is taken inside the page, frame by frame, so that the driver's own messages do not count
_MOVE = """([key]) => new Promise((done, failed) => {
  const drawn = () => document.querySelector('.st-key-multiples .js-plotly-plot')?.innerText;
  const before = drawn();
  let began = null;
  document.addEventListener('keydown', () => { began = performance.now(); }, {capture: true, once: true});
  const look = () => {
    if (began !== null && drawn() && drawn() !== before) done(performance.now() - began);
    else if (began !== null && performance.now() - began > 20000) failed('nothing was drawn');
    else requestAnimationFrame(look);
  };
  look();
})"""


def moves(page: Any, slider: str, count: int = MOVES) -> list[float]:
    """Milliseconds of some moves of a slider, down and up in turn."""
    control = page.get_by_role("slider", name=slider).first
    control.focus()
    found = []
    for number in range(count + 3):
        page.evaluate("move => { window.moved = eval(move)(['']); }", _MOVE)
        page.keyboard.press("ArrowLeft" if number % 2 == 0 else "ArrowRight")
        took = page.evaluate("() => window.moved")
        page.locator("[data-test-script-state='notRunning']").first.wait_for()
        page.wait_for_timeout(400)
        if number >= 3:  # the first ones compile
            found.append(float(took))
    return found


def main() -> None:
    """Measure and print."""
    rows = []
    with serve(patience=240) as address, chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 1100})
        page.set_default_timeout(LONG)
        page.goto(f"{address}/fusion")
        chart, prepare = page.locator(".st-key-multiples .js-plotly-plot .main-svg"), page.locator(".st-key-lab-prepare button")
        chart.or_(prepare).first.wait_for()
        if prepare.count():
            prepare.click()
            chart.first.wait_for()
        page.wait_for_timeout(3000)
        told = page.locator(".sg-tag").first.inner_text()
        for slider in ("Popularity", "Prefix weight"):
            took = np.array(moves(page, slider))
            rows.append({"slider": slider, "examples": told, "moves": len(took), "p50_ms": round(float(np.median(took)), 1),
                         "p95_ms": round(float(np.quantile(took, 0.95)), 1)})  # fmt: skip
    about = provenance()
    machine = about["machine"]
    json.dump(
        {
            "command": "python -m tests.browser.redraw",
            **{key: about[key] for key in ("commit", "date")},
            "machine": machine,
            "rows": rows,
        },
        sys.stdout,
        indent=1,
    )


if __name__ == "__main__":
    main()
