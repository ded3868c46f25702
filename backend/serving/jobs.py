"""Long work beside the pages: started once, watched from any page, cancelled between units.

- A `Job` is known by its key; asking for a key that is queued or running gives the running job, so two sessions that press the
  same button share the work.
- A few workers, and a fair queue: owners (sessions) take turns, so one that asks for ten things does not hold up the next one.
- The workers are daemon threads around `concurrent.futures.Future`: an executor's own threads would keep the process from ending
  until a long run is through. At exit every job is asked to stop and gets a moment to do so; finished parts stay on disk.
- A user's error becomes one readable line; a defect keeps its traceback in the log, and the line says where to look.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import cache
from typing import Any, Literal

from backend.errors import Cancelled, SigmascopeError
from backend.progress import CancelToken, Progress, Report

State = Literal["queued", "running", "done", "failed", "cancelled"]
Work = Callable[[Report, CancelToken], Any]
WORKERS = 2  # the models' own libraries use all cores as it is
_KEPT = 64  # ended jobs that can still be asked for
_PATIENCE_S = 3.0  # at exit
_log = logging.getLogger(__name__)


class Job:
    """One piece of long work.

    Attributes:
        key: what it is known by.
        owner: whose turn it takes in the queue.
        progress: the last event that the work reported; None before the first.
    """

    def __init__(self, key: str, work: Work, owner: str = "") -> None:
        self.key, self.owner = key, owner
        self.progress: Progress | None = None
        self.token = CancelToken()
        self._work, self._future = work, Future[Any]()
        self._began: float | None = None
        self._ended: float | None = None
        self._future.add_done_callback(self._end)

    @property
    def state(self) -> State:
        """Where it stands."""
        if self._future.cancelled():
            return "cancelled"
        if not self._future.done():
            return "running" if self._future.running() else "queued"
        error = self._future.exception()
        return "done" if error is None else "cancelled" if isinstance(error, Cancelled) else "failed"

    @property
    def active(self) -> bool:
        """Whether it still waits or runs."""
        return not self._future.done()

    @property
    def result(self) -> Any:
        """What the work returned; None unless it is done."""
        return self._future.result() if self.state == "done" else None

    @property
    def error(self) -> str | None:
        """One line for the user; None unless it failed."""
        if self.state != "failed":
            return None
        error = self._future.exception()
        return (
            str(error) if isinstance(error, SigmascopeError) else f"a defect of the program ({type(error).__name__}); see its log"
        )

    @property
    def seconds(self) -> float:
        """How long it has been running, or ran."""
        if self._began is None:
            return 0.0
        return (self._ended or time.monotonic()) - self._began

    def cancel(self) -> None:
        """Ask it to stop: at once while queued, at its next check while running."""
        self.token.cancel()
        self._future.cancel()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end; whether it came within `timeout` seconds."""
        ended = threading.Event()
        self._future.add_done_callback(lambda _: ended.set())
        return ended.wait(timeout)

    def _report(self, event: Progress) -> None:
        self.progress = event

    def _end(self, _: Future[Any]) -> None:
        self._ended = time.monotonic()

    def _run(self) -> None:
        if not self._future.set_running_or_notify_cancel():
            return
        self._began = time.monotonic()
        try:
            result = self._work(self._report, self.token)
        except BaseException as error:  # also SystemExit: the page must learn of any end, and the worker lives on
            if not isinstance(error, Cancelled | SigmascopeError):
                _log.exception("job %s failed", self.key)
            self._future.set_exception(error)
        else:
            self._future.set_result(result)


class Jobs:
    """Jobs by key, with their queue.

    Args:
        workers: how many run at once.
    """

    def __init__(self, workers: int = WORKERS) -> None:
        self._workers, self._threads = workers, 0
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._waiting: OrderedDict[str, deque[Job]] = OrderedDict()  # owner → its jobs; the first owner is next
        self._change = threading.Condition()

    def start(self, key: str, work: Work, owner: str = "") -> Job:
        """The job of this key: the one that waits or runs already, else a new one.

        Args:
            key: everything that the result depends on.
            work: called with a reporter and a cancel token.
            owner: owners take turns; pages give their session.
        """
        with self._change:
            job = self._jobs.get(key)
            if job is not None and job.active and not job.token.cancelled:
                return job
            job = Job(key, work, owner)
            self._jobs[key] = job
            self._jobs.move_to_end(key)
            self._forget()
            self._waiting.setdefault(owner, deque()).append(job)
            if self._threads < self._workers:
                self._threads += 1
                threading.Thread(target=self._serve, name=f"job-{self._threads}", daemon=True).start()
            self._change.notify()
            return job

    def get(self, key: str) -> Job | None:
        """The last job of this key, ended ones too; None where there was none or it is long forgotten."""
        with self._change:
            return self._jobs.get(key)

    def ahead(self, job: Job) -> int:
        """How many jobs of all owners are served before a queued one."""
        with self._change:
            line = [list(queue) for queue in self._waiting.values()]
        turns = [
            waiting for turn in range(max(map(len, line), default=0)) for queue in line for waiting in queue[turn : turn + 1]
        ]
        return turns.index(job) if job in turns else 0

    def close(self, patience: float = _PATIENCE_S) -> None:
        """Ask every job to stop and wait for that, at most `patience` seconds."""
        with self._change:
            active = [job for job in self._jobs.values() if job.active]
        for job in active:
            job.cancel()
        until = time.monotonic() + patience
        for job in active:
            job.wait(max(0.0, until - time.monotonic()))

    def _forget(self) -> None:
        ended = [key for key, job in self._jobs.items() if not job.active]
        for key in ended[: max(0, len(ended) - _KEPT)]:
            del self._jobs[key]

    def _serve(self) -> None:
        while True:
            with self._change:
                while not self._waiting:
                    self._change.wait()
                owner, queue = self._waiting.popitem(last=False)
                job = queue.popleft()
                if queue:
                    self._waiting[owner] = queue  # behind the other owners
            job._run()
            del job, queue  # an idle worker holds no results


@cache
def jobs() -> Jobs:
    """The jobs of this process."""
    made = Jobs()
    atexit.register(made.close)
    return made
