"""What the parts of ``serving.py`` share: server processes, streams that are timed, numbers, rows."""

import http.client
import json
import math
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from homeedit.household import Household
from homeedit.settings import Home

TOPICS = (
    "garden,kitchen,river,winter,bicycle,library,mountain,harbour,market,forest,island,castle,train,bakery,school,lamp,"
    "clock,bridge,window,piano,horse,cloud,desert,museum,village,ship,orchard,tower,candle,letter"
).split(",")


def question(number: int) -> str:
    """A question that every model answers at length; its first word differs, so that little of it is cached."""
    topic = TOPICS[number % len(TOPICS)]
    return f"{topic.capitalize()} number {number}: tell me a long story about a {topic}, with many details."


@dataclass(frozen=True)
class Row:
    """A line of the table. ``good`` None: for information."""

    what: str
    found: str
    wanted: str = ""
    good: bool | None = None

    def __str__(self) -> str:
        verdict = {None: "", True: "ok", False: "MISSED"}[self.good]
        return f"| {self.what} | {self.found} | {self.wanted} | {verdict} |"


@dataclass(frozen=True)
class Timing:
    """One streamed answer, in seconds of ``time.perf_counter``."""

    sent: float
    first: float
    last: float
    tokens: int
    build: str = ""
    text: str = ""

    @property
    def to_first(self) -> float:
        """Seconds to the first token."""
        return self.first - self.sent

    @property
    def rate(self) -> float:
        """Tokens a second, from the first token on."""
        return (self.tokens - 1) / (self.last - self.first) if self.tokens > 1 else math.nan


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of all do not exceed (the nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


class Client:
    """One kept-alive connection; as thin as can be, so that the server is measured and not the client."""

    def __init__(self, url: str, program: str = "benchmark") -> None:
        address = urlsplit(url)
        self._headers = {"Content-Type": "application/json", "User-Agent": program}
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=300)
        self._connection.connect()
        assert self._connection.sock is not None
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def get(self, path: str) -> Any:
        """The JSON behind a path."""
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path} answered {answer.status}: {data[:200]!r}")
        return json.loads(data)

    def stream(self, asked: str, max_tokens: int, **more: Any) -> Timing:
        """A streamed chat, greedy; raises RuntimeError when it fails or breaks off."""
        body = {
            "model": "homeedit",
            "messages": [{"role": "user", "content": asked}],
            "temperature": 0,
            "max_tokens": max_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        } | more
        sent = time.perf_counter()
        self._connection.request("POST", "/v1/chat/completions", json.dumps(body), self._headers)
        answer = self._connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"a chat was answered {answer.status}: {answer.read()[:200]!r}")
        return _read(answer, sent)


def _read(answer: http.client.HTTPResponse, sent: float) -> Timing:
    first = last = 0.0
    pieces: list[str] = []
    tokens, build, ended = 0, "", False
    while line := answer.readline():
        if not line.startswith(b"data: "):
            continue
        if line.startswith(b"data: [DONE]"):
            ended = True
            continue
        chunk = json.loads(line[6:])
        if "error" in chunk:
            raise RuntimeError(f"a stream broke off: {chunk['error']}")
        build = chunk.get("system_fingerprint") or build
        if chunk.get("usage"):
            tokens = int(chunk["usage"]["completion_tokens"])
        for choice in chunk["choices"]:
            if choice["delta"].get("content"):
                last = time.perf_counter()
                first = first or last
                pieces.append(choice["delta"]["content"])
    if not ended or not pieces:
        raise RuntimeError("a stream ended without its last line")
    return Timing(sent, first, last, tokens or len(pieces), build, "".join(pieces))


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: Sequence[str], port: int, ready: str) -> Iterator[tuple[str, psutil.Process]]:
    """A server in a process of its own, from when it answers until it is no longer needed."""
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said: list[bytes] = []
    assert process.stderr is not None
    reader = threading.Thread(target=lambda: said.extend(process.stderr), daemon=True)  # type: ignore[arg-type]
    reader.start()
    try:
        end = time.monotonic() + 300
        while True:
            try:
                Client(url).get(ready)
                break
            except (OSError, RuntimeError, http.client.HTTPException):
                if process.poll() is not None or time.monotonic() > end:
                    text = b"".join(said).decode(errors="replace")
                    raise SystemExit(f"{' '.join(command)} did not start:\n{text[-2000:]}") from None
                time.sleep(0.1)
        yield url, psutil.Process(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


@contextmanager
def homeedit_server(home: Path, *options: str) -> Iterator[tuple[str, psutil.Process]]:
    """``homeedit serve`` on a home."""
    port = free_port()
    command = [sys.executable, "-m", "homeedit", "--home", str(home), "serve", "--port", str(port), *options]
    with running(command, port, "/health") as found:
        yield found


@contextmanager
def plain_server(gguf: Path, threads: int, context: int) -> Iterator[tuple[str, psutil.Process]]:
    """llama-cpp-python's own server on a file."""
    port = free_port()
    command = [sys.executable, "-m", "llama_cpp.server", "--model", str(gguf), "--port", str(port)]
    command += ["--n_ctx", str(context), "--n_threads", str(threads), "--n_threads_batch", str(threads)]
    with running([*command, "--flash_attn", "True", "--verbose", "False"], port, "/v1/models") as found:
        yield found


@dataclass(frozen=True)
class Setting:
    """What is measured: a copy of a home, which may be changed, and how much of everything."""

    home: Path
    requests: int
    swaps: int
    repeats: int
    tokens: int
    clients: int
    seconds: float

    @property
    def household(self) -> Household:
        """The copy, to change it."""
        return Household(Home(self.home))

    @property
    def threads(self) -> int:
        """As the server has them."""
        return self.household.settings.usable_threads()

    @property
    def gguf(self) -> Path:
        """The model that is served."""
        builds, active = self.household.builds()
        served = next((build.gguf for build in builds if build.number == active), None)
        return served or self.household.workspace.base().gguf

    def two_builds(self) -> tuple[int | None, int | None]:
        """The active build and another one to swap with (the base, if there is none)."""
        builds, active = self.household.builds()
        others = [build.number for build in builds if build.number != active and not build.problem]
        if active is None and not others:
            raise SystemExit("Swaps need a build: take a home that was compiled.")
        return active, (others[-1] if others else None)


def copy_of(home: Path, folder: Path) -> Path:
    """A copy of a home: nothing here changes the original."""
    if not Home(home).exists:
        raise SystemExit(f"{home} is not a home.")
    target = folder / "home"
    shutil.copytree(home, target, ignore=shutil.ignore_patterns("serving.json", "*.log"))
    return target


def machine() -> str:
    """The machine in a line."""
    return f"{len(os.sched_getaffinity(0))} of {psutil.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
