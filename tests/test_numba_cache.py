"""Numba's cache on disk has a pickle for an index: nothing of ours writes or reads one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMPILED = "import numba\n@numba.njit(cache=True)\ndef twice(x):\n    return 2 * x\n"
RUN = "import sys; sys.path.insert(0, sys.argv[1]){}; import compiled; assert compiled.twice(3) == 6"
OFF = "; from backend.grounding.umap_worker import _keep_nothing_on_disk as off; off()"


def kept(folder: Path, before: str) -> list[Path]:
    """Files of a cache that numba leaves behind when a module that asks for one is used."""
    folder.mkdir()
    (folder / "compiled.py").write_text(COMPILED)
    subprocess.run([sys.executable, "-c", RUN.format(before), str(folder)], cwd=ROOT, check=True, timeout=120)
    return [*folder.rglob("*.nbi"), *folder.rglob("*.nbc")]


def test_our_own_code_asks_for_no_cache() -> None:
    asked = [
        path for path in (ROOT / "backend").rglob("*.py") if re.search(r"njit\([^)]*cache\s*=\s*True", path.read_text("utf-8"))
    ]
    assert asked == []


def test_umap_gets_none_in_its_process(tmp_path: Path) -> None:
    assert kept(tmp_path / "as-usual", "")  # numba would keep one
    assert kept(tmp_path / "in-the-worker", OFF) == []
