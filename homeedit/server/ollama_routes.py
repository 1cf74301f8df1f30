"""Ollama's routes: what lists, shows and asks models; not what makes or moves them."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from homeedit.household.serving.requests import AnswerRequest
from homeedit.server.documented import ERRORS, LINES, TEXT
from homeedit.server.hearing import AnswerResponse, Desk
from homeedit.server.json_body import StrictRoute
from homeedit.server.ollama_answers import NDJSON, OllamaVoice, line, listed, running, shown
from homeedit.server.ollama_requests import Asked, ChatBody, GenerateBody, PullBody, ShowBody
from homeedit.server.options import ServerOptions
from homeedit.server.refusals import Refused
from homeedit.server.wire import check_size, find_model

OLLAMA_VERSION = "0.12.6"
"""The version of Ollama whose routes these are: clients ask for one that is not too old."""


def ollama_routes(desk: Desk, options: ServerOptions) -> APIRouter:
    """The routes, over one engine."""
    routes = APIRouter(route_class=StrictRoute, tags=["Ollama"], responses=ERRORS)
    _add_models(routes, desk, options)
    _add_answers(routes, desk, options)
    _add_refusals(routes)
    return routes


def _add_models(routes: APIRouter, desk: Desk, options: ServerOptions) -> None:
    answering = desk.answering

    @routes.head("/", include_in_schema=False)
    @routes.get("/", responses=TEXT)
    async def hello() -> Response:
        """What clients look for to know that Ollama is there."""
        return PlainTextResponse("Ollama is running")

    @routes.head("/api/version", include_in_schema=False)
    @routes.get("/api/version")
    async def version() -> Response:
        """Whose routes these are, and who we are."""
        return JSONResponse({"version": OLLAMA_VERSION, "homeedit": options.version})

    @routes.head("/api/tags", include_in_schema=False)
    @routes.get("/api/tags")
    async def tags() -> Response:
        """The models that answer."""
        return JSONResponse({"models": [listed(each) for each in answering.models()]})

    @routes.get("/api/ps")
    async def loaded() -> Response:
        """The models that are loaded."""
        return JSONResponse({"models": [running(each) for each in answering.models() if each.loaded]})

    @routes.post("/api/show")
    async def show(body: ShowBody) -> Response:
        """All about a model."""
        return JSONResponse(shown(find_model(answering, body.model)))

    @routes.post("/api/pull", responses=LINES)
    async def pull(body: PullBody) -> Response:
        """Our models are there already; there are no others."""
        find_model(answering, body.model)
        if body.stream is False:
            return JSONResponse({"status": "success"})
        return _lines([{"status": "pulling manifest"}, {"status": "success"}])


def _add_answers(routes: APIRouter, desk: Desk, options: ServerOptions) -> None:
    @routes.post("/api/chat", responses=LINES)
    async def chat(body: ChatBody) -> Response:
        """An answer in a conversation."""
        name = find_model(desk.answering, body.model).name
        return respond(body, body.request(name), name, OllamaVoice(chat=True, with_logprobs=bool(body.logprobs)))

    @routes.post("/api/generate", responses=LINES)
    async def generate(body: GenerateBody) -> Response:
        """An answer to one prompt."""
        name = find_model(desk.answering, body.model).name
        return respond(body, body.request(name), name, OllamaVoice(chat=False, with_logprobs=bool(body.logprobs)))

    def respond(body: Asked, request: AnswerRequest | None, name: str, voice: OllamaVoice) -> Response:
        if request is not None:
            return AnswerResponse(desk, [check_size(request, options)], voice, stream=body.streamed)
        answer = voice.loaded(name)
        return _lines([answer]) if body.streamed else JSONResponse(answer)


_NOT_DONE = {
    "/api/create": "make models: facts are taught with `homeedit fact add`",
    "/api/copy": "copy models",
    "/api/delete": "delete models",
    "/api/push": "send models anywhere",
    "/api/embed": "make embeddings",
    "/api/embeddings": "make embeddings",
    "/v1/embeddings": "make embeddings",
}


def _add_refusals(routes: APIRouter) -> None:
    """Routes of others that clients may try: a clear word is better than a missing route."""
    for path, what in _NOT_DONE.items():
        methods = ["DELETE"] if path == "/api/delete" else ["POST"]
        routes.add_api_route(path, _refusing(what), methods=methods, include_in_schema=False)


def _refusing(what: str) -> Any:
    async def refuse() -> Response:
        raise Refused(400, f"homeedit does not {what}.", code="unsupported")

    return refuse


def _lines(values: Sequence[dict[str, Any]]) -> Response:
    return Response(b"".join(line(each) for each in values), media_type=NDJSON)
