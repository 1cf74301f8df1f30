"""What clients are told when a request fails: the words, in the shape that each protocol's clients read."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.responses import JSONResponse

from homeedit.household.serving.requests import Failed

RETRY_AFTER = 2
"""Seconds that a client is asked to wait when the queue is full."""


class Refused(Exception):
    """A request that gets no answer. ``param`` is the field that is wrong, ``code`` a word for programs."""

    def __init__(self, status: int, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param


_KINDS = {
    "invalid": (400, "invalid_value"),
    "not_found": (404, "model_not_found"),
    "too_long": (400, "context_length_exceeded"),
    "busy": (503, "busy"),
    "failed": (500, "failed"),
}
_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error"}


def refusal_of(failed: Failed) -> Refused:
    """The engine's failure as an answer over HTTP."""
    status, code = _KINDS[failed.kind]
    return Refused(status, failed.message, code=code)


def unknown_model(name: str, there: Sequence[str]) -> Refused:
    """The words that Ollama has for it, for its clients look for "not found"; and what there is, for people."""
    message = f"model {name!r} not found: there is {' and '.join(there)}"
    return Refused(404, message, code="model_not_found", param="model")


def refusal_body(path: str, refused: Refused) -> dict[str, Any]:
    """What stands in the answer's body: Ollama's clients (under /api) read a text, all others an object."""
    if path.startswith("/api"):
        return {"error": refused.message}
    kind = _TYPES.get(refused.status, "server_error" if refused.status >= 500 else "invalid_request_error")
    return {"error": {"message": refused.message, "type": kind, "code": refused.code, "param": refused.param}}


def refusal_response(path: str, refused: Refused, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The whole answer, with the headers that its status asks for."""
    found = dict(headers or {})
    if refused.status in (429, 503):
        found["retry-after"] = str(RETRY_AFTER)
    if refused.status == 401:
        found["www-authenticate"] = "Bearer"
    return JSONResponse(refusal_body(path, refused), refused.status, found)


_PLAIN = {
    "model_attributes_type": "Input should be an object",
    "missing": "This is needed, but it is not there",
}


def refusal_of_fields(errors: Sequence[Any]) -> Refused:
    """The first thing that is wrong with the fields of a body; never what the client wrote there."""
    first = _most_telling(errors)
    where = ".".join(str(each) for each in first["loc"][1:] if _is_field(each))
    message = _PLAIN.get(first["type"], str(first["msg"]).removeprefix("Value error, "))
    return Refused(400, f"{where or 'The body'}: {message}.", code="invalid_value", param=where or None)


def _most_telling(errors: Sequence[Any]) -> Any:
    """The first error; where a field may be of several types and is wrong as each of them, the one as the type that
    the client meant: that which was read deepest, and found to be more than of another type."""
    place = [each for each in errors[0]["loc"][1:] if _is_field(each)]
    same = [each for each in errors if [part for part in each["loc"][1:] if _is_field(part)][: len(place)] == place]
    return max(same, key=lambda each: (len(each["loc"]), not each["type"].endswith("_type")))


def _is_field(part: str | int) -> bool:
    """Whether a part of a place is a field or an index; the others are names of types that were tried."""
    return isinstance(part, int) or (part.isidentifier() and part not in ("str", "dict", "list"))
