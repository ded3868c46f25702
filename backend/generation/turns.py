"""Whose turn it is: a lock that serves those who wait in the order in which they came.

`threading.Lock` gives no order: a session that asks again and again can keep the model from one that waits. Here nobody is overtaken.
"""

from __future__ import annotations

import threading
from collections import deque
from types import TracebackType


class Turns:
    """A first-come, first-served lock; the thread that holds it may enter again. Use it with `with`."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._holder: int | None = None
        self._depth = 0

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    def __enter__(self) -> Turns:
        me = threading.get_ident()
        with self._guard:
            if self._holder in (None, me):
                self._holder, self._depth = me, self._depth + 1
                return self
            turn = threading.Event()
            self._waiting.append(turn)
        turn.wait()  # whoever leaves hands over: the lock is never free while somebody waits
        self._holder, self._depth = me, 1
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._guard:
            self._depth -= 1
            if self._depth:
                return
            if self._waiting:
                self._holder = -1  # taken by the one that is woken
                self._waiting.popleft().set()
            else:
                self._holder = None
