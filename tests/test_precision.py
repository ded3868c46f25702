"""bfloat16 is used where it pays, and nowhere else."""

from __future__ import annotations

import pytest
import torch

from backend import precision


@pytest.mark.parametrize(("slow", "pays"), [(torch.bfloat16, False), (torch.float32, True)])
def test_what_takes_longer_is_not_used(monkeypatch: pytest.MonkeyPatch, slow: torch.dtype, pays: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(precision, "_seconds", lambda kind: 2.0 if kind is slow else 1.0)
    precision.bf16_pays.cache_clear()
    assert precision.bf16_pays() is pays
    monkeypatch.undo()
    precision.bf16_pays.cache_clear()


def test_a_product_takes_time() -> None:
    assert 0 < precision._seconds(torch.float32) < 1
