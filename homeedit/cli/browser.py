"""The page for a browser: textual-serve's, for this machine and from this machine alone."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

from aiohttp import web
from textual_serve.server import Server

from homeedit.errors import HomeEditError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class LocalServer(Server):  # type: ignore[misc]
    """Answers pages of its own address only.

    Without that, any page that is open in the same browser could connect to the app and read what is in it, as
    browsers let pages of the net talk to this machine. And its page may load from nowhere else: textual-serve's
    asks Google for a font.
    """

    async def _make_app(self) -> web.Application:
        app: web.Application = await super()._make_app()
        address = f"{self.host}:{self.port}"
        policy = (
            "default-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
            f"connect-src 'self' ws://{address}"
        )

        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.host == f"localhost:{self.port}" and request.path == "/":
                raise web.HTTPFound(f"http://{address}/")
            if request.host != address or request.headers.get("Origin") not in (None, f"http://{address}"):
                raise web.HTTPForbidden(text="This page is for this machine only.")
            return await handler(request)

        async def restrict(request: web.Request, response: web.StreamResponse) -> None:
            response.headers["Content-Security-Policy"] = policy
            response.headers["Referrer-Policy"] = "no-referrer"

        app.middlewares.append(web.middleware(guard))
        app.on_response_prepare.append(restrict)
        return app

    async def on_startup(self, app: web.Application) -> None:
        """Say nothing: the command did."""


def serve(command: str, host: str, port: int) -> None:
    """Serve until Ctrl-C. Raises HomeEditError when the port is taken."""
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise HomeEditError(
            f"Port {port} cannot be used: {error.strerror or error}.", "Choose another: homeedit web --port 8001"
        ) from error
    # textual-serve asks for the thread's loop, which newer Pythons do not make by themselves.
    asyncio.set_event_loop(asyncio.new_event_loop())
    LocalServer(command, host=host, port=port, title="homeedit").serve()
