"""Whether bfloat16 pays on this machine.

Processors with units for it (AVX512-BF16, AMX) train about twice as fast in it; on those without, it is emulated and takes tens of times as long.
It is timed rather than looked up, since no flag covers every processor, once a process.
"""

from __future__ import annotations

import time
from functools import cache

import torch

_SIDE, _REPEATS = 256, 5  # of the square matrices; the least of so many products counts


@cache
def bf16_pays() -> bool:
    """Whether a product of matrices takes less time in bfloat16 than in float32."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return _seconds(torch.bfloat16) < _seconds(torch.float32)


def _seconds(kind: torch.dtype) -> float:
    one = torch.ones(_SIDE, _SIDE, dtype=kind)
    found = []
    for _ in range(_REPEATS + 1):  # the first makes room and compiles
        began = time.perf_counter()
        one @ one
        found.append(time.perf_counter() - began)
    return min(found[1:])
