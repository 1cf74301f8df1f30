"""The note of which server runs on a home, and what is made of damaged ones, dead ones and silent ones."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest

from homeedit.household import Household
from homeedit.household.serving.state import (
    RunningServer,
    asked_health,
    noted_serving,
    read_serving,
    remove_serving,
    write_serving,
)
from homeedit.settings import Home

ADDRESS = "http://127.0.0.1:8080"
SAID = {
    "status": "degraded",
    "model": "tiny",
    "build": 3,
    "since": 1700000000.5,
    "problem": "Build 4 could not be loaded.",
    "mode": "build",
    "requests": 7,
    "running": 1,
    "waiting": 2,
    "tokens_per_second": 41.5,
}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def note(home: Home, **changed: object) -> None:
    """A note like one of this process, with changes."""
    noted = {"address": ADDRESS, "pid": os.getpid(), "started": psutil.Process().create_time()}
    home.serving_file.write_text(json.dumps(noted | changed), encoding="utf-8")


def test_a_server_is_noted_read_and_taken_away(home: Home) -> None:
    assert read_serving(home) is None
    written = write_serving(home, ADDRESS)
    assert read_serving(home) == written == RunningServer(ADDRESS, os.getpid(), psutil.Process().create_time())
    assert [file.name for file in home.root.iterdir()] == ["serving.json"], "no temporary file is left"
    remove_serving(home)
    assert read_serving(home) is None and not home.serving_file.exists()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"address": "http://127.0.0.1:1"}',
        b'{"address": "http://127.0.0.1:1", "pid": "many", "started": 0}',
        b'{"address": "http://127.0.0.1:1", "pid": 1e999, "started": 0}',
        b'{"address": "http://127.0.0.1:1", "pid": 99999999999999999999999, "started": 0}',
        b'{"address": "http://127.0.0.1:1", "pid": -4, "started": 0}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_note_is_none(home: Home, text: bytes) -> None:
    home.serving_file.write_bytes(text)
    assert read_serving(home) is None


@pytest.mark.parametrize(
    "address", ["", "file:///etc/passwd", "http://127.0.0.1:99999", "http://127.0.0.1", "http://["]
)
def test_an_address_that_is_no_servers_is_none(home: Home, address: str) -> None:
    note(home)
    assert read_serving(home) is not None
    note(home, address=address)
    assert read_serving(home) is None


def test_a_process_that_is_gone_or_another_one_is_none(home: Home) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    started = psutil.Process(gone.pid).create_time()
    gone.wait()
    note(home, pid=gone.pid, started=started)
    assert read_serving(home) is None
    # The number of a process that ended long ago, given to this one since.
    note(home, started=psutil.Process().create_time() - 3600)
    assert read_serving(home) is None
    # A clock that was set a little does not make it another one.
    note(home, started=psutil.Process().create_time() - 1)
    assert read_serving(home) is not None


def test_a_process_that_ended_and_was_not_waited_for_is_none(home: Home) -> None:
    ended = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = psutil.Process(ended.pid)
    note(home, pid=ended.pid, started=process.create_time())
    assert read_serving(home) is not None
    ended.kill()
    while process.status() != psutil.STATUS_ZOMBIE:
        pass
    assert read_serving(home) is None
    ended.wait()


def test_the_note_lasts_as_long_as_the_server_and_no_longer(home: Home) -> None:
    said: list[str] = []
    with pytest.raises(KeyError), noted_serving(home, ADDRESS, said.append):
        assert read_serving(home) is not None
        raise KeyError
    assert not home.serving_file.exists() and said == []


def test_the_note_of_another_server_stays(home: Home) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        note(home, pid=other.pid, started=psutil.Process(other.pid).create_time(), address="http://127.0.0.1:1234")
        with noted_serving(home, ADDRESS, lambda line: None):
            found = read_serving(home)
            assert found is not None and found.address == "http://127.0.0.1:1234"
        assert read_serving(home) == found
        other.kill()


def test_a_home_that_cannot_be_written_is_served_all_the_same(home: Home) -> None:
    home.serving_file.mkdir()
    said: list[str] = []
    with noted_serving(home, ADDRESS, said.append):
        pass
    assert len(said) == 1 and "serving.json could not be written" in said[0]


class _Answers(BaseHTTPRequestHandler):
    body = json.dumps(SAID).encode()

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def answering() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), _Answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_a_server_says_of_itself(home: Home, answering: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # must not be asked
    write_serving(home, f"http://127.0.0.1:{answering.server_port}")
    server = Household(home).server()
    assert server is not None and server.health is not None
    health = server.health
    assert (health.build, health.problem, health.waiting) == (3, "Build 4 could not be loaded.", 2)
    assert (health.since, health.tokens_per_second) == (1700000000.5, 41.5)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"model": 1}', json.dumps(SAID | {"requests": "x"}).encode()])
def test_something_else_on_that_port_says_nothing_of_interest(
    answering: HTTPServer, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Answers, "body", body)
    assert asked_health(RunningServer(f"http://127.0.0.1:{answering.server_port}", 1, 0.0)) is None


def test_a_server_that_is_silent_is_not_waited_for() -> None:
    import socket

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        server = RunningServer(f"http://127.0.0.1:{listening.getsockname()[1]}", 1, 0.0)
        assert asked_health(server, timeout=0.05) is None


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("http://0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("http://[::]:8080", "http://[::1]:8080"),
        ("http://192.168.1.5:8080", "http://192.168.1.5:8080"),
    ],
)
def test_where_a_server_is_asked_from_this_machine(address: str, local: str) -> None:
    assert RunningServer(address, 1, 0.0).local_address == local
