"""``serve`` as a process: asked, stopped by signals, found by others, in its way by another program."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homeedit.household import Household
from homeedit.household.serving.state import read_serving
from homeedit.settings import Home
from tests.household.conftest import World
from tests.household.test_compile import SENTENCES, teach

ROOT = Path(__file__).parents[2]


class Served:
    """A server's process, ready to answer."""

    def __init__(self, home: Home, *arguments: str, ready: bool = True) -> None:
        command = [sys.executable, "-m", "tests.cli.driver", "plain", "--home", str(home.root), "serve", "--port", "0"]
        self.process = subprocess.Popen(
            [*command, "--json", *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline() if ready else ""
        self.said: dict[str, Any] = json.loads(line) if line else {}
        assert self.said or not ready, self.end()[1]

    def ask(self, question: str) -> str:
        """The answer, through the OpenAI route."""
        body = {"model": "homeedit:latest", "max_tokens": 8, "messages": [{"role": "user", "content": question}]}
        request = urllib.request.Request(
            self.said["address"] + "/v1/chat/completions",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return str(json.loads(answer.read())["choices"][0]["message"]["content"])

    def end(self) -> tuple[int, str]:
        """Wait for the end: the exit code and what it said on stderr."""
        _, err = self.process.communicate(timeout=60)
        return self.process.returncode, err


@pytest.fixture
def processes() -> Iterator[list[Served]]:
    started: list[Served] = []
    yield started
    for each in started:
        each.process.kill()
        each.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_answers_until_it_is_asked_to_stop(
    home: Home, household: Household, world: World, processes: list[Served], number: signal.Signals
) -> None:
    teach(household, SENTENCES[0])
    household.compile()
    served = Served(home)
    processes.append(served)
    assert (served.said["model"], served.said["build"]) == ("tiny", 1)
    (expected,) = household.ask(["Where is the key?"])
    answer = served.ask("Where is the key?")
    assert answer and expected.answer.startswith(answer)
    server = household.server()
    assert server is not None and server.pid == served.process.pid
    assert server.health is not None and (server.health.build, server.health.requests) == (1, 1)
    (check,) = [check for check in household.doctor() if check.check == "server"]
    assert check.ok and "build 1 is served" in check.detail
    served.process.send_signal(number)
    code, err = served.end()
    assert (code, err.splitlines()[-1]) == (0, "Stopped."), err
    assert "Traceback" not in err and "Where is the key" not in err
    assert not home.serving_file.exists()


def test_a_compile_of_another_process_goes_live_and_is_said(
    home: Home, household: Household, world: World, processes: list[Served]
) -> None:
    served = Served(home)
    processes.append(served)
    assert served.said["build"] is None
    teach(household, SENTENCES[0])
    household.compile()
    end = time.monotonic() + 60
    while True:
        server = household.server()
        if server is not None and server.health is not None and server.health.build == 1:
            break
        assert time.monotonic() < end, "the build did not go live"
        time.sleep(0.05)
    assert served.process.stderr is not None
    for line in served.process.stderr:
        if line == "Build 1 is live.\n":
            break
    else:
        raise AssertionError("it was not said")


def test_a_server_that_is_killed_is_not_found(home: Home, household: Household, processes: list[Served]) -> None:
    served = Served(home)
    processes.append(served)
    assert read_serving(home) is not None
    served.process.kill()
    served.process.wait()
    assert home.serving_file.exists() and household.server() is None
    # The next one is not kept from starting by what it left.
    again = Served(home)
    processes.append(again)
    found = household.server()
    assert found is not None and found.pid == again.process.pid


def test_the_end_of_stdin_is_the_end_of_the_apps_server(home: Home, processes: list[Served]) -> None:
    served = Served(home, "--until-stdin-ends")
    processes.append(served)
    code, err = served.end()  # communicate closes stdin
    assert code == 0 and err.endswith("Stopped.\n")
    served = Served(home, "--until-stdin-ends")
    processes.append(served)
    served.process.terminate()
    # Not by ``end``, which closes stdin: nobody has said anything there, and it is still open.
    assert served.process.wait(60) == 0


def test_a_port_that_is_taken_is_said_in_words(home: Home, processes: list[Served]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        served = Served(home, "--port", str(taken.getsockname()[1]), ready=False)
        processes.append(served)
        code, err = served.end()
    assert code == 1 and "taken" in err and "--port" in err
    assert "Traceback" not in err and "unexpected" not in err


def test_a_folder_that_is_no_home_is_said_in_words(tmp_path: Path, processes: list[Served]) -> None:
    served = Served(Home(tmp_path / "none"), ready=False)
    processes.append(served)
    code, err = served.end()
    assert code == 1 and "not a home" in err and "homeedit init" in err
    assert not (tmp_path / "none").exists()
