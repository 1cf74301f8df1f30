"""Answers as Ollama's clients read them."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from homeedit.household.serving.requests import Began, Ended, Event, Failed, ServedModel, Spoke, TokenSaid, ToolCall
from homeedit.server.hearing import Heard
from homeedit.server.openai_answers import finish_reason, token_bodies

NDJSON = "application/x-ndjson"


def line(value: Any) -> bytes:
    """A value as a line. ASCII only: some clients end lines at characters such as U+2028."""
    return f"{json.dumps(value, separators=(',', ':'))}\n".encode()


def now() -> str:
    """The time as Ollama writes it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


class OllamaVoice:
    """An answer to POST /api/chat, or (``chat`` false) to /api/generate."""

    media_type = NDJSON

    def __init__(self, *, chat: bool, with_logprobs: bool) -> None:
        self._chat = chat
        self._with_logprobs = with_logprobs
        self._model = ""
        self._before = ("", "")
        self._after = ""

    def say(self, index: int, event: Event) -> bytes:
        """Lines of a stream."""
        match event:
            case Began(model):
                self._begin(model)
            case Spoke(text, tokens) if tokens:
                return line(self._body(text, done=False, **self._logprobs(tokens)))
            case Spoke(text) if text:
                return f"{self._before[0]}{now()}{self._before[1]}{json.dumps(text)}{self._after}".encode()
            case Ended():
                return self._end(event)
        return b""

    def _begin(self, model: str) -> None:
        """The skeleton of the lines that follow, for only their time and text differ."""
        self._model = model
        skeleton = line(self._body("\x1a", done=False) | {"created_at": "\x1a"}).decode()
        before, between, self._after = skeleton.split("\\u001a")
        self._before = (before, between[:-1])
        self._after = self._after[1:]

    def _body(self, text: str, *, done: bool, calls: Sequence[ToolCall] = (), **more: Any) -> dict[str, Any]:
        head = {"model": self._model, "created_at": now()}
        if not self._chat:
            return {**head, "response": text, "done": done, **more}
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if calls:
            message["tool_calls"] = [_call_body(each) for each in calls]
        return {**head, "message": message, "done": done, **more}

    def _logprobs(self, tokens: Sequence[TokenSaid]) -> dict[str, Any]:
        return {"logprobs": token_bodies(tokens)} if self._with_logprobs else {}

    def _end(self, ended: Ended) -> bytes:
        calls = line(self._body("", done=False, calls=ended.tool_calls)) if ended.tool_calls else b""
        return calls + line(self._body("", done=True, **_statistics(ended)))

    def fail(self, failed: Failed) -> bytes:
        """An error in a stream."""
        return line({"error": failed.message})

    def finish(self) -> bytes:
        """A stream ends with its last line."""
        return b""

    def whole(self, answers: Sequence[tuple[Heard, Ended]]) -> dict[str, Any]:
        """The answer at once."""
        heard, ended = answers[0]
        self._model = heard.began.model
        more = self._logprobs(heard.tokens) | _statistics(ended)
        return self._body(heard.text, done=True, calls=ended.tool_calls, **more)

    def loaded(self, model: str) -> dict[str, Any]:
        """The answer to a request that asks nothing."""
        self._model = model
        return self._body("", done=True, done_reason="load")


def _call_body(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "function": {"name": call.name, "arguments": dict(call.arguments)}}


def _statistics(ended: Ended) -> dict[str, Any]:
    total = ended.waited + ended.loading + ended.reading + ended.speaking
    found = {
        # Ollama knows no reason of its own for calls.
        "done_reason": "stop" if ended.reason == "tool_calls" else finish_reason(ended),
        "total_duration": _nanoseconds(total),
        "load_duration": _nanoseconds(ended.loading),
        "prompt_eval_count": ended.prompt_tokens,
        "prompt_eval_duration": _nanoseconds(ended.reading),
        "eval_count": ended.answer_tokens,
        "eval_duration": _nanoseconds(ended.speaking),
    }
    return found | ({"dropped_messages": ended.dropped} if ended.dropped else {})


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1_000_000_000)


# Models


def listed(model: ServedModel) -> dict[str, Any]:
    """A model in /api/tags."""
    return {
        "name": model.name,
        "model": model.name,
        "modified_at": model.modified,
        "size": model.bytes,
        "digest": model.digest,
        "details": _details(model),
    }


def running(model: ServedModel) -> dict[str, Any]:
    """A model in /api/ps: it stays loaded, and in the processor's memory."""
    return {
        **listed(model),
        "expires_at": "2318-01-01T00:00:00Z",
        "size_vram": 0,
        "context_length": model.context,
    }


def shown(model: ServedModel) -> dict[str, Any]:
    """A model in /api/show."""
    return {
        "modelfile": f"# {model.name}\nFROM {model.name}\n",
        "parameters": "temperature 0",
        "template": model.template,
        "details": _details(model),
        "model_info": {
            "general.architecture": model.architecture,
            "general.parameter_count": model.parameters,
            f"{model.architecture}.context_length": model.context,
        },
        "capabilities": list(model.capabilities),
        "modified_at": model.modified,
    }


def _details(model: ServedModel) -> dict[str, Any]:
    return {
        "parent_model": "",
        "format": "gguf",
        "family": model.architecture,
        "families": [model.architecture],
        "parameter_size": _count(model.parameters),
        "quantization_level": model.quantization,
    }


def _count(parameters: int) -> str:
    """134.5M, 1.7B."""
    return f"{parameters / 1e9:.1f}B" if parameters >= 1e9 else f"{parameters / 1e6:.1f}M"
