"""Free memory goes back to the system."""

from __future__ import annotations

import psutil
import pytest
import torch

from backend import memory


def test_what_is_freed_is_given_back() -> None:
    if memory._trim() is None:
        pytest.skip("the C library cannot give memory back")
    own = psutil.Process()
    kept = [torch.ones(16_000) for _ in range(3000)]  # 190 MB in pieces too small to be mapped one by one
    last = torch.ones(16_000)  # holds the top of the heap
    before = own.memory_info().rss
    del kept
    memory.give_back_free_memory()
    assert before - own.memory_info().rss > 100e6
    assert last.sum() == 16_000
    assert (memory.peak_memory_mb() + 1) * 2**20 >= before  # whole MiB


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_trim", lambda: None)
    memory.give_back_free_memory()
