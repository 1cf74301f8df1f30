"""OpenAI's routes: /v1/models, /v1/chat/completions, /v1/completions."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from homeedit.household.serving.requests import ServedModel
from homeedit.server.documented import ERRORS, STREAM
from homeedit.server.hearing import AnswerResponse, Desk
from homeedit.server.json_body import StrictRoute
from homeedit.server.openai_answers import ChatVoice, CompletionVoice
from homeedit.server.openai_requests import ChatBody, CompletionBody
from homeedit.server.options import ServerOptions
from homeedit.server.wire import check_size, find_model


def openai_routes(desk: Desk, options: ServerOptions) -> APIRouter:
    """The routes, over one engine."""
    routes = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["OpenAI"], responses=ERRORS)
    answering = desk.answering

    @routes.get("/models")
    async def models() -> Response:
        """The models that answer."""
        return JSONResponse({"object": "list", "data": [_model_body(each) for each in answering.models()]})

    @routes.get("/models/{model:path}")
    async def model(model: str) -> Response:
        """One of the models."""
        return JSONResponse(_model_body(find_model(answering, model)))

    @routes.post("/chat/completions", responses=STREAM)
    async def chat(body: ChatBody) -> Response:
        """An answer in a conversation."""
        request = check_size(body.request(find_model(answering, body.model).name), options)
        voice = ChatVoice(with_usage=body.with_usage, with_logprobs=bool(body.logprobs))
        return AnswerResponse(desk, [request], voice, stream=bool(body.stream))

    @routes.post("/completions", responses=STREAM)
    async def completions(body: CompletionBody) -> Response:
        """Texts, continued as they are."""
        requests = [check_size(each, options) for each in body.requests(find_model(answering, body.model).name)]
        voice = CompletionVoice(
            [each.prompt or "" for each in requests],
            with_usage=body.with_usage,
            with_logprobs=body.logprobs is not None,
            echo=bool(body.echo),
        )
        return AnswerResponse(desk, requests, voice, stream=bool(body.stream))

    return routes


def _model_body(model: ServedModel) -> dict[str, Any]:
    return {
        "id": model.name,
        "object": "model",
        "created": int(datetime.fromisoformat(model.modified).timestamp()),
        "owned_by": "homeedit",
        "meta": {"n_ctx_train": model.context, "n_params": model.parameters, "size": model.bytes},
    }
