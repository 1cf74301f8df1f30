"""Which server runs on a home: a small file that a server writes, and what it says of itself when it is asked."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from homeedit.errors import HomeEditError
from homeedit.settings import Home

_START_SECONDS = 5.0
"""How far the start of a process may seem to move: it is told against the clock, which may be set meanwhile."""
_MOST_BYTES = 65536
"""Of the file, and of a server's answer."""


@dataclass(frozen=True, slots=True)
class Health:
    """What a server says of itself. ``build`` None is the base model; ``problem`` is empty, or says why a newer
    build is not served; ``note`` says what else should be known; ``since`` is the Unix time at which the build went
    live."""

    model: str
    build: int | None
    since: float
    problem: str
    mode: str
    requests: int
    running: int
    waiting: int
    tokens_per_second: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that runs on a home. ``started``: Unix time at which its process started."""

    address: str
    pid: int
    started: float
    health: Health | None = None
    """None: not asked, or it did not answer in time."""

    @property
    def local_address(self) -> str:
        """Where it answers this machine, also when it listens on every address."""
        parts = urlsplit(self.address)
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(parts.hostname or "")
        return f"http://{everywhere}:{parts.port}" if everywhere else self.address


def read_serving(home: Home) -> RunningServer | None:
    """The server that runs on this home; None when none was noted, or the one that was is gone."""
    try:
        with home.serving_file.open("rb") as file:
            noted = json.loads(file.read(_MOST_BYTES))
        server = RunningServer(str(noted["address"]), int(noted["pid"]), float(noted["started"]))
        port = urlsplit(server.address).port
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    whole = server.address.startswith("http://") and port is not None
    return server if whole and _runs(server) else None


def write_serving(home: Home, address: str) -> RunningServer:
    """Note that this process serves ``home`` at ``address``; raises HomeEditError when the home cannot be written."""
    from homeedit.patches.container import replace_file

    server = RunningServer(address, os.getpid(), _started(os.getpid()))
    noted = {"address": server.address, "pid": server.pid, "started": server.started}
    replace_file(home.serving_file, (json.dumps(noted) + "\n").encode("utf-8"))
    return server


def remove_serving(home: Home) -> None:
    """Take the note of this process away; another server's stays."""
    server = read_serving(home)
    if server is not None and server.pid == os.getpid():
        with suppress(OSError):
            home.serving_file.unlink()


@contextmanager
def noted_serving(home: Home, address: str, say: Callable[[str], None]) -> Iterator[None]:
    """Let others know, for as long as this lasts, that this process serves ``home``.

    Where another server was noted first, its note stays. A home that cannot be written can be served all the same.
    """
    if read_serving(home) is None:
        try:
            write_serving(home, address)
        except (HomeEditError, OSError):
            say(f"{home.serving_file.name} could not be written: the app and `doctor` will not see this server.")
    try:
        yield
    finally:
        remove_serving(home)


def asked_health(server: RunningServer, timeout: float = 1.0) -> Health | None:
    """What the server says of itself; None when it does not within ``timeout`` seconds, or says something else."""
    from http.client import HTTPException
    from urllib.request import ProxyHandler, build_opener

    try:
        # A proxy that is set for the internet knows nothing of this machine.
        with build_opener(ProxyHandler({})).open(f"{server.local_address}/health", timeout=timeout) as answer:
            return _health(json.loads(answer.read(_MOST_BYTES)))
    except (OSError, HTTPException, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def _health(said: dict[str, Any]) -> Health:
    return Health(
        model=str(said["model"]),
        build=None if said["build"] is None else int(said["build"]),
        since=float(said["since"]),
        problem=str(said["problem"]),
        mode=str(said["mode"]),
        requests=int(said["requests"]),
        running=int(said["running"]),
        waiting=int(said["waiting"]),
        tokens_per_second=float(said["tokens_per_second"]),
        note=str(said.get("note", "")),
    )


def _started(pid: int) -> float:
    import psutil

    return float(psutil.Process(pid).create_time())


def _runs(server: RunningServer) -> bool:
    """Whether its process is there, and is not another one that has got its number since."""
    import psutil

    try:
        ended = psutil.Process(server.pid).status() == psutil.STATUS_ZOMBIE
        return not ended and abs(_started(server.pid) - server.started) <= _START_SECONDS
    except (psutil.Error, ValueError, OverflowError):
        return False
