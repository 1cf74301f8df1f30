"""Real sockets: clients that hang up, dawdle or do not read; and how the server starts and stops."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from homeedit.errors import HomeEditError
from homeedit.household.serving.requests import AnswerRequest, Began, Event, Spoke
from homeedit.server.run import ServerOptions, check_address, listening_sockets, make_server
from tests.server.fakes import ENDED, FakeEngine, Script
from tests.server.live import listening, wait_for

CHAT = {"model": "homeedit", "messages": [{"role": "user", "content": "Hello?"}]}


class Paced:
    """A script that speaks one word for each ``release`` of its pace."""

    def __init__(self, words: int = 1000, word: str = "word ") -> None:
        self.pace = threading.Semaphore(0)
        self._words, self._word = words, word

    def __call__(self, request: AnswerRequest) -> Iterator[Event]:
        yield Began(request.model, 7)
        for _ in range(self._words):
            self.pace.acquire(timeout=30)
            yield Spoke(self._word)
        yield ENDED

    def end(self) -> None:
        self.pace.release(2000)


def connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=60)


@contextmanager
def in_python(program: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that runs ``program``; killed if a test leaves it running."""
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.getcwd()},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def post(path: str, body: dict[str, Any]) -> bytes:
    data = json.dumps(body).encode()
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data


def hears(connection: socket.socket, word: bytes) -> bool:
    """Whether the word comes, before the socket's timeout: head and body are sent apart."""
    heard = b""
    while word not in heard:
        more = connection.recv(65536)
        if not more:
            return False
        heard += more
    return True


def is_closed(connection: socket.socket) -> bool:
    """Whether the server hung up, before the socket's timeout."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass
    return True


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/chat"])
def test_a_client_that_hangs_up_stops_its_answer(path: str, stream: bool) -> None:
    script = Paced()
    engine = FakeEngine(script)
    with listening(engine) as live, connect(live.url) as connection:
        connection.sendall(post(path, CHAT | {"stream": stream}))
        wait_for(lambda: engine.tickets, "the request at the engine")
        if stream:
            script.pace.release()
            assert hears(connection, b"word")
        connection.close()
        wait_for(engine.tickets[0].cancelled.is_set, "the answer cancelled")
        script.end()
        assert httpx.get(f"{live.url}/health").json()["status"] == "ok"


def test_an_answer_that_ended_is_not_cancelled() -> None:
    engine = FakeEngine()
    with listening(engine) as live:
        assert httpx.post(f"{live.url}/v1/chat/completions", json=CHAT).status_code == 200
    assert not engine.tickets[0].cancelled.is_set()


def test_words_are_sent_as_they_are_said() -> None:
    script = Paced(words=3)
    with listening(FakeEngine(script)) as live, connect(live.url) as connection:
        connection.sendall(post("/api/chat", CHAT))
        for _ in range(3):
            script.pace.release()
            assert hears(connection, b"word ")
        script.end()


def test_two_requests_on_one_connection() -> None:
    with listening(FakeEngine()) as live, httpx.Client(base_url=live.url) as client:
        for _ in range(3):
            assert client.post("/api/chat", json=CHAT).status_code == 200
            assert client.get("/api/tags").status_code == 200


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET /api/tags HTTP/1.1\r\nHost: localhost\r\n"])
def test_a_head_that_does_not_end_is_hung_up_on(sent: bytes) -> None:
    with listening(FakeEngine(), header_seconds=0.3) as live, connect(live.url) as connection:
        connection.sendall(sent)
        assert is_closed(connection)


def test_a_head_that_trickles_is_hung_up_on_even_as_second_request() -> None:
    with listening(FakeEngine(), header_seconds=1) as live, connect(live.url) as connection:
        connection.sendall(b"GET /api/version HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert hears(connection, b"200 OK")
        connection.sendall(b"GET /api/version HTTP/1.1\r\nHost: localhost\r\n")
        began = time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() < began + 60:
                connection.sendall(b"x-more: more\r\n")
                time.sleep(0.02)


def test_an_idle_connection_outlives_the_time_for_a_head() -> None:
    # Long enough that a client on a loaded machine has its say in time.
    with listening(FakeEngine(), header_seconds=1) as live, connect(live.url) as connection:
        for pause in (1.2, 0):
            connection.sendall(b"GET /api/version HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert hears(connection, b"200 OK")
            time.sleep(pause)


def test_an_answer_may_take_longer_than_a_head() -> None:
    script = Paced(words=1)
    with listening(FakeEngine(script), header_seconds=1, body_seconds=1) as live, connect(live.url) as connection:
        connection.sendall(post("/v1/chat/completions", CHAT))
        time.sleep(1.2)
        script.end()
        assert hears(connection, b"200 OK")


def test_a_body_that_does_not_end_is_answered_with_408() -> None:
    with listening(FakeEngine(), body_seconds=0.3) as live, connect(live.url) as connection:
        connection.sendall(post("/v1/chat/completions", CHAT)[:-5])
        assert hears(connection, b" 408 ")
        assert is_closed(connection)


def test_a_body_that_is_too_large_is_answered_before_it_came() -> None:
    with listening(FakeEngine(), body_seconds=0.3) as live, connect(live.url) as connection:
        connection.sendall(b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999999\r\n\r\n")
        assert hears(connection, b" 413 ")
        connection.sendall(b"x" * 1000)
        # The rest is thrown away for a while, and then the line is cut.
        assert is_closed(connection)


def test_a_huge_body_reads_its_413() -> None:
    with listening(FakeEngine()) as live:
        answer = httpx.post(f"{live.url}/api/chat", content=b" " * 30_000_000, timeout=30)
        assert answer.status_code == 413
        assert httpx.get(f"{live.url}/api/version").status_code == 200


def says_on(word: str, times: int) -> Script:
    """So many words, and then nothing that counts, without an end."""

    def script(request: AnswerRequest) -> Iterator[Event]:
        yield Began(request.model, 7)
        for _ in range(times):
            yield Spoke(word)
        while True:
            time.sleep(0.02)
            yield Spoke("")

    return script


def test_a_client_that_does_not_read_is_dropped() -> None:
    engine = FakeEngine(says_on("word " * 100_000, 60))
    with listening(engine, write_seconds=0.3) as live, connect(live.url) as connection:
        connection.sendall(post("/v1/chat/completions", CHAT | {"stream": True}))
        wait_for(lambda: engine.tickets, "the request at the engine")
        slow = Paced()
        engine.script = slow
        with connect(live.url) as other:
            other.sendall(post("/v1/chat/completions", CHAT | {"stream": True}))
            wait_for(lambda: len(engine.tickets) == 2, "the second request")
            slow.pace.release()
            assert hears(other, b"word"), "others are served meanwhile"
            slow.end()
        wait_for(engine.tickets[0].cancelled.is_set, "the end of its answer")
        received = 0
        with pytest.raises(ConnectionError):
            while True:
                got = len(connection.recv(1 << 20))
                received += got
                if not got:
                    raise ConnectionResetError
        assert received < 60 * 500_000


def test_what_is_not_http_gets_a_400() -> None:
    with listening(FakeEngine()) as live, connect(live.url) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00 hello\r\n\r\n")
        assert hears(connection, b" 400 ")
        assert is_closed(connection)
        assert httpx.get(f"{live.url}/health").status_code == 200


def test_a_body_with_two_lengths_is_refused_and_what_follows_is_not_read() -> None:
    engine = FakeEngine()
    with listening(engine) as live, connect(live.url) as connection:
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
        connection.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + post("/v1/chat/completions", CHAT))
        said = b""
        while more := connection.recv(65536):
            said += more
    assert said.startswith(b"HTTP/1.1 400") and said.count(b"HTTP/1.1") == 1 and b"two lengths" in said
    assert not engine.asked


def test_a_wish_for_another_protocol_is_passed_over_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    upgrade = {"connection": "upgrade", "upgrade": "websocket"}
    with listening(FakeEngine()) as live:
        assert httpx.get(f"{live.url}/health", headers=upgrade).status_code == 200
    assert not [record for record in caplog.records if record.name.startswith("uvicorn")]


def test_idle_sockets_do_not_disturb() -> None:
    with listening(FakeEngine()) as live, ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(connect(live.url))
        assert httpx.post(f"{live.url}/v1/chat/completions", json=CHAT).status_code == 200


def test_more_connections_than_allowed_are_cut() -> None:
    with listening(FakeEngine(), max_connections=5) as live, ExitStack() as stack:
        open_ones = [stack.enter_context(connect(live.url)) for _ in range(5)]
        wait_for(lambda: is_closed_at_once(live.url), "the sixth cut")
        open_ones[0].sendall(b"GET /api/version HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert hears(open_ones[0], b"200 OK")


def is_closed_at_once(url: str) -> bool:
    with connect(url) as connection:
        return is_closed(connection)


@pytest.mark.parametrize("path", ["/api/chat", "/v1/chat/completions"])
def test_what_a_client_that_went_away_had_heard_is_counted(caplog: pytest.LogCaptureFixture, path: str) -> None:
    script = Paced()
    engine = FakeEngine(script)
    with caplog.at_level("INFO", "homeedit.server"), listening(engine) as live:
        with connect(live.url) as connection:
            connection.sendall(post(path, CHAT | {"stream": True}))
            for _ in range(3):
                script.pace.release()
                assert hears(connection, b"word")
        wait_for(lambda: caplog.messages, "its line in the log")
    script.end()
    assert caplog.messages[0].startswith(f"POST {path} 200 ") and caplog.messages[0].endswith(" 3 tokens")


def test_running_answers_are_ended_in_words_when_the_server_stops() -> None:
    script = Paced()
    engine = FakeEngine(script)
    found: list[str] = []
    with listening(engine, stop_seconds=0.2) as live:
        answers = [
            threading.Thread(
                target=lambda s=s: found.append(httpx.post(f"{live.url}/api/chat", json=CHAT | {"stream": s}).text)
            )
            for s in (True, False)
        ]
        for each in answers:
            each.start()
        wait_for(lambda: len(engine.tickets) == 2, "both requests")
        script.pace.release(2)
    for each in answers:
        each.join(60)
    script.end()
    assert [json.loads(each.splitlines()[-1]) for each in found] == [{"error": "The server is stopping."}] * 2
    assert all(each.cancelled.is_set() for each in engine.tickets)


def test_a_short_answer_ends_in_peace_when_the_server_stops() -> None:
    script = Paced(words=2)
    engine = FakeEngine(script)
    found: list[httpx.Response] = []
    with listening(engine, stop_seconds=60) as live:
        answer = threading.Thread(target=lambda: found.append(httpx.post(f"{live.url}/v1/chat/completions", json=CHAT)))
        answer.start()
        wait_for(lambda: engine.tickets, "the request")
        threading.Timer(0.3, script.end).start()
    answer.join(60)
    assert found[0].json()["choices"][0]["message"]["content"] == "word word "


def test_a_port_that_is_taken_and_a_host_that_is_not_ours() -> None:
    (taken,) = listening_sockets("127.0.0.1", 0)
    with taken:
        port = taken.getsockname()[1]
        with pytest.raises(HomeEditError, match=f"Port {port} .* taken"):
            make_server(FakeEngine(), ServerOptions(port=port)).run()
    for host, port in (("192.0.2.1", 0), ("no such host", 0), ("x" * 300, 0), ("127.0.0.1", 99_999)):
        with pytest.raises(HomeEditError) as error:
            listening_sockets(host, port)
        assert error.value.hint


def test_an_address_is_looked_at_and_left_free() -> None:
    (taken,) = listening_sockets("127.0.0.1", 0)
    options = ServerOptions(port=taken.getsockname()[1])
    with taken, pytest.raises(HomeEditError, match="taken"):
        check_address(options)
    check_address(options)
    check_address(options)


def test_connections_leave_files_to_open(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    for limit, most in ((256, 192), (1024, 512), (resource.RLIM_INFINITY, 512), (10, 1)):
        monkeypatch.setattr(resource, "getrlimit", lambda kind, limit=limit: (limit, limit))
        assert ServerOptions().max_connections == most
    monkeypatch.setitem(sys.modules, "resource", None)
    assert ServerOptions().max_connections == 512


def test_a_second_signal_does_not_wait_for_answers() -> None:
    program = """
        from tests.server.fakes import FakeEngine
        from tests.server.test_connection import Paced
        from homeedit.server.run import ServerOptions, run_server
        script = Paced()
        script.pace.release()
        run_server(
            FakeEngine(script),
            ServerOptions(port=0, stop_seconds=600),
            on_ready=lambda address: print(address, flush=True),
            on_stopping=lambda: print("stopping", flush=True),
        )
        print("after", flush=True)
        import os
        os._exit(0)
    """
    with in_python(program) as process:
        assert process.stdout and process.stderr
        address = process.stdout.readline().strip()
        with httpx.stream("POST", f"{address}/api/chat", json=CHAT | {"stream": True}, timeout=60) as answer:
            lines = answer.iter_lines()
            assert "word" in next(lines)
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == "stopping\n"
            process.send_signal(signal.SIGINT)
            assert json.loads(next(lines)) == {"error": "The server is stopping."}
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "after\n", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_in_peace(number: int) -> None:
    program = """
        from homeedit.server.run import ServerOptions, run_server
        from tests.server.fakes import FakeEngine
        run_server(
            FakeEngine(),
            ServerOptions(port=0),
            on_ready=lambda address: print(address, flush=True),
            on_stopping=lambda: print("stopping"),
        )
        print("after")
    """
    with in_python(program) as process:
        assert process.stdout and process.stderr
        address = process.stdout.readline().strip()
        with httpx.Client(base_url=address) as client:
            assert client.get("/health").status_code == 200
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "after\n", "")
