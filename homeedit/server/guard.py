"""What stands before every route: who may ask, how much, and for how long; and one line of log for each request."""

import asyncio
import hmac
import logging
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from homeedit.server.hearing import Gone, account_of
from homeedit.server.metrics import Metrics
from homeedit.server.options import ServerOptions, is_loopback
from homeedit.server.refusals import Refused, refusal_response

logger = logging.getLogger("homeedit.server")


class Guard:
    """ASGI middleware. It reads a body whole before the route begins, for then there is one place for its limits."""

    def __init__(self, app: ASGIApp, options: ServerOptions, metrics: Metrics) -> None:
        self._app = app
        self._options = options
        self._metrics = metrics
        self._key = None if options.api_key is None else options.api_key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or say why not."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        watched = _Watched(send)
        try:
            await self._serve(scope, receive, watched)
        except Gone:
            pass
        except Exception as error:
            # The message may hold what a client wrote; so only those who debug see it.
            logger.error("%s: %s", route_of(scope), type(error).__name__)
            logger.debug("The error in full", exc_info=True)
            if not watched.status:
                refused = Refused(500, "The server made a mistake. It goes on serving.", code="failed")
                await refusal_response(scope["path"], refused)(scope, receive, watched)
        finally:
            self._note(scope, watched)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name: value for name, value in scope["headers"]}
        try:
            self._check(scope["path"], headers)
            receive = await self._with_body(headers, receive)
        except Refused as refused:
            # The rest of a body that was too slow, or that ends nobody knows where, is not waited for.
            closing = {"connection": "close"} if refused.status in (400, 408) else {}
            return await refusal_response(scope["path"], refused, closing)(scope, receive, send)
        await self._app(scope, receive, send)

    def _check(self, path: str, headers: dict[bytes, bytes]) -> None:
        host = headers.get(b"host", b"").decode("latin-1")
        if self._options.loopback and not is_loopback(_without_port(host)):
            # A page of another site can make its own name mean 127.0.0.1, but not send another name.
            raise Refused(403, "This server is asked as localhost only.", code="host_not_allowed")
        self._check_origin(headers.get(b"origin"), host)
        if path != "/health" and not self._has_key(headers):
            raise Refused(401, "The API key is missing or wrong.", code="invalid_api_key")
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise Refused(415, "Send the body as it is, not compressed.", code="unsupported_encoding")
        if b"content-length" in headers and b"transfer-encoding" in headers:
            # A proxy before us may have believed the other one, and what follows may be another client's.
            raise Refused(400, "The body has two lengths.", code="invalid_request")

    def _check_origin(self, header: bytes | None, host: str) -> None:
        if header is None:
            return
        origin = header.decode("latin-1")
        if origin in self._options.origins or "*" in self._options.origins:
            return
        try:
            own = urlsplit(origin).netloc == host
        except ValueError:
            own = False
        if not own:
            raise Refused(403, "Pages of this origin may not ask.", code="origin_not_allowed")

    def _has_key(self, headers: dict[bytes, bytes]) -> bool:
        if self._key is None:
            return True
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        given = token.strip() if scheme.lower() == b"bearer" else headers.get(b"x-api-key", b"")
        return hmac.compare_digest(given, self._key)

    async def _with_body(self, headers: dict[bytes, bytes], receive: Receive) -> Receive:
        """``receive`` for the route, which gets the whole body at once.

        Raises:
            Refused: it is too large or comes too slowly.
            Gone: the client hung up before its end.
        """
        length = int(headers.get(b"content-length", b"0"))
        if length > self._options.max_body:
            raise self._too_large()
        if not length and b"transfer-encoding" not in headers:
            return receive
        try:
            async with asyncio.timeout(self._options.body_seconds):
                body: bytes | None = await self._read(receive)
        except TimeoutError as error:
            raise Refused(408, "The body took too long to come.", code="timeout") from error

        async def replayed() -> Message:
            nonlocal body
            if body is None:
                return await receive()
            message = {"type": "http.request", "body": body, "more_body": False}
            body = None
            return message

        return replayed

    async def _read(self, receive: Receive) -> bytes:
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Gone
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self._options.max_body:
                raise self._too_large()
        return bytes(body)

    def _too_large(self) -> Refused:
        return Refused(413, f"The body is larger than {self._options.max_body} bytes.", code="body_too_large")

    def _note(self, scope: Scope, watched: "_Watched") -> None:
        route, seconds = route_of(scope), time.perf_counter() - watched.began
        status = watched.status or 499  # nginx's number for a client that hung up
        self._metrics.observe(route, status, seconds)
        logger.info("%s %s %d %.3fs %d tokens", _method(scope), route, status, seconds, account_of(scope).tokens)


@dataclass
class _Watched:
    """``send``, remembering the status."""

    send: Send
    status: int = 0

    def __post_init__(self) -> None:
        self.began = time.perf_counter()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self.send(message)


def route_of(scope: Scope) -> str:
    """The route's template: a path that a client made up stays out of logs and metrics."""
    return str(getattr(scope.get("route"), "path", "-"))


def _method(scope: Scope) -> str:
    known = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    return scope["method"] if scope["method"] in known else "-"


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]
