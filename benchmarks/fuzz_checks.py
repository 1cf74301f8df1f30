"""What the fuzzing asks, and what it asks of every answer, beside schemathesis's own. Loaded by it, not run."""

import json
import re
import zlib
from typing import Any

import schemathesis

# A pattern, because texts of this file turn up in requests, and requests in answers.
_TRACE = re.compile(r'File "[^"]+", line \d+')


@schemathesis.hook
def before_call(_: Any, case: Any, __: Any) -> None:
    """Most requests name a model that is there: all others would end at the door."""
    body = case.body
    if isinstance(body, dict):
        for name in ("model", "name"):
            if body.get(name) and isinstance(body[name], str) and zlib.crc32(body[name].encode(errors="replace")) % 8:
                body[name] = "homeedit" if len(body[name]) % 4 else "homeedit-base:latest"


@schemathesis.check
def errors_have_words(_: Any, response: Any, case: Any) -> None:
    """A refusal is JSON in the words of its protocol, and shows nothing of the inside."""
    if response.status_code < 400 or case.method.upper() == "HEAD":
        return
    text = response.content.decode("utf-8", errors="replace")
    assert not _TRACE.search(text), "the inside of the server is shown"
    if response.status_code == 405 or not case.operation.path.startswith(("/v1/", "/api/")):
        return
    error = json.loads(text)["error"]
    words = error if case.operation.path.startswith("/api/") else error["message"]
    assert isinstance(words, str) and len(words) > 5, "an error without words"
