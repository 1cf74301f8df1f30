"""Answers as OpenAI's clients read them."""

import json
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from homeedit.household.serving.requests import Began, Ended, Event, Failed, Spoke, TokenSaid, ToolCall
from homeedit.server.hearing import Heard
from homeedit.server.refusals import refusal_body, refusal_of

LOWEST_LOGPROB = -9999.0
"""Said for a token that cannot come: JSON has no infinity."""


def event_line(value: Any) -> bytes:
    """A value as an event of a stream. ASCII only: some clients end lines at characters such as U+2028."""
    return f"data: {json.dumps(value, separators=(',', ':'))}\n\n".encode()


def fingerprint(build: int | None) -> str:
    """The name of the build that answered."""
    return "homeedit-base" if build is None else f"homeedit-build-{build}"


def finish_reason(ended: Ended) -> str:
    """An answer that was cut short by us is said to have been too long."""
    return "length" if ended.reason == "cancelled" else ended.reason


def usage(ended: Sequence[Ended]) -> dict[str, Any]:
    """Tokens of prompts and answers."""
    prompt = sum(each.prompt_tokens for each in ended)
    answer = sum(each.answer_tokens for each in ended)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": answer,
        "total_tokens": prompt + answer,
        "prompt_tokens_details": {"cached_tokens": sum(each.cached_tokens for each in ended)},
    }


def timings(ended: Ended) -> dict[str, Any]:
    """As llama.cpp's server gives them; some integrations of Home Assistant read them."""
    evaluated = ended.prompt_tokens - ended.cached_tokens
    return {
        "cache_n": ended.cached_tokens,
        "prompt_n": evaluated,
        "prompt_ms": round(ended.reading * 1000, 3),
        "prompt_per_second": _rate(evaluated, ended.reading),
        "predicted_n": ended.answer_tokens,
        "predicted_ms": round(ended.speaking * 1000, 3),
        "predicted_per_second": _rate(ended.answer_tokens, ended.speaking),
    }


def _rate(count: int, seconds: float) -> float:
    return round(count / seconds, 3) if seconds > 0 else 0.0


def tool_call_body(call: ToolCall) -> dict[str, Any]:
    """A call; its arguments are JSON text."""
    function = {"name": call.name, "arguments": json.dumps(dict(call.arguments), ensure_ascii=False)}
    return {"id": call.id, "type": "function", "function": function}


def _token(data: bytes, logprob: float) -> dict[str, Any]:
    return {
        "token": data.decode("utf-8", "replace"),
        "logprob": max(logprob, LOWEST_LOGPROB),
        "bytes": list(data),
    }


def token_bodies(tokens: Sequence[TokenSaid]) -> list[dict[str, Any]]:
    """Tokens with their log-probabilities, and those of the likeliest others."""
    return [
        {**_token(each.data, each.logprob), "top_logprobs": [_token(*other) for other in each.top]} for each in tokens
    ]


class _Said(ABC):
    """What all answers to one request have in common."""

    media_type = "text/event-stream"
    kind = ""

    def __init__(self, prefix: str, with_usage: bool) -> None:
        self._id = f"{prefix}-{secrets.token_hex(12)}"
        self._created = int(time.time())
        self._with_usage = with_usage
        self._ended: list[Ended] = []

    def _head(self, kind: str, began: Began) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": kind,
            "created": self._created,
            "model": began.model,
            "system_fingerprint": fingerprint(began.build),
        }

    def fail(self, failed: Failed) -> bytes:
        """An error in a stream."""
        return event_line(refusal_body("", refusal_of(failed)))

    def finish(self) -> bytes:
        """Usage, when it was asked for, and the end."""
        data = b""
        if self._with_usage:
            data = event_line({**self._last_head(), "choices": [], "usage": usage(self._ended)})
        return data + b"data: [DONE]\n\n"

    @abstractmethod
    def _last_head(self) -> dict[str, Any]:
        """What the chunk with the usage begins with."""


class ChatVoice(_Said):
    """An answer to POST /v1/chat/completions."""

    def __init__(self, *, with_usage: bool, with_logprobs: bool) -> None:
        super().__init__("chatcmpl", with_usage)
        self._with_logprobs = with_logprobs
        self._chunk: dict[str, Any] = {}
        self._before = self._after = ""

    def say(self, index: int, event: Event) -> bytes:
        """Chunks of a stream."""
        match event:
            case Began():
                return self._begin(event)
            case Spoke(text, tokens) if tokens:
                return self._delta({"content": text}, logprobs=self._logprobs(tokens))
            case Spoke(text):
                return f"{self._before}{json.dumps(text)}{self._after}".encode() if text else b""
            case Ended():
                return self._end(event)
        return b""

    def _begin(self, began: Began) -> bytes:
        """The chunk that names the role; and the skeleton of those that follow, for only their text differs."""
        self._chunk = self._head("chat.completion.chunk", began)
        before, after = self._delta({"content": "\x1a"}).decode().split('"\\u001a"')
        self._before, self._after = before, after
        return self._delta({"role": "assistant", "content": ""})

    def _delta(self, delta: dict[str, Any], *, logprobs: Any = None, reason: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        return event_line({**self._chunk, "choices": [choice], **self._no_usage(), **more})

    def _no_usage(self) -> dict[str, None]:
        return {"usage": None} if self._with_usage else {}

    def _end(self, ended: Ended) -> bytes:
        """Calls, each in a chunk of its own because some clients read only the first of a chunk; and the end."""
        self._ended.append(ended)
        calls = [
            self._delta({"tool_calls": [{"index": index, **tool_call_body(call)}]})
            for index, call in enumerate(ended.tool_calls)
        ]
        more = {"dropped_messages": ended.dropped} if ended.dropped else {}
        return b"".join(calls) + self._delta({}, reason=finish_reason(ended), timings=timings(ended), **more)

    def _last_head(self) -> dict[str, Any]:
        return self._chunk

    def _logprobs(self, tokens: Sequence[TokenSaid]) -> dict[str, Any] | None:
        return {"content": token_bodies(tokens), "refusal": None} if self._with_logprobs else None

    def whole(self, answers: Sequence[tuple[Heard, Ended]]) -> dict[str, Any]:
        """The answer at once."""
        heard, ended = answers[0]
        message: dict[str, Any] = {"role": "assistant", "content": heard.text, "refusal": None}
        if ended.tool_calls:
            message["content"] = heard.text or None
            message["tool_calls"] = [tool_call_body(each) for each in ended.tool_calls]
        choice = {
            "index": 0,
            "message": message,
            "logprobs": self._logprobs(heard.tokens),
            "finish_reason": finish_reason(ended),
        }
        more = {"dropped_messages": ended.dropped} if ended.dropped else {}
        return {
            **self._head("chat.completion", heard.began),
            "choices": [choice],
            "usage": usage([ended]),
            "timings": timings(ended),
            **more,
        }


class CompletionVoice(_Said):
    """Answers to POST /v1/completions: one for each prompt."""

    def __init__(self, prompts: Sequence[str], *, with_usage: bool, with_logprobs: bool, echo: bool) -> None:
        super().__init__("cmpl", with_usage)
        self._with_logprobs = with_logprobs
        self._echoed = list(prompts) if echo else [""] * len(prompts)
        self._offsets = [0] * len(prompts)
        self._began = Began("", None)

    def say(self, index: int, event: Event) -> bytes:
        """Chunks of a stream."""
        match event:
            case Began():
                self._began = event
                return self._chunk(index, self._echoed[index]) if self._echoed[index] else b""
            case Spoke(text, tokens):
                return self._chunk(index, text, tokens) if text or tokens else b""
            case Ended():
                self._ended.append(event)
                return self._chunk(index, "", reason=finish_reason(event))
        return b""

    def _chunk(self, index: int, text: str, tokens: Sequence[TokenSaid] = (), reason: str | None = None) -> bytes:
        choice = self._choice(index, text, tokens, reason)
        return event_line({**self._last_head(), "choices": [choice]})

    def _choice(self, index: int, text: str, tokens: Sequence[TokenSaid], reason: str | None) -> dict[str, Any]:
        logprobs = self._logprobs(index, tokens) if self._with_logprobs and tokens else None
        return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason}

    def _last_head(self) -> dict[str, Any]:
        return self._head("text_completion", self._began)

    def _logprobs(self, index: int, tokens: Sequence[TokenSaid]) -> dict[str, Any]:
        texts = [each.data.decode("utf-8", "replace") for each in tokens]
        offsets = []
        for text in texts:
            offsets.append(self._offsets[index])
            self._offsets[index] += len(text)
        return {
            "tokens": texts,
            "token_logprobs": [max(each.logprob, LOWEST_LOGPROB) for each in tokens],
            "top_logprobs": [
                {data.decode("utf-8", "replace"): max(logprob, LOWEST_LOGPROB) for data, logprob in each.top}
                for each in tokens
            ],
            "text_offset": offsets,
        }

    def whole(self, answers: Sequence[tuple[Heard, Ended]]) -> dict[str, Any]:
        """The answers at once."""
        choices = [
            self._choice(index, self._echoed[index] + heard.text, heard.tokens, finish_reason(ended))
            for index, (heard, ended) in enumerate(answers)
        ]
        ended = [each for _, each in answers]
        return {
            **self._head("text_completion", answers[0][0].began),
            "choices": choices,
            "usage": usage(ended),
            "timings": timings(ended[-1]),
        }
