"""`train --recipe sgrec --set judge.backend=endpoint`, from the command line to a server over real HTTP and back into the result."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.data.store import open_dataset
from backend.judge.aspects import ASPECTS
from backend.judge.endpoint import KEY_VARIABLE, MODEL_VARIABLE, URL_VARIABLE, EndpointJudge, EndpointSettings
from backend.judge.proxies import Labelled, Proxies
from backend.workspace import Workspace
from tests.cli.conftest import Run
from tests.judge.test_endpoint import Server, answer

LIMITS = '{"per_minute": 1e6, "pause": 0.01, "retries": 0, "timeout": 5, "dollars_in": 2.0, "dollars_out": 10.0}'
CONTEXTS, GROUP = 24, 8  # of the preset


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> Iterator[Server]:
    made = Server()
    monkeypatch.setenv(URL_VARIABLE, made.url)
    monkeypatch.setenv(KEY_VARIABLE, "sesame-key")
    monkeypatch.setenv(MODEL_VARIABLE, "oracle")
    yield made
    made.http.shutdown()
    made.http.server_close()


@pytest.fixture
def knows(server: Server, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server knows what held-out households bought later; of anything else it says what the place in the list says."""
    labelled: list[Labelled] = []
    make = Proxies.make

    def spy(self: Proxies, *args: Any) -> Labelled:
        labelled.append(make(self, *args))
        return labelled[-1]

    monkeypatch.setattr(Proxies, "make", spy)
    prompts = EndpointJudge(open_dataset(Workspace(trained)), EndpointSettings(url=server.url))
    good = server.good

    def say(number: int, n: int) -> tuple[int, dict[str, str], bytes]:
        asked = server.seen[-1][2]["messages"][1]["content"]
        for part in labelled:
            for situation, rows in part.asked():
                if prompts.prompt(situation, part.items[rows])[1]["content"] == asked:
                    levels = part.levels[rows].tolist()
                    said = [{"n": place, **dict(zip(ASPECTS, own, strict=True))} for place, own in enumerate(levels, start=1)]
                    return good({"items": said})
        return good({"items": [{"n": place, **dict.fromkeys(ASPECTS, place % 4)} for place in range(1, n + 1)]})

    server.script = say


def command(workspace: Path, *more: str) -> tuple[object, ...]:
    own = (
        "--set",
        "judge.backend=endpoint",
        "--set",
        f"judge.endpoint={LIMITS}",
        "--set",
        'policy.arms=["business only","a2po"]',
    )
    return ("train", "--recipe", "sgrec", "--workspace", workspace, "--preset", "tiny", *own, *more)


def test_rollouts_are_rewarded_over_http(run: Run, server: Server, knows: None, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "own")
    ask = command(tmp_path / "own", "--set", "policy.judged=0.5", "--json")
    found = run(*ask).json
    about = Workspace(tmp_path / "own").stage("judge").metrics["teacher"]
    households = about["measured"]["households"]
    assert about["used"], "an oracle beats the baselines"
    assert about["name"] == "endpoint: oracle"
    assert about["cost"]["requests"] == households, "one moment a household, sixteen items a request"
    assert {row["judge"] for row in about["rows"]} == {"endpoint", "cosine similarity", "popularity", "student"}
    total = found["judge"]["total"]
    assert (found["judge"]["backend"], found["judge"]["name"]) == ("endpoint", "endpoint: oracle")
    assert total["requests"] + total["cached"] == total["judge_calls"] / GROUP
    assert 0 < total["judge_calls"] < 2 * CONTEXTS * GROUP, "a sampled share of the contexts, by one arm, in two passes"
    assert len(server.seen) == households + total["requests"]
    assert total["tokens_in"] == 1000 * total["requests"]
    assert total["dollars"] == pytest.approx(total["requests"] * (1000 * 2.0 + 100 * 10.0) / 1e6)
    rows = {row["arm"]: row for row in found["rows"] if row["metric"] == "training"}
    assert rows["business only"]["judge_calls"] == 0
    assert rows["a2po"]["requests"] == total["requests"]
    assert 0 < rows["a2po"]["judged"] < 1
    assert "--set 'judge.backend=endpoint'" in found["command"]
    assert all(headers["Authorization"] == "Bearer sesame-key" for _, headers, _ in server.seen)
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"sesame-key" not in written + json.dumps(found).encode()
    assert server.url.encode() not in written, "nor does a workspace tell where the server is"

    asked = len(server.seen)
    again = run(*ask)
    assert again.json["rows"] == found["rows"]
    assert len(server.seen) == asked, "what is there is kept"
    shutil.rmtree(tmp_path / "own" / "policy")
    repeated = run(*ask).json["judge"]["total"]
    assert len(server.seen) == asked, "answers are kept on disk"
    assert (repeated["requests"], repeated["dollars"]) == (0, 0)


def test_what_an_endpoint_can_do_wrong(
    run: Run, server: Server, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trained, tmp_path / "own")
    ask = command(tmp_path / "own")
    server.script = lambda number, n: (401, {}, b"")
    run(*ask).refused("refuses the key", KEY_VARIABLE)
    release = threading.Event()

    def silent(number: int, n: int) -> tuple[int, dict[str, str], bytes]:
        release.wait(30)
        return server.good(answer(n))

    server.script = silent
    run(*ask[:-4], "--set", 'judge.endpoint={"timeout": 0.2, "retries": 0}').refused("cannot be reached", URL_VARIABLE)
    release.set()
    server.script = lambda number, n: server.good(answer(n))
    run(*ask).refused("not used", "beats cosine similarity and popularity", "judge.backend")
    assert Workspace(tmp_path / "own").stage("judge").metrics["teacher"]["used"] == [], "what was measured is kept"
    assert not Workspace(tmp_path / "own").has("policy")
    monkeypatch.delenv(URL_VARIABLE)
    run(*ask).refused("no endpoint is named", URL_VARIABLE)
