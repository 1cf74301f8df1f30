"""The app: all routes over one engine, behind one guard."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from homeedit.household.serving.requests import Answering
from homeedit.server.guard import Guard
from homeedit.server.hearing import Desk
from homeedit.server.metrics import Metrics
from homeedit.server.ollama_routes import ollama_routes
from homeedit.server.openai_routes import openai_routes
from homeedit.server.options import ServerOptions
from homeedit.server.own_routes import own_routes
from homeedit.server.refusals import Refused, refusal_of_fields, refusal_response

__all__ = ["ServerOptions", "make_app"]


def make_app(answering: Answering, options: ServerOptions) -> FastAPI:
    """The ASGI app. ``app.state.desk`` ends running answers when the server stops."""
    app = FastAPI(
        title="homeedit",
        description="A household's own language model, for clients of OpenAI and of Ollama.",
        version=options.version,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers=_handlers(),
    )
    metrics, desk = Metrics(answering), Desk(answering)
    app.state.desk = desk
    app.include_router(openai_routes(desk, options))
    app.include_router(ollama_routes(desk, options))
    app.include_router(own_routes(answering, options, metrics))
    app.add_middleware(Guard, options=options, metrics=metrics)
    if options.origins:
        # Outside the guard: a browser asks without a key whether it may ask, and wants to read refusals.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=options.origins,
            allow_methods=("GET", "HEAD", "POST"),
            allow_headers=("*",),
            allow_private_network=True,
        )
    return app


_NO_ROUTE = (
    "There is no such route. OpenAI clients are told the address with /v1 at its end, Ollama clients the one without."
)
_Handler = Callable[[Request, Any], Coroutine[Any, Any, Response]]


def _handlers() -> dict[int | type[Exception], _Handler]:
    async def refused(request: Request, error: Refused) -> Response:
        return refusal_response(request.url.path, error)

    async def wrong_fields(request: Request, error: RequestValidationError) -> Response:
        return refusal_response(request.url.path, refusal_of_fields(error.errors()))

    async def http(request: Request, error: HTTPException) -> Response:
        words = {404: _NO_ROUTE, 405: "This route is not asked with this method."}
        codes = {400: "invalid_json", 404: "not_found", 405: "method_not_allowed"}
        found = Refused(
            error.status_code, words.get(error.status_code, error.detail), code=codes.get(error.status_code)
        )
        return refusal_response(request.url.path, found, error.headers)

    return {Refused: refused, RequestValidationError: wrong_fields, HTTPException: http}
