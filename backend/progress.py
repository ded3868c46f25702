"""Progress as a stream of events.

Long work takes a `report` callable and a `CancelToken`; it knows nothing of bars or pages. The command line draws the
events as bars, the app as `st.status`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from backend.errors import Cancelled


@dataclass(frozen=True)
class Progress:
    """One event: `done` of `total` units of `stage`, with a message and any metrics known so far."""

    stage: str
    done: int
    total: int
    message: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)


Report = Callable[[Progress], None]


def silent(event: Progress) -> None:
    """The reporter that draws nothing."""


class CancelToken:
    """A flag that another thread may set; long work calls `check()` between units."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask the work to stop at its next check."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked to stop."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise `Cancelled` if somebody asked to stop."""
        if self._event.is_set():
            raise Cancelled
