"""Two processes that open the same database and write to it at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
_SCRIPT = """
import sys
from backend.storage import open_store

store, name, times = open_store(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for n in range(times):
    store.save_preset("fusion", f"{name}-{n}", "", {"n": n})
    store.save_preset("fusion", "both", "", {"n": n})
    store.add_vote("7", "i1", "i2", "i1", {})
"""


def write_at_once(url: str, times: int) -> None:
    """Each of the two saves `times` presets of its own, one name that both save, and as many votes."""
    command = [sys.executable, "-c", _SCRIPT, url]
    both = [subprocess.Popen([*command, name, str(times)], cwd=ROOT, stderr=subprocess.PIPE) for name in "ab"]
    for process in both:
        assert process.wait(120) == 0, process.stderr and process.stderr.read().decode()
