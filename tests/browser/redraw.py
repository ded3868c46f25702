"""How long the Fusion page takes to stand still again after a slider moved, in a real browser: `python -m tests.browser.redraw`.

Writes `assets/results/redraw.json`, which the README and the Evidence page show.

- The app as a user starts it, over the shipped demo. A move is one press of an arrow key on a slider; the page is drawn when its chart of all
  metrics is another one and nothing of it changes any more, trade-off and example lists included.
- Three parts, told apart inside the page, so that the driver's own messages do not count: until the message leaves the browser, until the last
  answer is there (`server`: the script's run and the way there and back), until the last change is painted. They add up.
- `chart` is the chart of all metrics alone: what one watches while moving a slider is there by then, the rest of the page follows.
- Every move is to a value that was not seen before: nothing is answered from what the lab keeps.
- The examples are those that the cache folder keeps; where it keeps none, the page prepares the usual number first, which takes minutes.
- The load of the machine before and after stands beside the figures: a busy machine's are not the page's.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from backend.bench import framed
from backend.commands.bars import jsonable
from backend.disk import replacing
from tests.browser.plots import settled
from tests.browser.server import ROOT, chromium, serve

COMMAND = "python -m tests.browser.redraw"
TARGET = ROOT / "assets" / "results" / "redraw.json"
SLIDERS = ("Popularity", "Prefix weight", "Diversity")
MOVES, WARM = 30, 3  # the first ones compile, and fill the browser's own caches
LONG = 1_200_000  # milliseconds; the examples may have to be prepared first
QUIET_MS = 300  # nothing changed for so long: the page stands still
CHART = ".sg-multiples"
PARTS = ("sent", "server", "browser")

# every connection of the page is listened to from its first message on; a change counts when its frame is painted
LISTEN = """(() => {
  const marks = window.redraw = {began: null, sent: null, heard: 0, changed: 0, chart: 0};
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
    if (event.key.startsWith('Arrow')) Object.assign(marks, {began: performance.now(), sent: null, heard: 0, changed: 0, chart: 0});
  }, {capture: true});
  new MutationObserver(changes => {
    const drawn = changes.some(change => change.target.closest?.('.st-key-multiples'));
    requestAnimationFrame(() => { marks.changed = performance.now(); if (drawn) marks.chart = marks.changed; });
  }).observe(document, {subtree: true, childList: true, characterData: true, attributes: true});
})()"""
STILL = """quiet => {
  const marks = window.redraw, last = Math.max(marks.heard, marks.changed);
  return marks.heard > 0 && performance.now() - last > quiet && document.querySelector("[data-test-script-state='notRunning']") !== null;
}"""
SAID = f"() => [...document.querySelectorAll('.sg-tag, {CHART}')].map(part => part.innerText).join('|')"  # what the server told


def move(page: Any, key: str) -> dict[str, float]:
    """Press a key on the slider that has the focus; milliseconds of the whole and of its three parts.

    Raises:
        RuntimeError: the page says what it said before.
    """
    before = page.evaluate(SAID)
    page.keyboard.press(key)
    page.wait_for_function(STILL, arg=QUIET_MS)
    marks = page.evaluate("() => window.redraw")
    if page.evaluate(SAID) == before:
        raise RuntimeError("a key was pressed on the slider and the page is as it was")
    end = max(marks["changed"], marks["heard"])
    times = (marks["began"], marks["sent"], marks["heard"], end)
    return {
        "whole": end - times[0],
        "chart": marks["chart"] - times[0],
        **{part: times[place + 1] - times[place] for place, part in enumerate(PARTS)},
    }


def moves(page: Any, slider: str, count: int = MOVES) -> dict[str, Any]:
    """A row of figures: so many moves of a slider, or as many as it has steps, all in one direction."""
    control = page.get_by_role("slider", name=slider).first
    control.focus()
    low, high, step = (float(control.get_attribute(name) or 0) for name in ("min", "max", "step"))
    now = float(control.input_value())
    key = "ArrowLeft" if 2 * now > low + high else "ArrowRight"  # where there is more room
    room = round(max(now - low, high - now) / step)  # a key at the end of a slider moves nothing
    found = [move(page, key) for _ in range(min(count + WARM, room))][WARM:]
    row: dict[str, Any] = {"slider": slider, "lists": _lists(page), "n": len(found)}
    for what, name in (("whole", ""), ("chart", "chart_")):
        for share, place in ((0.5, "p50"), (0.95, "p95")):
            row[f"{name}{place}_ms"] = round(float(np.quantile([each[what] for each in found], share)), 1)
    for share, name in ((0.5, "by_step_ms"), (0.95, "p95_by_step_ms")):
        row[name] = {part: round(float(np.quantile([each[part] for each in found], share)), 1) for part in PARTS}
    return row


def _lists(page: Any) -> int:
    """How many lists a move ranks again, as the page says."""
    said = re.search(r"([\d,]+) lists re-ranked", page.locator("body").inner_text())
    return int(said[1].replace(",", "")) if said else 0


def measure(address: str, browser: Any, sliders: tuple[str, ...] = SLIDERS, count: int = MOVES) -> list[dict[str, Any]]:
    """One row a slider, of a server that runs."""
    page = browser.new_page(viewport={"width": 1280, "height": 1100})
    page.set_default_timeout(LONG)
    page.add_init_script(LISTEN)
    rows = []
    for slider in sliders:
        page.goto(f"{address}/fusion")  # each slider starts from the shipped setting
        chart, prepare = page.locator(CHART), page.locator(".st-key-lab-prepare button").filter(visible=True)
        chart.or_(prepare).first.wait_for()
        if not chart.count():
            settled(page)
            prepare.click()
            chart.wait_for()
        settled(page)
        before = os.getloadavg()[0]
        row = moves(page, slider, count)
        rows.append(row | {"load_before": round(before, 2), "load_after": round(os.getloadavg()[0], 2)})
    page.close()
    return rows


def main(target: Path = TARGET) -> None:
    """Measure, print and write."""
    with serve(patience=240) as address, chromium() as browser:
        found = {"command": COMMAND, **framed(measure(address, browser))}
    text = json.dumps(jsonable(found), indent=1, ensure_ascii=False)
    with replacing(target) as file:
        file.write_text(text + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.browser.redraw", description="Time what a moved slider redraws.")
    parser.add_argument("file", nargs="?", type=Path, default=TARGET, help="where the figures are written")
    main(parser.parse_args().file)
