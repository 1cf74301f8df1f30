"""JSON that trips programs up is refused; all other JSON is read."""

import json

import pytest

from homeedit.server.json_body import MAX_COMMAS, MAX_DEPTH, NotReadable, read_json

BAD: dict[str, bytes] = {
    "nothing": b"",
    "cut off": b'{"a": [1, 2',
    "not UTF-8": b'{"a": "\xff"}',
    "a raw surrogate": b'{"a": "\xed\xa0\x80"}',
    "UTF-16": "{}".encode("utf-16"),
    "NaN": b'{"a": NaN}',
    "Infinity": b"[-Infinity]",
    "too large a number": b'{"a": 1e999}',
    "too long a number": b"1" * 5000,
    "a lone surrogate": rb'{"a": "x\ud800y"}',
    "a lone surrogate as key": rb'{"\udc00": 1}',
    "a NUL": rb'{"a": ["x\u0000"]}',
    "a raw NUL": b'{"a": "\0"}',
    "a key twice": b'{"a": 1, "a": 2}',
    "a key twice, below": b'[{"b": {"a": 1, "a": 2}}]',
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "rather deep lists": b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
    "deep objects": b'{"a":' * 500 + b"1" + b"}" * 500,
    "many values": b"[" + b"0," * (MAX_COMMAS + 1) + b"0]",
}


@pytest.mark.parametrize("kind", BAD)
def test_refused_in_a_sentence(kind: str) -> None:
    with pytest.raises(NotReadable) as refused:
        read_json(BAD[kind])
    assert str(refused.value).endswith(".") and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "b": [true, null, -0.5, 1e10], "c": {"a": "ä\u2028🔑"}}',
        r'"\ud83d\udd11 and a backslash \\u0000"',
        "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1),
        json.dumps([{"a": [1]}] * 1000),
        "18446744073709551615",
    ],
)
def test_all_else_is_read(text: str) -> None:
    assert read_json(text.encode()) == json.loads(text)
