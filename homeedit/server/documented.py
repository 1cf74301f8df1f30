"""What /openapi.json says of answers, beside what FastAPI finds out by itself."""

from typing import Any

Responses = dict[int | str, dict[str, Any]]

ERRORS: Responses = {
    400: {"description": "The request is wrong; the message says what."},
    401: {"description": "The key is missing or wrong."},
    403: {"description": "The request comes from a page or by a name that is not let in."},
    404: {"description": "There is no such model."},
    408: {"description": "The body took too long to come."},
    413: {"description": "The body is too large."},
    415: {"description": "The body is compressed."},
    # Without this, FastAPI would promise its own 422.
    "4XX": {"description": "Another mistake of the request."},
    500: {"description": "The answer failed, through no fault of the request."},
    503: {"description": "Too many requests wait."},
}
_LINES = {"schema": {"type": "string"}}
STREAM: Responses = {200: {"description": "The answer.", "content": {"text/event-stream": _LINES}}}
LINES: Responses = {200: {"description": "The answer.", "content": {"application/x-ndjson": _LINES}}}
TEXT: Responses = {200: {"description": "Text.", "content": {"text/plain": _LINES}}}
