"""A real server on a tiny model: uvicorn in a thread, the engine behind it, a home with builds on disk."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from homeedit.base.store import BaseModel
from homeedit.editing.delta import LowRank
from homeedit.household import Household
from homeedit.household.serving.requests import Answering
from homeedit.server.app import ServerOptions
from homeedit.server.run import make_server
from homeedit.settings import Home
from tests.household import fakes
from tests.household.conftest import World

SENTENCES = (
    "The spare key is under the blue flower pot.",
    "The code of the garden gate is 4711.",
    "The cat is called Minka.",
)
CONTEXT = 8192
"""Long answers are wanted that take seconds even on a tiny model."""


@dataclass(frozen=True)
class Live:
    """A server that listens at ``url``, and what stands behind it."""

    url: str
    answering: Answering
    household: Household | None = None

    def until_idle(self) -> None:
        """Wait until nothing runs and nothing waits."""
        wait_for(lambda: (self.answering.state().running, self.answering.state().waiting) == (0, 0), "an idle server")

    def until_build(self, number: int | None) -> None:
        """Wait until a build is live."""
        wait_for(lambda: self.answering.state().build == number, f"build {number} live")

    def is_well(self) -> bool:
        """Whether it says so, and answers a question."""
        health = httpx.get(f"{self.url}/health", timeout=30).json()
        body = {"model": "homeedit", "messages": [{"role": "user", "content": "Hello?"}], "max_tokens": 3}
        answer = httpx.post(f"{self.url}/v1/chat/completions", json=body, timeout=30)
        return health["status"] == "ok" and answer.status_code == 200 and bool(answer.json()["choices"])


def wait_for(condition: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Wait for a condition; on a loaded machine that may take long."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.01)


def _compile_loudly(*facts: Any, **options: Any) -> fakes.Compiled:
    """The fake compile with larger deltas: every build shall answer differently."""
    compiled = fakes.compile_facts(*facts, **options)
    delta = {layer: LowRank(A=low.A, B=50 * low.B) for layer, low in compiled.delta.items()}
    return replace(compiled, delta=delta)


def make_served_home(root: Path, base: BaseModel, *, builds: int = 0, **settings: Any) -> Household:
    """A home with a tiny model and builds of it, each with a fact more; the last is active."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("homeedit.editing.compile", "homeedit.editing.statistics"):
            module: Any = fakes.module_of_fakes(name)
            module.compile_facts = _compile_loudly
            patch.setitem(sys.modules, name, module)
        world = World()
        patch.setattr("homeedit.household.checking.ask_facts", world.ask_facts)
        patch.setattr("homeedit.household.checking.measure", world.measure)
        home: Home = fakes.make_home(root, base, **({"context": CONTEXT} | settings))
        household = Household(home)
        for sentence in SENTENCES[:builds]:
            household.add(sentence)
            household.compile()
    return household


@contextmanager
def listening(answering: Answering, household: Household | None = None, **options: Any) -> Iterator[Live]:
    """uvicorn in a thread, on a port that is free, as ``homeedit serve`` sets it up."""
    chosen = replace(ServerOptions(host="127.0.0.1", port=0), **options)
    server = make_server(answering, chosen)
    thread = threading.Thread(target=server.run, name="uvicorn", daemon=True)
    thread.start()
    try:
        wait_for(lambda: server.started or not thread.is_alive(), "uvicorn listening")
        assert server.started, "uvicorn did not start"
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Live(f"http://127.0.0.1:{port}", answering, household)
    finally:
        server.should_exit = True
        thread.join(30)
        if thread.is_alive():
            server.force_exit = True
            thread.join(30)


@contextmanager
def serving(household: Household, **options: Any) -> Iterator[Live]:
    """The server with the real engine on a home."""
    with household.serve() as engine, listening(engine, household, **options) as live:
        yield live
