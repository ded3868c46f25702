"""The endpoint judge over real HTTP, against a server of the test's own that can be slow, busy, rude and wrong."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.data.schema import Dataset
from backend.errors import RequestError
from backend.judge.aspects import ASPECTS, Situation, Situations
from backend.judge.endpoint import KEY_VARIABLE, MODEL_VARIABLE, URL_VARIABLE, EndpointJudge, EndpointSettings


def answer(n: int, level: int = 2, **more: Any) -> dict[str, Any]:
    return {"items": [{"n": k, **dict.fromkeys(ASPECTS, level), "reason": f"because {k}", **more} for k in range(1, n + 1)]}


class Server:
    """Answers with what `script` gives for the number of the request: (status, headers, body)."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.times: list[float] = []
        self.script: Callable[[int, int], tuple[int, dict[str, str], bytes]] = lambda number, n: self.good(answer(n))
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.seen.append((self.path, dict(self.headers), body))
                outer.times.append(time.monotonic())
                items = body["messages"][1]["content"].split("Items:")[1]
                status, headers, content = outer.script(len(outer.seen), items.count("($") or items.count(", $"))
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.handle_error = lambda *about: None  # type: ignore[method-assign]  # a client that gave up is no defect of the server's
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @staticmethod
    def good(content: Any) -> tuple[int, dict[str, str], bytes]:
        text = content if isinstance(content, str) else json.dumps(content)
        usage = {"prompt_tokens": 1000, "completion_tokens": 100}
        return 200, {}, json.dumps({"choices": [{"message": {"content": text}}], "usage": usage}).encode()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.http.shutdown()
    made.http.server_close()


@pytest.fixture
def situation(tiny_dataset: Dataset) -> Situation:
    made = Situations(tiny_dataset)
    return made.before(4, int(made.past.first[5]) - 1, "something sweet")


def judge_of(server: Server, dataset: Dataset, folder: Path, **more: Any) -> EndpointJudge:
    settings = EndpointSettings(
        url=server.url, **{"pause": 0.01, "per_minute": 1e6, "timeout": 20.0, "key": "secret-key", **more}
    )
    return EndpointJudge(dataset, settings, folder)


def test_levels_reasons_and_cost(server: Server, tiny_dataset: Dataset, tmp_path: Path, situation: Situation) -> None:
    judge = judge_of(server, tiny_dataset, tmp_path, dollars_in=2.0, dollars_out=10.0, model="m")
    said = judge.judge(situation, np.arange(20), reasons=True)
    assert said.levels.shape == (20, 4)
    assert (said.levels == 2).all()
    assert said.reasons[17]["future"] == "something close: because 2", "sixteen items a request"
    path, headers, body = server.seen[0]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer secret-key"
    assert (body["model"], body["temperature"]) == ("m", 0.0)
    text = body["messages"][1]["content"]
    assert "something sweet" in text
    assert tiny_dataset.items["title"].iloc[0] in text
    assert tiny_dataset.users["user_id"].iloc[4] not in text
    cost = judge.cost
    assert (cost.requests, cost.cached, cost.items, cost.tokens_in, cost.tokens_out) == (2, 0, 20, 2000, 200)
    assert cost.dollars == pytest.approx((2000 * 2 + 200 * 10) / 1e6)


def test_nothing_is_asked_twice(server: Server, tiny_dataset: Dataset, tmp_path: Path, situation: Situation) -> None:
    judge_of(server, tiny_dataset, tmp_path).judge(situation, np.arange(5))
    (kept,) = tmp_path.glob("*.json")
    assert "secret" not in kept.read_text() + kept.name
    again = judge_of(server, tiny_dataset, tmp_path)
    again.judge(situation, np.arange(5))
    assert (len(server.seen), again.cost.requests, again.cost.cached) == (1, 0, 1)
    kept.write_text('{"items": [')  # cut by a crash
    judge_of(server, tiny_dataset, tmp_path).judge(situation, np.arange(5))
    judge_of(server, tiny_dataset, tmp_path, model="other").judge(situation, np.arange(5))
    assert len(server.seen) == 3, "a damaged answer and another model are asked"


def test_a_busy_server_is_asked_again(server: Server, tiny_dataset: Dataset, tmp_path: Path, situation: Situation) -> None:
    def busy(number: int, n: int) -> tuple[int, dict[str, str], bytes]:
        return (429, {"Retry-After": "1"}, b"") if number == 1 else (503, {}, b"") if number == 2 else server.good(answer(n))

    server.script = busy
    judge_of(server, tiny_dataset, tmp_path).judge(situation, np.arange(2))
    assert len(server.seen) == 3
    assert server.times[1] - server.times[0] >= 0.95, "Retry-After is heeded"


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ((401, {}, b""), "refuses the key"),
        ((404, {}, b"no"), "status 404"),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), "status 302"),
        ((200, {}, b"<html>"), "no answer of an OpenAI-compatible"),
        ((200, {}, b"[]"), "no answer of an OpenAI-compatible"),
        ((200, {}, b" " * (2 << 20)), "too long"),
        ((200, {"Content-Length": "999"}, b"{"), "broke off"),
        (Server.good("I think it is fine."), "cannot be read"),
        (Server.good(answer(1)), "item 2 is missing"),
        (Server.good(answer(2, 4)), "cannot be read: items.0.profile"),
        (Server.good(answer(2, -1)), "cannot be read: items.0.profile"),
    ],
)
def test_bad_answers_are_users_errors(
    server: Server, tiny_dataset: Dataset, tmp_path: Path, situation: Situation, reply: Any, message: str
) -> None:
    server.script = lambda number, n: reply
    with pytest.raises(RequestError, match=message) as raised:
        judge_of(server, tiny_dataset, tmp_path).judge(situation, np.arange(2))
    assert "secret-key" not in str(raised.value)
    assert not list(tmp_path.glob("*.json")), "what cannot be read is not kept"


def test_an_answer_that_cannot_be_read_is_asked_once_more(
    server: Server, tiny_dataset: Dataset, tmp_path: Path, situation: Situation
) -> None:
    server.script = lambda number, n: server.good("hm" if number == 1 else f"```json\n{json.dumps(answer(n))}\n```")
    assert (judge_of(server, tiny_dataset, tmp_path).judge(situation, np.arange(2)).levels == 2).all()
    assert len(server.seen) == 2


def test_silence_ends_in_a_time_out(server: Server, tiny_dataset: Dataset, tmp_path: Path, situation: Situation) -> None:
    release = threading.Event()

    def silent(number: int, n: int) -> tuple[int, dict[str, str], bytes]:
        release.wait(30)
        return server.good(answer(n))

    server.script = silent
    with pytest.raises(RequestError, match="cannot be reached"):
        judge_of(server, tiny_dataset, tmp_path, timeout=0.3, retries=1).judge(situation, np.arange(2))
    release.set()
    assert len(server.seen) == 2, "tried again once"


def test_nobody_there(tiny_dataset: Dataset, tmp_path: Path, situation: Situation) -> None:
    settings = EndpointSettings(url="http://127.0.0.1:9", retries=0, timeout=2.0)
    with pytest.raises(RequestError, match="cannot be reached"):
        EndpointJudge(tiny_dataset, settings, tmp_path).judge(situation, np.arange(2))


def test_requests_keep_their_distance(server: Server, tiny_dataset: Dataset, tmp_path: Path, situation: Situation) -> None:
    judge_of(server, tiny_dataset, tmp_path, per_minute=300).judge(situation, np.arange(40))
    assert len(server.times) == 3
    assert server.times[2] - server.times[0] >= 0.35, "three requests, 0.2 s apart"


def test_settings_come_from_the_environment() -> None:
    found = EndpointSettings.from_environment({URL_VARIABLE: "https://host/v1/", KEY_VARIABLE: "sesame", MODEL_VARIABLE: "m"})
    assert (found.url, found.key, found.model) == ("https://host/v1", "sesame", "m")
    assert "sesame" not in repr(found)
    for url in ("", "ftp://host", "https://", "nonsense"):
        with pytest.raises(RequestError, match=URL_VARIABLE):
            EndpointSettings.from_environment({URL_VARIABLE: url})
