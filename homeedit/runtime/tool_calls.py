"""Function calls in what a model says, in the spellings that small models use.

``<tool_call>{"name", "arguments"}</tool_call>`` (Qwen, Hermes), ``[TOOL_CALLS][{…}]`` (Mistral), and answers that are
nothing but JSON: ``{"name", "parameters"}`` (Llama), or one or several objects or an array of them.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_OPEN, _CLOSE, _LIST = "<tool_call>", "</tool_call>", "[TOOL_CALLS]"
_MARKS = (_OPEN, _LIST)


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A function that the model wants called."""

    name: str
    arguments: Mapping[str, Any]


def read_tool_calls(text: str, names: Collection[str]) -> tuple[str, tuple[FunctionCall, ...]]:
    """The calls of functions called ``names`` in a whole answer, and the text that is left without them.

    When there is none, the text is as it was. What looks like a call but is none stays text.
    """
    if bare := _calls(text, names):
        return "", bare
    before, mark, listed = text.partition(_LIST)
    if mark and (calls := _calls(listed, names)):
        return before.strip(), calls
    left, calls = "", ()
    rest = text
    while _OPEN in rest:
        before, _, rest = rest.partition(_OPEN)
        inner, close, after = rest.partition(_CLOSE)
        found = _calls(inner, names)
        left += before if found else before + _OPEN + inner + close
        calls += found
        rest = after
    return ((left + rest).strip(), calls) if calls else (text, ())


class CallWatch:
    """Lets an answer's text through until something begins that may be a call; holds everything back from there.

    Feed it what ``TextStream`` gives; when the answer has ended, ``finish`` reads what was held back. With no names
    it lets everything through.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = frozenset(names)
        self._held = ""
        self._holding = False
        self._begun = False

    def feed(self, text: str) -> str:
        """The text that can be shown now: certainly no part of a call."""
        if not self._names:
            return text
        self._held += text
        if self._holding:
            return ""
        end = len(self._held)
        if not self._begun and self._held.lstrip()[:1] in ("{", "["):
            end, self._holding = 0, True
        for mark in _MARKS:
            at = self._held.find(mark)
            if at >= 0:
                end, self._holding = min(end, at), True
            else:
                end = min(end, _may_begin(self._held, mark))
        shown, self._held = self._held[:end], self._held[end:]
        self._begun = self._begun or bool(shown.strip())
        return shown

    def finish(self) -> tuple[str, tuple[FunctionCall, ...]]:
        """What is left to show, and the calls."""
        held, self._held = self._held, ""
        return read_tool_calls(held, self._names) if self._holding else (held, ())


def forced_call_schema(tools: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """The JSON schema, as text, of a call of one of ``tools`` (name, JSON schema of its parameters): for
    ``Sampling.json_schema`` when a call is required. The answer is read by ``CallWatch``."""
    definitions: dict[str, Any] = {}
    calls = []
    for number, (name, parameters) in enumerate(tools):
        arguments = dict(parameters)
        # References are looked up from the top of the whole schema, so the definitions go there.
        for place in ("$defs", "definitions"):
            inner = arguments.pop(place, None)
            if isinstance(inner, Mapping):
                definitions |= {f"{number}-{key}": _moved(value, number) for key, value in inner.items()}
        if not arguments.keys() & {"$ref", "anyOf", "oneOf", "allOf"}:
            arguments = {"type": "object", "properties": {}, **arguments}
        call = {"name": {"const": name}, "arguments": _moved(arguments, number)}
        calls.append({"type": "object", "properties": call, "required": ["name", "arguments"]})
    schema: dict[str, Any] = calls[0] if len(calls) == 1 else {"anyOf": calls}
    return json.dumps(schema | ({"$defs": definitions} if definitions else {}), ensure_ascii=False)


def _moved(schema: Any, number: int) -> Any:
    """A schema whose references to its own definitions point to where ``forced_call_schema`` puts them."""
    if isinstance(schema, list):
        return [_moved(each, number) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    moved = {key: _moved(value, number) for key, value in schema.items()}
    reference = moved.get("$ref")
    for start in ("#/$defs/", "#/definitions/"):
        if isinstance(reference, str) and reference.startswith(start):
            moved["$ref"] = f"#/$defs/{number}-{reference.removeprefix(start)}"
    return moved


def _may_begin(text: str, mark: str) -> int:
    """Where at the end of ``text`` the mark may have begun; its length if it has not."""
    sizes = range(min(len(text), len(mark) - 1), 0, -1)
    return next((len(text) - size for size in sizes if text.endswith(mark[:size])), len(text))


def _calls(text: str, names: Collection[str]) -> tuple[FunctionCall, ...]:
    """The calls in a text that is nothing but calls as JSON; none if it is anything else."""
    decoder = json.JSONDecoder(parse_constant=_refuse)
    found: list[FunctionCall] = []
    rest = text.strip()
    try:
        while rest:
            value, end = decoder.raw_decode(rest)
            for each in value if isinstance(value, list) else [value]:
                call = _call(each, names)
                if call is None:
                    return ()
                found.append(call)
            rest = rest[end:].lstrip(" \t\r\n;,")
    except (ValueError, RecursionError):
        return ()
    return tuple(found)


def _call(value: Any, names: Collection[str]) -> FunctionCall | None:
    if not isinstance(value, dict):
        return None
    # {"type": "function", "function": {…}} is how the calls stand in a request; some models say it back.
    inner = value.get("function")
    value = inner if isinstance(inner, dict) else value
    name, arguments = value.get("name"), value.get("arguments", value.get("parameters", {}))
    if isinstance(arguments, str):
        arguments = json.loads(arguments, parse_constant=_refuse)
    if not isinstance(name, str) or name not in names or not isinstance(arguments, dict):
        return None
    # Clients cannot read numbers without end (1e999) or half a character ("\ud800"): a ValueError both.
    json.dumps(arguments, ensure_ascii=False, allow_nan=False).encode()
    return FunctionCall(name, arguments)


def _refuse(constant: str) -> Any:
    """NaN and Infinity are not JSON, and clients cannot read them."""
    raise ValueError(f"{constant} is not JSON")
