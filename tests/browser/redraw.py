"""How long the Fusion page takes to stand still again after a slider moved, in a real browser: `python -m tests.browser.redraw`.

- The app as a user starts it, over the shipped demo with its examples prepared. A move is one press of an arrow key on a slider; the page is drawn
  when its chart of all metrics is another one and nothing of it changes any more (lists of an example, trade-off and tags included).
- Three parts, told apart inside the page, so that the driver's own messages do not count: until the message leaves (`sent_ms`), until the last
  answer is there (`server_ms`: the script's run and the way there and back), until the last change is painted (`browser_ms`). They add up.
- Every move is to a value that was not seen before: nothing is answered from what the lab keeps.
- Preparing the examples takes minutes; with `SIGMASCOPE_CACHE` of its own the page prepares them first, else those that are kept are used.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np

from backend.bars import jsonable
from backend.workspace import provenance
from tests.browser.plots import settled
from tests.browser.server import ROOT, chromium, serve

LONG = 1_200_000  # milliseconds; the examples may have to be prepared first
MOVES, WARM = 30, 3  # the first ones compile, and fill the browser's own caches
QUIET_MS = 400  # nothing changed for so long: the page stands still
SLIDERS = ("Popularity", "Prefix weight", "Diversity")
TARGET = ROOT / "assets" / "results" / "redraw.json"
CHART = ".st-key-multiples .js-plotly-plot"

# every connection of the page is listened to from its first message on
LISTEN = """(() => {
  const marks = window.redraw = {sent: null, heard: 0, changed: 0, began: null};
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (data) {
    if (marks.began !== null && marks.sent === null) marks.sent = performance.now();
    return send.call(this, data);
  };
  window.WebSocket = new Proxy(WebSocket, {construct(cls, given) {
    const socket = new cls(...given);
    socket.addEventListener('message', () => { marks.heard = performance.now(); });
    return socket;
  }});
  addEventListener('keydown', event => {
    if (!event.key.startsWith('Arrow')) return;
    Object.assign(marks, {sent: null, heard: 0, changed: 0, began: performance.now()});
    // the slider's own thumb and the marks of a running script are no part of what is redrawn
  }, {capture: true});
  new MutationObserver(() => requestAnimationFrame(() => { marks.changed = performance.now(); }))
    .observe(document, {subtree: true, childList: true, characterData: true, attributes: true});
})()"""
STILL = """quiet => {
  const marks = window.redraw, last = Math.max(marks.heard, marks.changed);
  return marks.heard > 0 && performance.now() - last > quiet && document.querySelector("[data-test-script-state='notRunning']") !== null;
}"""
TEXT = f"() => document.querySelector('{CHART}').innerText"


def move(page: Any, key: str) -> dict[str, float]:
    """Press a key on the slider that has the focus; milliseconds of the three parts of the redraw.

    Raises:
        RuntimeError: the chart is as it was.
    """
    before = page.evaluate(TEXT)
    page.keyboard.press(key)
    page.wait_for_function(STILL, arg=QUIET_MS)
    marks = page.evaluate("() => window.redraw")
    if page.evaluate(TEXT) == before:
        raise RuntimeError("the slider moved and the chart did not change")
    end = max(marks["changed"], marks["heard"])
    return {"sent": marks["sent"] - marks["began"], "server": marks["heard"] - marks["sent"], "browser": end - marks["heard"],
            "whole": end - marks["began"]}  # fmt: skip


def moves(page: Any, slider: str, count: int = MOVES) -> dict[str, Any]:
    """A row of figures: so many moves of a slider."""
    control = page.get_by_role("slider", name=slider).first
    control.focus()
    key = "ArrowLeft" if float(control.input_value()) * 2 > float(control.get_attribute("max")) else "ArrowRight"
    found = [move(page, key) for _ in range(count + WARM)][WARM:]
    row: dict[str, Any] = {"slider": slider, "n": len(found)}
    for share, name in ((0.5, "p50_ms"), (0.95, "p95_ms")):
        row[name] = round(float(np.quantile([each["whole"] for each in found], share)), 1)
    for part in ("sent", "server", "browser"):
        for share, name in ((0.5, "p50"), (0.95, "p95")):
            row[f"{part}_{name}_ms"] = round(float(np.quantile([each[part] for each in found], share)), 1)
    return row


if __name__ == "__main__":
    with serve(patience=240) as address, chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 1100})
        page.set_default_timeout(LONG)
        page.add_init_script(LISTEN)
        page.goto(f"{address}/fusion")
        page.locator(CHART).first.wait_for()
        settled(page)
        for slider in sys.argv[1:] or SLIDERS:
            print(json.dumps(moves(page, slider, 12)), os.getloadavg(), flush=True)
            page.screenshot(path="/work/tmp/wt/bench_shot.png")
