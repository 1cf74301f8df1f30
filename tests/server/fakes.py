"""An engine that says what a test tells it to say, at the test's pace."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx

from homeedit.household.serving.requests import (
    BASE,
    SERVED,
    Answering,
    AnswerRequest,
    Began,
    Ended,
    Event,
    Failed,
    OnEvent,
    ServedModel,
    ServingState,
    Spoke,
    Ticket,
)
from homeedit.server.app import ServerOptions, make_app

Script = Callable[[AnswerRequest], Iterator[Event]]

ENDED = Ended("stop", 12, 2, waited=0.25, loading=0.0, reading=0.5, speaking=1.0, build=7, cached_tokens=4)

MODEL = ServedModel(
    name=SERVED,
    build=7,
    gguf="model.gguf",
    bytes=98_000_000,
    digest="ab" * 32,
    modified="2026-01-02T03:04:05+00:00",
    architecture="llama",
    parameters=134_515_008,
    quantization="Q4_1",
    context=2048,
    loaded=True,
    template="{{ messages }}",
)
BASE_MODEL = replace(MODEL, name=BASE, build=None, loaded=False)

STATE = ServingState(
    model="smollm2-135m",
    build=7,
    since=1_700_000_000.0,
    started=1_700_000_000.0,
    mode="build",
    problem="",
    requests=3,
    failed=1,
    cancelled=1,
    running=0,
    waiting=0,
    prompt_tokens=40,
    answer_tokens=20,
    speaking_seconds=0.5,
    swaps=2,
    facts=30,
    recent_tokens_per_second=41.5,
)


def says(*words: str, **ended: Any) -> Script:
    """An answer of these words."""

    def script(request: AnswerRequest) -> Iterator[Event]:
        yield Began(request.model, None if request.model == BASE else 7)
        for word in words:
            yield Spoke(word)
        yield replace(ENDED, **ended)

    return script


def fails(kind: Any, message: str, *words: str) -> Script:
    """A failure, after these words."""

    def script(request: AnswerRequest) -> Iterator[Event]:
        yield Began(request.model, 7)
        for word in words:
            yield Spoke(word)
        yield Failed(kind, message)

    return script


@dataclass
class FakeTicket:
    """Remembers whether it was cancelled before its end."""

    cancelled: threading.Event
    ended: threading.Event

    def cancel(self) -> None:
        if not self.ended.is_set():
            self.cancelled.set()


class FakeEngine(Answering):
    """Each request is answered in a thread of its own, by the script."""

    def __init__(self, script: Script | None = None) -> None:
        self.script = script or says("Under ", "the pot.")
        self.asked: list[AnswerRequest] = []
        self.clients: list[str] = []
        self.tickets: list[FakeTicket] = []
        self.now = STATE

    def submit(self, request: AnswerRequest, on_event: OnEvent, *, client: str) -> Ticket:
        ticket = FakeTicket(threading.Event(), threading.Event())
        self.asked.append(request)
        self.clients.append(client)
        self.tickets.append(ticket)
        # The script is the one of now: a test that sees the ticket may give the engine another.
        events = self.script(request)
        threading.Thread(target=self._answer, args=(events, on_event, ticket), daemon=True).start()
        return ticket

    def _answer(self, events: Iterator[Event], on_event: OnEvent, ticket: FakeTicket) -> None:
        try:
            for event in events:
                if isinstance(event, Ended | Failed):
                    ticket.ended.set()
                if ticket.cancelled.is_set():
                    return on_event(replace(ENDED, reason="cancelled"))
                on_event(event)
        except RuntimeError:  # the client's loop is closed
            pass

    def models(self) -> Sequence[ServedModel]:
        return [MODEL, BASE_MODEL]

    def state(self) -> ServingState:
        return self.now


def ask(
    engine: Answering,
    method: str,
    path: str,
    *,
    base: str = "http://localhost:8080",
    options: Mapping[str, Any] | None = None,
    **request: Any,
) -> httpx.Response:
    """One request to the app, without sockets."""
    app = make_app(engine, ServerOptions(**(options or {})))

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=base, timeout=60) as client:
            return await client.request(method, path, **request)

    return asyncio.run(asked())
