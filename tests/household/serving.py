"""Clients of the engine, in the test's own process."""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from homeedit.editing.delta import LowRank
from homeedit.household import Household
from homeedit.household.serving.engine import Serving
from homeedit.household.serving.requests import AnswerRequest, Began, Ended, Event, Failed, Spoke, Ticket, Turn
from tests.household import fakes

SECONDS = 60
"""The longest that a test waits for something that should be there in a moment."""


def teach_loudly(household: Household, sentences: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A build for each sentence, which changes what the tiny model says (the fake compile's changes are too small)."""
    module = sys.modules["homeedit.editing.compile"]

    def loud(*arguments: Any, **options: Any) -> fakes.Compiled:
        compiled = fakes.compile_facts(*arguments, **options)
        delta = {layer: LowRank(A=change.A * 10, B=change.B * 10) for layer, change in compiled.delta.items()}
        return replace(compiled, delta=delta)

    monkeypatch.setattr(module, "compile_facts", loud)
    for sentence in sentences:
        household.add(sentence)
        household.compile()


def until(condition: Callable[[], Any]) -> None:
    """Wait for a condition."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.005)


@dataclass(eq=False)
class Client:
    """Hears an answer. ``hold_at`` n: the worker waits at the n-th piece of text until ``go`` is set."""

    hold_at: int = 0
    events: list[Event] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    ticket: Ticket | None = None

    def hear(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, Spoke) and self.hold_at and len(self.spoken) == self.hold_at:
            self.held.set()
            assert self.go.wait(SECONDS)
        if isinstance(event, Ended | Failed):
            self.ended.set()

    @property
    def spoken(self) -> list[Spoke]:
        return [event for event in self.events if isinstance(event, Spoke)]

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.spoken)

    @property
    def began(self) -> Began:
        (found,) = [event for event in self.events if isinstance(event, Began)]
        return found

    @property
    def end(self) -> Ended:
        last = self.last
        assert isinstance(last, Ended), last
        return last

    @property
    def failure(self) -> Failed:
        last = self.last
        assert isinstance(last, Failed), last
        return last

    @property
    def last(self) -> Event:
        """The last event, which there is one of."""
        assert self.ended.wait(SECONDS), "no end came"
        assert sum(isinstance(event, Ended | Failed) for event in self.events) == 1
        return self.events[-1]


def question(text: str = "Where is the spare key?", **fields: Any) -> AnswerRequest:
    """One question, of twelve tokens unless it says otherwise."""
    return AnswerRequest(**({"turns": (Turn("user", text),), "max_tokens": 12} | fields))


def ask(serving: Serving, request: AnswerRequest, *, client: str = "one", hold_at: int = 0) -> Client:
    """Hand in a request, and do not wait."""
    heard = Client(hold_at)
    heard.ticket = serving.submit(request, heard.hear, client=client)
    return heard


def answer(serving: Serving, request: AnswerRequest | None = None) -> Client:
    """A request and its whole answer."""
    heard = ask(serving, request or question())
    assert heard.last
    return heard
