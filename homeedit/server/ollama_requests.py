"""Bodies of Ollama's requests, and what they ask of the engine."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, model_validator

from homeedit.household.serving.requests import AnswerRequest, Sampling, Turn
from homeedit.server.refusals import Refused
from homeedit.server.wire import (
    Body,
    ModelName,
    Number,
    Object,
    Penalty,
    RepeatPenalty,
    Seed,
    Share,
    Stops,
    Temperature,
    Tools,
    TopK,
    Whole,
    sampling_of,
    schema_text,
    stops_of,
    tools_of,
)

MAX_WINDOW = 65536
"""Tokens that penalties look back at; more than contexts hold."""


class Options(Body):
    """Ollama's options; those that are not here have no meaning for us."""

    num_ctx: Annotated[Whole, Field(ge=0, le=2**31 - 1)] | None = None
    """Taken and not used: the context is the home's setting."""
    num_predict: Annotated[Whole, Field(ge=-2, le=2**31 - 1)] | None = None
    temperature: Temperature | None = None
    top_k: TopK | None = None
    top_p: Share | None = None
    min_p: Share | None = None
    seed: Seed | None = None
    stop: Stops | None = None
    repeat_penalty: RepeatPenalty | None = None
    repeat_last_n: Annotated[Whole, Field(ge=-1, le=MAX_WINDOW)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None


class CalledFunction(Body):
    """What a model called."""

    name: Annotated[str, Field(min_length=1, max_length=256)]
    arguments: Object = Field(default_factory=dict)


class Call(Body):
    """A call that an assistant made before."""

    id: str | None = None
    function: CalledFunction


class Message(Body):
    """A turn of the conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None
    images: list[Any] | None = None
    tool_calls: Annotated[list[Call], Field(max_length=256, fail_fast=True)] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None

    def turn(self, place: str) -> Turn:
        """The turn as the engine takes it; ``place`` is where the message stands."""
        _refuse_images(self.images, f"{place}.images")
        calls = [
            {"id": each.id or "", "name": each.function.name, "arguments": each.function.arguments}
            for each in self.tool_calls or ()
        ]
        return Turn(
            self.role,
            self.content or "",
            tool_calls=tuple(calls) if self.role == "assistant" else (),
            tool_call_id=self.tool_call_id or "",
            name=self.tool_name or "",
        )


def _refuse_images(images: Sequence[Any] | None, param: str) -> None:
    if images:
        raise Refused(400, f"{param}: the model reads text only.", code="unsupported_content", param=param)


class Named(Body):
    """A model; older clients say ``name``."""

    model: ModelName

    @model_validator(mode="before")
    @classmethod
    def _name(cls, body: Any) -> Any:
        if isinstance(body, dict) and "model" not in body and "name" in body:
            return {**body, "model": body["name"]}
        return body


class Asked(Named):
    """Fields that both kinds of requests have."""

    stream: StrictBool | None = None
    format: Object | str | None = None
    options: Options | None = None
    keep_alive: Number | str | None = None
    think: StrictBool | str | None = None
    logprobs: StrictBool | None = None
    top_logprobs: Annotated[Whole, Field(ge=0, le=20)] | None = None

    @property
    def streamed(self) -> bool:
        """Ollama streams unless told not to."""
        return self.stream is not False

    def _schema(self) -> Mapping[str, Any] | None:
        if self.format in (None, ""):
            return None
        if isinstance(self.format, str):
            if self.format != "json":
                raise Refused(400, 'format: "json" or a JSON schema is possible.', code="invalid_value", param="format")
            return {"type": "object"}
        return self.format

    def _fields(self) -> Mapping[str, Any]:
        """The fields of an AnswerRequest that are the same for both."""
        options = self.options or Options()
        limit = options.num_predict
        return {
            "sampling": self._sampling(options),
            "stop": stops_of(options.stop),
            "max_tokens": None if limit is None or limit <= 0 else limit,
            "top_logprobs": (self.top_logprobs or 0) if self.logprobs else None,
        }

    def _sampling(self, options: Options) -> Sampling:
        # -1 means the whole context.
        window = MAX_WINDOW if options.repeat_last_n == -1 else options.repeat_last_n
        return sampling_of(
            options.seed,
            options.top_k,
            temperature=options.temperature,
            top_p=options.top_p,
            min_p=options.min_p,
            repeat_penalty=options.repeat_penalty,
            presence_penalty=options.presence_penalty,
            frequency_penalty=options.frequency_penalty,
            penalty_window=window,
            json_schema=schema_text(self._schema()),
        )


class ChatBody(Asked):
    """POST /api/chat. Without messages the model is only loaded."""

    messages: Annotated[list[Message], Field(fail_fast=True)] | None = None
    tools: Tools | None = None

    def request(self, model: str) -> AnswerRequest | None:
        """What is asked of the engine; None: nothing.

        Raises:
            Refused: the fields are well formed, but cannot be fulfilled.
        """
        if not self.messages:
            return None
        turns = tuple(each.turn(f"messages.{index}") for index, each in enumerate(self.messages))
        return AnswerRequest(model=model, turns=turns, tools=tools_of(self.tools), **self._fields())


class GenerateBody(Asked):
    """POST /api/generate. Without a prompt the model is only loaded."""

    prompt: str | None = None
    system: str | None = None
    suffix: str | None = None
    raw: StrictBool | None = None
    images: list[Any] | None = None

    def request(self, model: str) -> AnswerRequest | None:
        """What is asked of the engine; None: nothing.

        Raises:
            Refused: the fields are well formed, but cannot be fulfilled.
        """
        if self.suffix:
            raise Refused(400, "suffix: the model cannot fill in.", code="unsupported_value", param="suffix")
        _refuse_images(self.images, "images")
        if not self.prompt:
            return None
        if self.raw:
            return AnswerRequest(model=model, prompt=self.prompt, **self._fields())
        turns = (Turn("system", self.system),) if self.system else ()
        return AnswerRequest(model=model, turns=(*turns, Turn("user", self.prompt)), **self._fields())


class ShowBody(Named):
    """POST /api/show."""


class PullBody(Named):
    """POST /api/pull."""

    stream: StrictBool | None = None
