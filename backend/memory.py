"""The memory of this process: how much it was at most, and giving back what is free."""

from __future__ import annotations

import ctypes
import resource
from functools import cache


def peak_memory_mb() -> int:
    """Peak resident memory of this process, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def give_back_free_memory() -> None:
    """Hand freed memory back to the system; does nothing where the C library cannot.

    Batches of ever other sizes leave holes that glibc keeps: after some hundred training steps they were a third of the process.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> ctypes._NamedFuncPointer | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # not glibc
        return None
