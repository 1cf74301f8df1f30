"""Wyoming, spoken by the package's own client, and by clients that do not speak it."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from homeedit.errors import HomeEditError
from homeedit.household.serving.requests import (
    AnswerRequest,
    Began,
    Ended,
    Event,
    Failed,
    OnEvent,
    Spoke,
)
from homeedit.server import wyoming as ours
from homeedit.server.wyoming import WyomingServer, checked_address

pytest.importorskip("wyoming")

from wyoming.asr import Transcript  # noqa: E402
from wyoming.client import AsyncClient  # noqa: E402
from wyoming.event import Event as Sent  # noqa: E402
from wyoming.handle import Handled, NotHandled  # noqa: E402
from wyoming.info import Describe, Info  # noqa: E402
from wyoming.ping import Ping, Pong  # noqa: E402

_PATIENCE_SECONDS = 60.0


@dataclass
class _Ticket:
    cancelled: threading.Event = field(default_factory=threading.Event)

    def cancel(self) -> None:
        self.cancelled.set()


@dataclass
class Echo:
    """Answers from another thread, as the engine does, with what it was asked; or as a test says."""

    asked: list[tuple[AnswerRequest, str]] = field(default_factory=list)
    tickets: list[_Ticket] = field(default_factory=list)
    last: Event | None = None
    silent: bool = False

    def submit(self, request: AnswerRequest, on_event: OnEvent, *, client: str) -> _Ticket:
        ticket = _Ticket()
        self.asked.append((request, client))
        self.tickets.append(ticket)
        if not self.silent:
            threading.Thread(target=self._answer, args=(request, on_event), daemon=True).start()
        return ticket

    def _answer(self, request: AnswerRequest, on_event: OnEvent) -> None:
        on_event(Began(request.model, 3))
        if self.last is not None:
            on_event(self.last)
            return
        on_event(Spoke("You said: "))
        on_event(Spoke(request.turns[0].content))
        on_event(Ended("stop", 5, 2, 0.0, 0.0, 0.0, 0.0, 3))

    def models(self) -> Any:
        raise AssertionError("nobody asks")

    state = models


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def server(echo: Echo) -> Iterator[WyomingServer]:
    with WyomingServer(echo, "127.0.0.1", 0) as listening:
        yield listening


def talk(server: WyomingServer, body: Callable[[AsyncClient], Awaitable[None]]) -> None:
    async def run() -> None:
        async with AsyncClient.from_uri(server.address, read_timeout=_PATIENCE_SECONDS) as client:
            await body(client)

    asyncio.run(run())


def until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.01)


def test_it_describes_itself_as_a_conversation_agent(server: WyomingServer) -> None:
    async def body(client: AsyncClient) -> None:
        await client.write_event(Describe().event())
        event = await client.read_event()
        assert event is not None
        (program,) = Info.from_event(event).handle
        assert program.installed and program.name == "homeedit"
        assert [(model.name, model.installed, model.languages) for model in program.models] == [
            ("homeedit:latest", True, [])
        ]

    talk(server, body)


def test_a_transcript_is_handled_greedily_under_the_served_name(server: WyomingServer, echo: Echo) -> None:
    async def body(client: AsyncClient) -> None:
        for text in ("Where is the key?", "Wo ist der Schlüssel? 花"):
            await client.write_event(Transcript(text, language="en", context={"conversation_id": "1"}).event())
            event = await client.read_event()
            assert event is not None and Handled.is_type(event.type)
            assert Handled.from_event(event).text == f"You said: {text}"

    talk(server, body)
    (request, client), _ = echo.asked
    assert (request.model, request.sampling.temperature) == ("homeedit:latest", 0.0)
    assert [turn.role for turn in request.turns] == ["user"] and client == "wyoming 127.0.0.1"


@pytest.mark.parametrize("text", ["", "  "])
def test_nothing_said_is_not_handled(server: WyomingServer, echo: Echo, text: str) -> None:
    async def body(client: AsyncClient) -> None:
        await client.write_event(Transcript(text).event())
        event = await client.read_event()
        assert event is not None and NotHandled.is_type(event.type)

    talk(server, body)
    assert echo.asked == []


def test_a_failure_is_said_in_its_words(server: WyomingServer, echo: Echo) -> None:
    echo.last = Failed("too_long", "The question is too long.")

    async def body(client: AsyncClient) -> None:
        await client.write_event(Transcript("Where?").event())
        event = await client.read_event()
        assert event is not None and NotHandled.from_event(event).text == "The question is too long."
        assert NotHandled.is_type(event.type)

    talk(server, body)


def test_ping_and_events_of_other_services(server: WyomingServer) -> None:
    async def body(client: AsyncClient) -> None:
        await client.write_event(Sent("audio-start", {"rate": 16000}))
        await client.write_event(Ping("still there?").event())
        event = await client.read_event()
        assert event is not None and Pong.is_type(event.type) and event.data["text"] == "still there?"

    talk(server, body)


def test_a_client_that_leaves_stops_its_answer(server: WyomingServer, echo: Echo) -> None:
    echo.silent = True

    async def body(client: AsyncClient) -> None:
        await client.write_event(Transcript("Tell me a long story.").event())

    talk(server, body)
    until(lambda: echo.tickets and echo.tickets[0].cancelled.is_set(), "the answer is cancelled")


def raw(server: WyomingServer, data: bytes) -> bytes:
    """What comes back until the server hangs up."""
    host, port = checked_address(server.address)
    with socket.create_connection((host, port), timeout=_PATIENCE_SECONDS) as connection:
        connection.sendall(data)
        got = b""
        while chunk := connection.recv(65536):
            got += chunk
        return got


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff\xfe\n",
        b"null\n",
        b"[]\n",
        b'{"type": "transcript", "data": []}\n',
        b'{"data": {}}\n',
        b'{"type": "ping", "data_length": 99999999999}\n',
        b'{"type": "ping", "data_length": "9"}\n',
        b'{"type": "ping", "payload_length": 99999999999}\n',
        b'{"type": "ping", "data_length": 4}\nnull',
        b"[" * 60_000 + b"\n",
        b"x" * 300_000,
    ],
)
def test_what_is_no_event_ends_its_connection_alone(server: WyomingServer, data: bytes) -> None:
    try:
        assert raw(server, data) == b""
    except (ConnectionResetError, BrokenPipeError):
        pass  # it did not want to hear all of it
    test_ping_and_events_of_other_services(server)


def test_half_a_character_is_not_the_servers_end(server: WyomingServer, echo: Echo) -> None:
    host, port = checked_address(server.address)
    with socket.create_connection((host, port), timeout=_PATIENCE_SECONDS) as connection:
        connection.sendall(b'{"type": "transcript", "data": {"text": "a \\ud800 b"}}\n')
        assert json.loads(connection.makefile("rb").readline())["type"] == "handled"
    assert echo.asked[0][0].turns[0].content == "a ? b"


def test_who_says_nothing_for_long_is_let_go(server: WyomingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "_IDLE_SECONDS", 0.1)
    assert raw(server, b'{"type": "pi') == b""


def test_more_connections_than_there_is_room_for_are_closed(
    server: WyomingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "_MOST_CONNECTIONS", 0)
    assert raw(server, b"") == b""


def test_it_ends_with_answers_that_run_and_clients_that_stay(echo: Echo) -> None:
    echo.silent = True
    before = set(threading.enumerate())
    with WyomingServer(echo, "127.0.0.1", 0) as listening:
        host, port = checked_address(listening.address)
        connection = socket.create_connection((host, port), timeout=_PATIENCE_SECONDS)
        connection.sendall(b'{"type": "transcript", "data": {"text": "Where?"}}\n')
        until(lambda: echo.tickets, "it is asked")
    with connection:
        assert connection.recv(1) == b""
    assert echo.tickets[0].cancelled.is_set()
    assert not [each for each in threading.enumerate() if each not in before and each.name == "wyoming"]


def test_a_port_that_is_taken_is_said(echo: Echo, server: WyomingServer) -> None:
    _, port = checked_address(server.address)
    with (
        pytest.raises(HomeEditError, match=f"tcp://127.0.0.1:{port} cannot be used"),
        WyomingServer(echo, "127.0.0.1", port),
    ):
        pass


@pytest.mark.parametrize(
    "uri", ["", "10300", "127.0.0.1:10300", "tcp://127.0.0.1", "tcp://:10300", "unix:///tmp/x", "tcp://h:99999"]
)
def test_an_address_that_is_none(uri: str) -> None:
    with pytest.raises(HomeEditError, match="is no address"):
        checked_address(uri)


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(HomeEditError, match="not installed") as error:
        checked_address("tcp://127.0.0.1:10300")
    assert "pip install" in error.value.hint


@pytest.mark.parametrize(("host", "exposed"), [("127.0.0.1", False), ("::1", False), ("0.0.0.0", True)])
def test_who_can_reach_it(echo: Echo, host: str, exposed: bool) -> None:
    assert WyomingServer(echo, host, 10300).exposed is exposed
