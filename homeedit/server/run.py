"""The server: uvicorn, listening where it was told, until it is asked to stop."""

import asyncio
import contextlib
import errno
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import uvicorn

from homeedit.errors import HomeEditError
from homeedit.household.serving.requests import Answering
from homeedit.server.app import make_app
from homeedit.server.connection import connection_class
from homeedit.server.options import ServerOptions

__all__ = ["ServerOptions", "check_address", "make_server", "run_server"]

KEEP_ALIVE = 75
"""Seconds that a connection may be idle between two requests."""
_LAST_WORDS_SECONDS = 0.5
"""For clients to be told that the server stops at once."""


def check_address(options: ServerOptions) -> None:
    """See whether the server could listen now, before a model is loaded for it.

    Raises:
        HomeEditError: the port is taken, or the host is none of this machine's.
    """
    for each in listening_sockets(options.host, options.port):
        each.close()


def run_server(
    answering: Answering,
    options: ServerOptions,
    *,
    on_ready: Callable[[str], None],
    on_stopping: Callable[[], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; a second one does not wait for answers. ``on_ready`` is called with the address
    once it listens, ``on_stopping`` when it was asked to stop and there are answers to wait for.

    Raises:
        HomeEditError: the port is taken, or the host is none of this machine's.
    """
    make_server(answering, options, on_ready, on_stopping).run()


def make_server(
    answering: Answering,
    options: ServerOptions,
    on_ready: Callable[[str], None] | None = None,
    on_stopping: Callable[[], None] | None = None,
) -> uvicorn.Server:
    """The server that ``run_server`` runs. In a thread of its own it leaves signals alone: set ``should_exit``."""
    return _Server(answering, options, on_ready or (lambda address: None), on_stopping or (lambda: None))


class _Server(uvicorn.Server):
    def __init__(
        self,
        answering: Answering,
        options: ServerOptions,
        on_ready: Callable[[str], None],
        on_stopping: Callable[[], None],
    ) -> None:
        self._app = make_app(answering, options)
        self._options = options
        self._on_ready, self._on_stopping = on_ready, on_stopping
        super().__init__(
            uvicorn.Config(
                self._app,
                http=connection_class(options),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE,
                # Our own way to end answers comes first; this is for what does not listen to it.
                timeout_graceful_shutdown=int(options.stop_seconds) + 5,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say where."""
        found = sockets or listening_sockets(self._options.host, self._options.port)
        await super().startup(found)
        self._on_ready(_address(found[0]))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Give running answers a little time, or none when the server is told twice, then end them in words."""
        if self.server_state.tasks:
            self._on_stopping()
        desk = self._app.state.desk
        ending = asyncio.get_running_loop().call_later(self._options.stop_seconds, desk.close)
        try:
            await super().shutdown(sockets)
        finally:
            ending.cancel()
        if self.force_exit and self.server_state.tasks:
            desk.close()
            await asyncio.wait(self.server_state.tasks, timeout=_LAST_WORDS_SECONDS)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM end the server in peace: unlike uvicorn's, this one does not raise them again."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before: dict[int, Any] = {each: signal.signal(each, self._stop) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True


def listening_sockets(host: str, port: int) -> list[socket.socket]:
    """Sockets bound to all addresses that a host's name has on this machine; port 0 is one that is free.

    Raises:
        HomeEditError: there is no such address here, or the port is taken, not allowed or no port.
    """
    if not 0 <= port <= 65535:
        raise HomeEditError(f"There is no port {port}.", "Choose one from 1024 to 65535 with --port.")
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise HomeEditError(
            f"{host!r} is no address to listen at.", "Use 127.0.0.1, or an address of this machine."
        ) from error
    sockets: list[socket.socket] = []
    problem: OSError | None = None
    for family, _, _, _, address in found:
        try:
            sockets.append(_bound(family, address, port))
            port = sockets[-1].getsockname()[1]
        except OSError as error:
            problem = problem or error
            if error.errno == errno.EADDRINUSE:
                break
    if not sockets or (problem and problem.errno == errno.EADDRINUSE):
        for each in sockets:
            each.close()
        raise _in_words(problem or OSError(), host, port) from problem
    return sockets


def _bound(family: int, address: Any, port: int) -> socket.socket:
    # Only where TCP is named does asyncio turn Nagle's algorithm off, which holds small answers back for 40 ms.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it means that another may take the port over
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((address[0], port, *address[2:]))
        made.listen(2048)
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made


def _in_words(error: OSError, host: str, port: int) -> HomeEditError:
    if error.errno == errno.EADDRINUSE:
        return HomeEditError(
            f"Port {port} of {host} is taken: another server listens there.",
            "Stop that one, or choose another port with --port.",
        )
    if error.errno == errno.EACCES:
        return HomeEditError(f"Port {port} may not be used.", "Choose one from 1024 on with --port.")
    return HomeEditError(
        f"{host} is no address of this machine that can be listened at.",
        "Use 127.0.0.1 for this machine alone, or 0.0.0.0 with a key for the whole network.",
    )


def _address(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
