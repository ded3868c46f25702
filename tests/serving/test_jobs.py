"""Background jobs: shared by key, cancelled, told of, served in turns."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from backend.errors import RequestError
from backend.progress import CancelToken, Progress, Report
from backend.serving.jobs import Job, Jobs

WAIT = 10.0


@pytest.fixture
def queue() -> Iterator[Jobs]:
    made = Jobs(workers=1)
    yield made
    made.close(1.0)


class Gate:
    """Work that says when it began and stays until it may go, or is cancelled."""

    def __init__(self) -> None:
        self.began, self.go = threading.Event(), threading.Event()

    def __call__(self, report: Report, cancel: CancelToken) -> str:
        report(Progress("gate", 1, 2, "at the gate"))
        self.began.set()
        while not self.go.wait(0.01):
            cancel.check()
        return "through"


def ended(job: Job) -> Job:
    assert job.wait(WAIT)
    return job


def test_a_job_from_queue_to_result(queue: Jobs) -> None:
    gate = Gate()
    job = queue.start("one", gate)
    assert gate.began.wait(WAIT)
    assert job.state == "running"
    assert job.progress == Progress("gate", 1, 2, "at the gate")
    assert job.result is None
    assert queue.start("one", Gate()) is job  # the same key joins what runs
    gate.go.set()
    assert ended(job).state == "done"
    assert (job.result, job.error) == ("through", None)
    assert queue.get("one") is job
    assert queue.get("other") is None
    assert queue.start("one", lambda report, cancel: 2) is not job  # ended: made anew


def test_cancelling(queue: Jobs) -> None:
    gate = Gate()
    running, waiting = queue.start("running", gate), queue.start("waiting", Gate())
    assert gate.began.wait(WAIT)
    assert waiting.state == "queued"
    waiting.cancel()
    assert waiting.state == "cancelled"  # at once
    running.cancel()
    again = queue.start("running", lambda report, cancel: "fresh")  # does not join what is about to stop
    assert ended(running).state == "cancelled"
    assert running.result is None
    assert running.error is None
    assert ended(again).result == "fresh"


def test_errors_become_one_line(queue: Jobs, caplog: pytest.LogCaptureFixture) -> None:
    def user(report: Report, cancel: CancelToken) -> None:
        raise RequestError("no such item", "item 7", "take another")

    def defect(report: Report, cancel: CancelToken) -> None:
        raise ZeroDivisionError("secret detail")

    assert ended(queue.start("user", user)).error == "no such item (item 7). take another"
    failed = ended(queue.start("defect", defect))
    assert failed.state == "failed"
    assert "ZeroDivisionError" in str(failed.error)
    assert "secret" not in str(failed.error)
    assert "secret detail" in caplog.text  # the log has it all
    assert ended(queue.start("after", lambda report, cancel: 1)).result == 1  # the worker lives on


def test_owners_take_turns(queue: Jobs) -> None:
    gate, order = Gate(), []
    queue.start("gate", gate, owner="a")
    assert gate.began.wait(WAIT)
    made = [queue.start(f"{owner}{n}", lambda report, cancel, name=f"{owner}{n}": order.append(name), owner=owner)
            for owner, n in (("a", 1), ("a", 2), ("a", 3), ("b", 1))]  # fmt: skip
    assert [queue.ahead(job) for job in made] == [0, 2, 3, 1]
    gate.go.set()
    for job in made:
        ended(job)
    assert order == ["a1", "b1", "a2", "a3"]


def test_the_end_of_the_process_stops_jobs(queue: Jobs) -> None:
    job, later = queue.start("long", Gate()), queue.start("later", Gate())
    queue.close(WAIT)
    assert (job.state, later.state) == ("cancelled", "cancelled")


def test_old_jobs_are_forgotten(queue: Jobs) -> None:
    for number in range(70):
        ended(queue.start(f"{number}", lambda report, cancel: None))
    assert queue.get("69") is not None
    assert queue.get("0") is None
