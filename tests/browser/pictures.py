"""The README's pictures, taken from the running app over the shipped demo: `python -m tests.browser.pictures [PAGE …]`.

Every picture is 1280 pixels wide and at most 200 kB (colours are reduced until it is). A page that does not exist is left out; one
that shows an error stops the run.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from tests.browser.server import ROOT, chromium, serve

PICTURES = ROOT / "assets" / "pictures"
WIDTH, MOST_BYTES = 1280, 200_000
LONG = 240_000  # milliseconds; the first map and the first tables take their time


def _nothing(page: Any) -> None:
    """No action before the picture."""


def _instruction(page: Any) -> None:
    page.locator("[class*='st-key-open-list-'] button").nth(9).wait_for(timeout=LONG)
    page.locator(".sg-step.done").nth(2).wait_for(timeout=LONG)


def _examples(page: Any) -> None:
    """The Fusion page asks for its examples to be prepared first; the smallest number is enough for a picture, and is kept."""
    chart = page.locator(".st-key-multiples table")
    prepare = page.locator(".st-key-lab-prepare button").filter(
        visible=True
    )  # it also lies folded away beside examples that are there
    chart.or_(prepare).first.wait_for(timeout=LONG)
    if prepare.count():
        slider = page.get_by_role("slider", name="Households of each split")
        for _ in range(3):
            slider.press("ArrowLeft")
        page.locator("[data-test-script-state='notRunning']").first.wait_for(timeout=LONG)
        prepare.click()
        chart.first.wait_for(timeout=5 * LONG)


def _vote(page: Any) -> None:
    """What the judge says is shown after a vote."""
    page.get_by_role("button", name="The left one").click(timeout=LONG)
    page.get_by_text("Your last vote").wait_for(timeout=LONG)


@dataclass(frozen=True)
class Picture:
    """One picture: which page, by which link, what must be there, what is done first."""

    name: str
    file: str  # of `pages/`
    link: str
    ready: str  # a selector that appears when the page's main part is drawn
    height: int = 1000
    act: Callable[[Any], None] = _nothing


ALL = (
    Picture("overview", "overview.py", "", ".sg-table", 1080),
    Picture("recommend", "recommend.py", "recommend?q=frozen+pizza+under+%248", ".sg-step.done", 1340, _instruction),
    Picture("semantic_ids", "semantic_ids.py", "semantic_ids", ".js-plotly-plot .main-svg", 1300),
    Picture("latent_space", "latent_space.py", "latent_space", ".js-plotly-plot .main-svg", 1100),
    Picture("fusion", "fusion.py", "fusion?wpop=0.5&wv=0.2&div=0.3", "h1", 1200, _examples),
    Picture("judge", "judge.py", "judge", ".st-key-judge-side-0", 1000, _vote),
    Picture("evidence", "evidence.py", "evidence?section=Quality", ".js-plotly-plot .scatterlayer", 900),
)


def shrunk(png: bytes, most: int = MOST_BYTES) -> bytes:
    """A PNG of at most `most` bytes: colours are reduced step by step, and only then size.

    Raises:
        ValueError: it cannot be made that small.
    """
    image = Image.open(io.BytesIO(png)).convert("RGB")
    for scale in (1.0, 0.85, 0.7):
        sized = (
            image
            if scale == 1
            else image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
        )
        for colours in (256, 128, 64, 32):
            out = io.BytesIO()
            sized.quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
            if out.tell() <= most:
                return out.getvalue()
    raise ValueError(f"a picture of {image.width} × {image.height} cannot be brought under {most:,} bytes")


def take(browser: Any, address: str, picture: Picture, folder: Path = PICTURES, settle: int = 2500) -> Path:
    """Take one picture.

    Args:
        settle: milliseconds for charts to come to rest.

    Raises:
        RuntimeError: the page shows an error.
    """
    page = browser.new_page(viewport={"width": WIDTH, "height": picture.height})
    try:
        page.goto(f"{address}/{picture.link}", timeout=LONG)
        page.locator(picture.ready).first.wait_for(timeout=LONG)
        picture.act(page)
        page.locator("[data-testid='stStatusWidget']").wait_for(state="detached", timeout=LONG)  # nothing runs any more
        page.wait_for_timeout(settle)
        broken = page.locator("[data-testid='stException']")
        if broken.count():
            raise RuntimeError(f"{picture.name} shows an error: {broken.first.inner_text()[:300]}")
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{picture.name}.png"
        path.write_bytes(shrunk(page.screenshot(timeout=LONG)))
        return path
    finally:
        page.close()


def main(names: list[str]) -> None:
    """Take the named pictures, or all."""
    unknown = set(names) - {picture.name for picture in ALL}
    if unknown:
        sys.exit(f"unknown pictures: {', '.join(sorted(unknown))}; there are {', '.join(picture.name for picture in ALL)}")
    chosen = [picture for picture in ALL if (not names or picture.name in names) and (ROOT / "pages" / picture.file).is_file()]
    with serve(patience=240) as address, chromium() as browser:
        for picture in chosen:
            path = take(browser, address, picture)
            print(f"{path.relative_to(ROOT)}  {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
