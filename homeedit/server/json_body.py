"""JSON that clients send, read more strictly than Python's own reader does."""

import json
import math
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute

MAX_DEPTH = 100
"""Brackets in brackets; what people send has a dozen."""
MAX_COMMAS = 200_000
"""As many as a prompt may have characters; each value costs time and memory on the way."""


class NotReadable(ValueError):
    """The text is not JSON that we take; the message says why in a sentence."""


def read_json(data: bytes) -> Any:
    """The value of a JSON text in UTF-8.

    Raises:
        NotReadable: it is not JSON; or it has what no client means and what trips programs up: NaN, numbers
            without end, keys given twice, characters that are no characters, deep nesting.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotReadable(f"The body is not UTF-8: byte {error.start} cannot be read.") from error
    if text.count(",") > MAX_COMMAS:
        raise NotReadable("The body holds too many values.")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_whole,
        )
    except NotReadable:
        raise
    except json.JSONDecodeError as error:
        raise NotReadable(f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from error
    except RecursionError as error:
        raise NotReadable(_TOO_DEEP) from error
    # Most bodies need no second look: a bad character can only come as an escape, after the decoding above.
    if "\\u" in text or text.count("[") + text.count("{") > MAX_DEPTH:
        _check(value)
    return value


_TOO_DEEP = f"The body is nested deeper than {MAX_DEPTH} brackets."


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotReadable("The body has a key twice in one object.")
    return found


def _refuse_constant(name: str) -> Any:
    raise NotReadable(f"The body has the number {name}, which JSON does not know.")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise NotReadable("The body has a number that is too large.")
    return number


def _whole(digits: str) -> int:
    if len(digits) > 20:
        raise NotReadable("The body has a number that is too large.")
    return int(digits)


def _check(value: Any) -> None:
    """Depth and characters of everything in it; without recursion."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise NotReadable(_TOO_DEEP)
        below: list[Any] = []
        for each in level:
            if isinstance(each, str):
                _check_text(each)
            elif isinstance(each, list):
                below += each
            elif isinstance(each, dict):
                below += each.keys()
                below += each.values()
        level = below


def _check_text(text: str) -> None:
    if "\0" in text:
        raise NotReadable("The body has a text with a NUL character.")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotReadable("The body has a text with half of a character (a lone surrogate).") from error


class _StrictRequest(Request):
    async def json(self) -> Any:
        try:
            return read_json(await self.body())
        except NotReadable as error:
            raise HTTPException(400, str(error)) from error


class StrictRoute(APIRoute):
    """A route whose body is read by ``read_json``, whatever the client calls it: ``curl -d`` says a form, and
    Ollama takes that too. (Pages of other sites, which could send such forms, are refused by their origin.)"""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, given our way of reading."""
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            headers = [each for each in request.scope["headers"] if each[0] != b"content-type"]
            scope = {**request.scope, "headers": [*headers, (b"content-type", b"application/json")]}
            return await handler(_StrictRequest(scope, request.receive))

        return strict
