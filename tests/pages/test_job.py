"""A background job as a page draws it: waiting, running, done, failed, cancelled."""

from __future__ import annotations

import threading

import pytest
from streamlit.testing.v1 import AppTest

from backend.errors import RequestError
from backend.progress import CancelToken, Progress, Report
from backend.serving import jobs as module
from backend.serving.jobs import Jobs


def page() -> None:
    import streamlit as st

    from backend.serving.jobs import jobs
    from pages.components import job

    if st.button("go", key="go"):
        job.start("map", st.session_state["work"])
    result = job.show(jobs().get("map"), "The map")
    st.text(f"result {result}")


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Jobs:
    made = Jobs(workers=1)
    monkeypatch.setattr(module, "jobs", lambda: made)
    monkeypatch.setattr("pages.components.job.jobs", lambda: made)
    return made


def opened(work: object) -> AppTest:
    app = AppTest.from_function(page, default_timeout=30)
    app.session_state["work"] = work
    app.run()
    assert app.text[0].value == "result None"
    return app


def test_a_running_job_is_drawn_and_can_be_cancelled(queue: Jobs) -> None:
    began = threading.Event()

    def work(report: Report, cancel: CancelToken) -> None:
        report(Progress("fit", 2, 8, "epochs *of* a map"))
        began.set()
        while True:
            cancel.check()
            threading.Event().wait(0.01)

    app = opened(work)
    app.button("go").click().run()
    assert began.wait(10)
    app.run()
    bar = app.get("progress")[0].proto
    assert bar.value == 25
    assert bar.text.startswith(r"The map: epochs \*of\* a map, 2 of 8 · ")
    app.button("cancel-map").click().run()
    job = queue.get("map")
    assert job is not None
    assert job.wait(10)
    app.run()
    assert "was cancelled" in app.info[0].value
    assert not app.exception


def test_the_result_arrives(queue: Jobs) -> None:
    app = opened(lambda report, cancel: 42)
    app.button("go").click().run()
    job = queue.get("map")
    assert job is not None
    assert job.wait(10)
    app.run()
    assert app.text[0].value == "result 42"
    assert not app.get("progress")


def test_a_users_error_is_said(queue: Jobs) -> None:
    def work(report: Report, cancel: CancelToken) -> None:
        raise RequestError("too few points", "3 <b>items</b>", "choose more")

    app = opened(work)
    app.button("go").click().run()
    job = queue.get("map")
    assert job is not None
    assert job.wait(10)
    app.run()
    assert "too few points" in app.error[0].value
    assert "<b>" not in app.error[0].value.replace("\\<", "")
