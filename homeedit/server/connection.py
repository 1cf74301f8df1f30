"""One connection: uvicorn's HTTP protocol with patience that ends."""

import asyncio
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from homeedit.server.options import ServerOptions


class _Timer:
    """Calls something after a while, unless it is stopped; started twice, it runs as it was started first."""

    def __init__(self, loop: asyncio.AbstractEventLoop, then: Callable[[], None]) -> None:
        self._loop = loop
        self._then = then
        self._handle: asyncio.TimerHandle | None = None

    def start(self, seconds: float) -> None:
        if self._handle is None:
            self._handle = self._loop.call_later(seconds, self._then)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


class Connection(H11Protocol):
    """Closes connections of clients that begin something and do not go on: a head or a body that never ends, an
    answer that is not read. (Connections on which nothing is asked end after uvicorn's keep-alive time.)"""

    options: ServerOptions

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._owing = _Timer(self.loop, self._abort)
        self._unread = _Timer(self.loop, self._abort)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there, and is to say what it wants."""
        super().connection_made(transport)
        if len(self.connections) > self.options.max_connections:
            transport.abort()
        else:
            self._owing.start(self.options.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._owing.stop()
        self._unread.stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """More came. The clock runs on while the same thing is owed, however it trickles in."""
        super().data_received(data)
        seconds = self._patience()
        if seconds is None:
            self._owing.stop()
        elif not self.transport.is_closing():
            self._owing.start(seconds)

    def _patience(self) -> float | None:
        """How long to wait for what the client owes; None when it owes nothing, or the app waits for it."""
        if self.conn.their_state is h11.IDLE:
            return self.options.header_seconds
        if self.conn.their_state is h11.SEND_BODY and self.conn.our_state is h11.DONE:
            # The request is answered already; the rest of its body is read and thrown away.
            return self.options.body_seconds
        return None

    def pause_writing(self) -> None:
        """The client does not read what was sent."""
        super().pause_writing()
        self._unread.start(self.options.write_seconds)

    def resume_writing(self) -> None:
        """It did read."""
        self._unread.stop()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """What came is not HTTP. In the middle of an answer there is no place to say so."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self._abort()

    def _should_upgrade(self) -> bool:
        """There is nothing to upgrade to. (uvicorn's own would print an advice to install something, each time.)"""
        return False

    def _abort(self) -> None:
        self.transport.abort()


def connection_class(options: ServerOptions) -> type[Connection]:
    """The protocol with these limits: uvicorn makes the objects itself."""
    return type("Connection", (Connection,), {"options": options})
