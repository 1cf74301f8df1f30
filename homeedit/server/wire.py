"""What the bodies of both protocols have in common: exact types, and the way to an AnswerRequest."""

import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from homeedit.household.serving.requests import (
    Answering,
    AnswerRequest,
    Sampling,
    ServedModel,
    Tool,
    model_named,
)
from homeedit.server.options import ServerOptions
from homeedit.server.refusals import Refused, unknown_model


def _whole(value: Any) -> Any:
    """Home Assistant's number fields give 8192.0; true and "5" are no numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("Input should be a whole number")
    return value


Whole = Annotated[int, BeforeValidator(_whole)]
Number = Annotated[float, Field(strict=True)]
Temperature = Annotated[Number, Field(ge=0, le=100)]
Share = Annotated[Number, Field(ge=0, le=1)]
Penalty = Annotated[Number, Field(ge=-2, le=2)]
RepeatPenalty = Annotated[Number, Field(ge=0.01, le=100)]
TopK = Annotated[Whole, Field(ge=-1, le=2**31 - 1)]
Seed = Annotated[Whole, Field(ge=-1, le=2**63 - 1)]
ModelName = Annotated[str, Field(min_length=1, max_length=200)]
Stop = Annotated[str, Field(max_length=1000)]
Stops = Stop | Annotated[list[Stop], Field(max_length=16, fail_fast=True)]
Object = dict[str, Any]
MAX_SCHEMA = 100_000
"""Characters of a JSON schema or a grammar."""


class Body(BaseModel):
    """A body of a request. Fields that we do not know are no mistake: clients send many."""

    model_config = ConfigDict(extra="ignore", protected_namespaces=())


class FunctionBody(Body):
    """A function that a tool offers."""

    name: Annotated[str, Field(min_length=1, max_length=256)]
    description: str | None = None
    parameters: Object | None = None


class ToolBody(Body):
    """A tool; those of other types than ``function`` are left out, for that is no reason to fail."""

    type: str = "function"
    function: FunctionBody | None = None


Tools = Annotated[list[ToolBody], Field(max_length=1024, fail_fast=True)]


def tools_of(bodies: Sequence[ToolBody] | None) -> tuple[Tool, ...]:
    """The functions among the tools."""
    functions = [each.function for each in bodies or () if each.type == "function" and each.function]
    return tuple(
        Tool(each.name, each.description or "", each.parameters or {"type": "object", "properties": {}})
        for each in functions
    )


def stops_of(stops: str | Sequence[str] | None) -> tuple[str, ...]:
    """The texts at which to stop; empty ones mean nothing."""
    if stops is None:
        return ()
    return tuple(each for each in ([stops] if isinstance(stops, str) else stops) if each)


def seed_of(seed: int | None) -> int:
    """Without a seed (or −1) each answer has another one, so that a temperature is felt."""
    return secrets.randbits(31) if seed is None or seed < 0 else seed


def set_fields(**given: Any) -> Mapping[str, Any]:
    """The ones that a client gave; for all others the defaults of ``Sampling`` stand."""
    return {name: value for name, value in given.items() if value is not None}


def schema_text(schema: Mapping[str, Any] | None) -> str:
    """A JSON schema as ``Sampling`` takes it."""
    text = "" if schema is None else json.dumps(schema, ensure_ascii=False)
    if len(text) > MAX_SCHEMA:
        raise Refused(400, f"The JSON schema has more than {MAX_SCHEMA} characters.", code="invalid_value")
    return text


def sampling_of(seed: int | None, top_k: int | None, **given: Any) -> Sampling:
    """How to choose tokens, from what the client gave."""
    return Sampling(seed=seed_of(seed), top_k=max(0, top_k or 0), **set_fields(**given))


def find_model(answering: Answering, name: str) -> ServedModel:
    """The model of this name; ``:latest`` may be left out.

    Raises:
        Refused: there is none.
    """
    full, models = model_named(name), answering.models()
    for each in models:
        if each.name == full:
            return each
    raise unknown_model(name, [each.name for each in models])


def check_size(request: AnswerRequest, options: ServerOptions) -> AnswerRequest:
    """The request, if it is not too long to think about.

    Raises:
        Refused: it has too many messages or characters.
    """
    if len(request.turns) > options.max_messages:
        raise Refused(
            400,
            f"There are {len(request.turns)} messages; at most {options.max_messages} are taken.",
            code="too_many_messages",
            param="messages",
        )
    said = sum(len(each.content) + len(json.dumps(each.tool_calls)) for each in request.turns)
    offered = sum(len(each.description) + len(json.dumps(each.parameters)) for each in request.tools)
    length = said + offered + len(request.prompt or "")
    if length > options.max_prompt_characters:
        raise Refused(
            400,
            f"The prompt has {length} characters; at most {options.max_prompt_characters} are taken.",
            code="context_length_exceeded",
            param="messages" if request.turns else "prompt",
        )
    return request
