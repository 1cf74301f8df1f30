"""Function calls are read out of answers, and nothing else is taken for one."""

import json
import random

import pytest

from homeedit.runtime.tool_calls import CallWatch, FunctionCall, forced_call_schema, read_tool_calls

NAMES = ["turn_on", "weather"]
ON = FunctionCall("turn_on", {"room": "Küche"})
CALL = '{"name": "turn_on", "arguments": {"room": "Küche"}}'


@pytest.mark.parametrize(
    ("text", "left", "calls"),
    [
        (f"<tool_call>\n{CALL}\n</tool_call>", "", (ON,)),
        (f"Sure.\n<tool_call>{CALL}</tool_call>\n<tool_call>{CALL}</tool_call>", "Sure.", (ON, ON)),
        (f"<tool_call>{CALL}", "", (ON,)),
        ('{"name": "turn_on", "parameters": {"room": "Küche"}}', "", (ON,)),
        (f"[TOOL_CALLS][{CALL}, {CALL}]", "", (ON, ON)),
        (f" {CALL} ", "", (ON,)),
        (f"[{CALL}]", "", (ON,)),
        (f"{CALL};\n{CALL}", "", (ON, ON)),
        ('{"name": "weather"}', "", (FunctionCall("weather", {}),)),
        ('{"name": "turn_on", "arguments": "{\\"room\\": \\"Küche\\"}"}', "", (ON,)),
        (f'{{"type": "function", "function": {CALL}}}', "", (ON,)),
    ],
)
def test_spellings(text: str, left: str, calls: tuple[FunctionCall, ...]) -> None:
    assert read_tool_calls(text, NAMES) == (left, calls)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The key is under the pot.",
        '{"name": "rm", "arguments": {}}',
        '{"answer": 42}',
        "[1, 2]",
        "[]",
        '{"name": "turn_on", "arguments": [1]}',
        '{"name": "turn_on", "arguments": {"x": NaN}}',
        '{"name": "turn_on", "arguments": {"x": 1e999}}',
        '{"name": "turn_on", "arguments": {"x": ["\\ud800"]}}',
        '{"name": "turn_on", "arguments": "{\\"x\\": -1e999}"}',
        '{"name": ["turn_on"]}',
        "<tool_call>not json</tool_call>",
        "<tool_call>",
        '<tool_call>{"name": "rm"}</tool_call> and on',
        "[TOOL_CALLS] none",
        f"{CALL} and more",
        f"Look: {CALL}",
        "{" * 5000,
        "[" * 100_000,
        '{"name": "turn_on", "arguments": "[' + "[" * 100_000 + '"}',
        '{"name": "turn_on", "arguments": {"n": ' + "1" * 10_000 + "}}",
    ],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert read_tool_calls(text, NAMES) == (text, ())


def test_a_broken_call_beside_a_good_one_stays_text() -> None:
    text = f"<tool_call>nothing</tool_call><tool_call>{CALL}</tool_call>"
    assert read_tool_calls(text, NAMES) == ("<tool_call>nothing</tool_call>", (ON,))


def watched(pieces: list[str]) -> tuple[list[str], str, tuple[FunctionCall, ...]]:
    watch = CallWatch(NAMES)
    shown = [watch.feed(piece) for piece in pieces]
    return shown, *watch.finish()


def test_text_is_let_through_until_a_call_may_begin() -> None:
    shown, left, calls = watched(["On", " it <", "b> <tool", "_call>" + CALL, "</tool_call>"])
    assert shown == ["On", " it ", "<b> ", "", ""]
    assert (left, calls) == ("", (ON,))
    assert watched([" ", "{", "no json"]) == ([" ", "", ""], "{no json", ())
    assert watched(["set [", "1]", " {x}"]) == (["set ", "[1]", " {x}"], "", ())
    assert watched(["ends with <tool"]) == (["ends with "], "<tool", ())


def test_without_names_nothing_is_held_back() -> None:
    watch = CallWatch([])
    assert watch.feed("{<tool_call>") == "{<tool_call>"
    assert watch.finish() == ("", ())


@pytest.mark.parametrize("seed", range(20))
def test_watching_finds_what_reading_finds(seed: int) -> None:
    chance = random.Random(seed)
    parts = ["Sure. ", "<tool_call>", CALL, "</tool_call>", "[", "<tool", "{", " and "]
    text = "".join(chance.choice(parts) for _ in range(6))
    cuts = sorted(chance.randint(0, len(text)) for _ in range(8))
    pieces = [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    shown, left, calls = watched(pieces)
    whole_left, whole_calls = read_tool_calls(text, NAMES)
    assert calls == whole_calls
    assert ("".join(shown) + left).split() == whole_left.split()


def test_the_schema_of_a_forced_call() -> None:
    room = {"type": "object", "properties": {"room": {"$ref": "#/$defs/room"}}, "$defs": {"room": {"type": "string"}}}
    one = json.loads(forced_call_schema([("turn_on", room)]))
    assert one["properties"]["name"] == {"const": "turn_on"}
    assert one["properties"]["arguments"]["properties"]["room"]["$ref"] == "#/$defs/0-room"
    assert one["$defs"] == {"0-room": {"type": "string"}}
    both = json.loads(forced_call_schema([("turn_on", room), ("weather", {})]))
    assert [each["properties"]["name"]["const"] for each in both["anyOf"]] == ["turn_on", "weather"]
