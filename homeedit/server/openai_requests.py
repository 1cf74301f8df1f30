"""Bodies of OpenAI's requests, and what they ask of the engine."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StringConstraints, field_validator

from homeedit.household.serving.requests import AnswerRequest, Turn
from homeedit.server.json_body import NotReadable, read_json
from homeedit.server.refusals import Refused
from homeedit.server.wire import (
    MAX_SCHEMA,
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

MAX_PROMPTS = 16
"""Prompts in one request for completions."""
DEFAULT_COMPLETION = 16
"""Tokens of a completion when the client does not say: OpenAI's default."""


class Part(Body):
    """A part of a message's content."""

    type: str
    text: str | None = None
    refusal: str | None = None


class CalledFunction(Body):
    """What a model called: the arguments as JSON text, or (some clients) as they are."""

    name: Annotated[str, Field(min_length=1, max_length=256)]
    arguments: str | Object = ""


class Call(Body):
    """A call that an assistant made before."""

    id: str | None = None
    function: CalledFunction


class Message(Body):
    """A turn of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | Annotated[list[Part], Field(max_length=1024, fail_fast=True)] | None = None
    name: str | None = None
    tool_calls: Annotated[list[Call], Field(max_length=256, fail_fast=True)] | None = None
    tool_call_id: str | None = None

    def turn(self, place: str) -> Turn:
        """The turn as the engine takes it; ``place`` is where the message stands."""
        role = {"developer": "system", "function": "tool"}.get(self.role, self.role)
        calls = [
            {
                "id": each.id or "",
                "name": each.function.name,
                "arguments": _arguments(each.function.arguments, f"{place}.tool_calls.{index}"),
            }
            for index, each in enumerate(self.tool_calls or ())
        ]
        return Turn(
            role,
            _text(self.content, place),
            tool_calls=tuple(calls) if role == "assistant" else (),
            tool_call_id=self.tool_call_id or "",
            name=self.name or "",
        )


def _text(content: str | list[Part] | None, place: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    for each in content:
        if each.type not in ("text", "input_text", "output_text", "refusal"):
            raise Refused(
                400,
                f"{place}: the model reads text only, not {each.type[:40]!r}.",
                code="unsupported_content",
                param=f"{place}.content",
            )
    return "".join(each.text or each.refusal or "" for each in content)


def _arguments(arguments: str | Mapping[str, Any], place: str) -> Mapping[str, Any]:
    if not isinstance(arguments, str):
        return arguments
    try:
        found = read_json(arguments.encode() or b"{}")
    except NotReadable:
        found = None
    if not isinstance(found, dict):
        raise Refused(
            400,
            f"{place}: the arguments are not the JSON text of an object.",
            code="invalid_value",
            param=f"{place}.function.arguments",
        )
    return found


class SchemaBody(Body):
    """A named JSON schema."""

    name: str | None = None
    schema_: Object | None = Field(default=None, alias="schema")


class ResponseFormat(Body):
    """What the answer must look like."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: SchemaBody | None = None
    schema_: Object | None = Field(default=None, alias="schema")
    """llama.cpp's way to give one."""

    def text(self) -> str:
        """The JSON schema that the answer must follow; empty for none."""
        if self.type == "text":
            return ""
        given = self.json_schema.schema_ if self.json_schema else self.schema_
        if self.type == "json_schema" and given is None:
            raise Refused(
                400, "response_format: a JSON schema is needed.", code="invalid_value", param="response_format"
            )
        return schema_text({"type": "object"} if given is None else given)


class StreamOptions(Body):
    """What a stream brings beside the answer."""

    include_usage: StrictBool | None = None


TokenId = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}$")]


class Sampled(Body):
    """Fields that both kinds of requests have."""

    model: ModelName
    stream: StrictBool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[Whole, Field(ge=1, le=2**31 - 1)] | None = None
    n: Whole | None = None
    stop: Stops | None = None
    seed: Seed | None = None
    temperature: Temperature | None = None
    top_p: Share | None = None
    top_k: TopK | None = None
    min_p: Share | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    repeat_penalty: RepeatPenalty | None = None
    logit_bias: Annotated[dict[TokenId, Annotated[Number, Field(ge=-100, le=100)]], Field(max_length=1024)] | None = (
        None
    )
    grammar: Annotated[str, Field(max_length=MAX_SCHEMA)] | None = None
    """GBNF, as llama.cpp has it."""

    @field_validator("n")
    @classmethod
    def _one(cls, number: int | None) -> int | None:
        if number not in (None, 1):
            raise ValueError("one answer is given for each request; ask again for more")
        return number

    @property
    def with_usage(self) -> bool:
        """Whether a stream ends with a count of tokens."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def _asked(self, **more: Any) -> Mapping[str, Any]:
        """The fields of an AnswerRequest that are the same for both."""
        schema = more.pop("json_schema", "")
        if schema and self.grammar:
            raise Refused(400, "grammar: there is a response_format already.", code="invalid_value", param="grammar")
        sampling = sampling_of(
            self.seed,
            self.top_k,
            temperature=self.temperature,
            top_p=self.top_p,
            min_p=self.min_p,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            repeat_penalty=self.repeat_penalty,
            logit_bias={int(token): bias for token, bias in (self.logit_bias or {}).items()},
            grammar=self.grammar,
            json_schema=schema,
        )
        return {"sampling": sampling, "stop": stops_of(self.stop), **more}


class NamedFunction(Body):
    """The name of a function."""

    name: str


class NamedTool(Body):
    """``tool_choice`` as an object: the one function to call; other types mean that the model may choose."""

    type: str = "function"
    function: NamedFunction | None = None


class ChatBody(Sampled):
    """POST /v1/chat/completions."""

    messages: Annotated[list[Message], Field(min_length=1, fail_fast=True)]
    max_completion_tokens: Annotated[Whole, Field(ge=1, le=2**31 - 1)] | None = None
    tools: Tools | None = None
    tool_choice: Literal["auto", "none", "required"] | NamedTool | None = None
    response_format: ResponseFormat | None = None
    logprobs: StrictBool | None = None
    top_logprobs: Annotated[Whole, Field(ge=0, le=20)] | None = None

    def request(self, model: str) -> AnswerRequest:
        """What is asked of the engine.

        Raises:
            Refused: the fields are well formed, but cannot be fulfilled.
        """
        tools = tools_of(self.tools)
        return AnswerRequest(
            model=model,
            turns=tuple(each.turn(f"messages.{index}") for index, each in enumerate(self.messages)),
            tools=tools,
            tool_choice=self._choice({each.name for each in tools}),
            max_tokens=self.max_completion_tokens or self.max_tokens,
            top_logprobs=(self.top_logprobs or 0) if self.logprobs else None,
            **self._asked(json_schema=self.response_format.text() if self.response_format else ""),
        )

    def _choice(self, offered: set[str]) -> str:
        if not isinstance(self.tool_choice, NamedTool):
            # Without tools there is nothing to choose, whatever the client says.
            return self.tool_choice or "auto" if offered else "auto"
        if self.tool_choice.type != "function" or self.tool_choice.function is None:
            return "auto"
        if self.tool_choice.function.name not in offered:
            raise Refused(
                400, "tool_choice: no tool of this name is offered.", code="invalid_value", param="tool_choice"
            )
        return self.tool_choice.function.name


Prompt = Annotated[str, Field(min_length=1)]


class CompletionBody(Sampled):
    """POST /v1/completions."""

    prompt: Prompt | Annotated[list[Prompt], Field(min_length=1, max_length=MAX_PROMPTS, fail_fast=True)]
    echo: StrictBool | None = None
    suffix: str | None = None
    best_of: Whole | None = None
    logprobs: Annotated[Whole, Field(ge=0, le=20)] | None = None

    @field_validator("prompt", mode="before")
    @classmethod
    def _text_only(cls, prompt: Any) -> Any:
        if isinstance(prompt, list) and prompt and isinstance(prompt[0], int | list):
            raise ValueError("prompts are texts; token ids are not taken")
        return prompt

    def requests(self, model: str) -> list[AnswerRequest]:
        """What is asked of the engine: one request for each prompt.

        Raises:
            Refused: the fields are well formed, but cannot be fulfilled.
        """
        if self.suffix:
            raise Refused(400, "suffix: the model cannot fill in.", code="unsupported_value", param="suffix")
        if self.best_of not in (None, 1):
            raise Refused(400, "best_of: one answer is given.", code="unsupported_value", param="best_of")
        if self.echo and self.logprobs is not None:
            raise Refused(
                400,
                "logprobs: there are none of the prompt, so that echo and logprobs do not go together.",
                code="unsupported_value",
                param="logprobs",
            )
        fields = self._asked(max_tokens=self.max_tokens or DEFAULT_COMPLETION, top_logprobs=self.logprobs)
        prompts = [self.prompt] if isinstance(self.prompt, str) else self.prompt
        return [AnswerRequest(model=model, prompt=each, **fields) for each in prompts]
