"""Our own routes: /health, /metrics, /builds. None of them tells what was said."""

import time
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from homeedit.household.serving.requests import Answering, ServedModel
from homeedit.server.documented import ERRORS, TEXT
from homeedit.server.metrics import CONTENT_TYPE, Metrics
from homeedit.server.options import ServerOptions


def own_routes(answering: Answering, options: ServerOptions, metrics: Metrics) -> APIRouter:
    """The routes, over one engine."""
    routes = APIRouter(tags=["homeedit"], responses=ERRORS)

    @routes.head("/health", include_in_schema=False)
    @routes.get("/health")
    async def health() -> Response:
        """Whether it answers, and what; without a key, so nothing of the household is in it."""
        return JSONResponse(_health(answering, options))

    @routes.get("/metrics", responses=TEXT)
    async def read_metrics() -> Response:
        """For Prometheus."""
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    @routes.get("/builds")
    async def builds() -> Response:
        """What is live."""
        return JSONResponse(_builds(answering))

    return routes


def _health(answering: Answering, options: ServerOptions) -> dict[str, Any]:
    state = answering.state()
    return {
        "status": "degraded" if state.problem else "ok",
        "model": state.model,
        "build": state.build,
        "since": state.since,
        "problem": state.problem,
        "note": state.note,
        "mode": state.mode,
        "uptime": round(time.time() - state.started, 3),
        "requests": state.requests,
        "running": state.running,
        "waiting": state.waiting,
        "tokens_per_second": round(state.recent_tokens_per_second, 3),
        "version": options.version,
    }


def _builds(answering: Answering) -> dict[str, Any]:
    state = answering.state()
    live = {
        "build": state.build,
        "since": state.since,
        "facts": state.facts,
        "mode": state.mode,
        "problem": state.problem,
        "note": state.note,
        "swaps": state.swaps,
    }
    return {"model": state.model, "live": live, "models": [_model(each) for each in answering.models()]}


def _model(model: ServedModel) -> dict[str, Any]:
    body = asdict(model)
    del body["template"]
    return body
