"""Grammars: what they allow is what they say, and no grammar harms the process."""

import json
import random
import time

import numpy as np
import pytest

from homeedit.errors import USAGE, HomeEditError
from homeedit.runtime.grammar import Grammar, TokenFilter
from homeedit.runtime.json_schema import schema_to_gbnf
from homeedit.runtime.tool_calls import forced_call_schema


def follows(gbnf: str, text: str | bytes) -> bool:
    """Whether the whole text follows the grammar, taken in bytes one by one."""
    grammar = Grammar(gbnf)
    for byte in text.encode() if isinstance(text, str) else text:
        data = bytes([byte])
        if not grammar.allows(data):
            return False
        grammar.accept(data)
    return grammar.may_end


@pytest.mark.parametrize(
    ("gbnf", "good", "bad"),
    [
        ('root ::= "yes" | "no"', ["yes", "no"], ["", "y", "yesno", "maybe"]),
        ('root ::= [a-c]+ "-"? [^0-9]', ["abc-x", "cx", "abb"], ["x", "a-1", "abc-xy"]),
        ('root ::= "a"{2,3} b{2} c{1,}\nb ::= "b" # two\nc ::= "c"', ["aabbc", "aaabbccc"], ["abbc", "aabc", "aabb"]),
        ('root ::= ("ab" | "c"){0} "x" ("y")*', ["x", "xyy"], ["abx", "cx"]),
        ('root ::= ("x" ("y" "z"){1,2})*', ["", "xyz", "xyzyzxyz"], ["xy", "xyzyzyz"]),
        ('root ::= "(" root ")" | "."', [".", "((.))"], ["(.", "()"]),
        ('root ::= root "+" n | n\nn ::= [0-9]+', ["1", "1+22+3"], ["+1", "1+"]),
        ('root ::= e root "a" | "b"\ne ::= ""', ["b", "baa"], ["a", "ab"]),
        ('root ::= a\na ::= b a "x" | "q"\nb ::= "z"?', ["q", "zqx", "qxx"], ["z", "zq"]),
        ('root ::= "a" |\n  "b"', ["a", "b"], ["ab"]),
        ('root ::= (\n "a"\n "b"\n)\n\n', ["ab"], ["a"]),
        (r'root ::= "\x41\u00e4\U0001F600\n\"\\" [\]\-^]', ['Aä😀\n"\\]', 'Aä😀\n"\\-', 'Aä😀\n"\\^'], ["A"]),
        ("root ::= .", ["x", "日", "😀"], ["", "xy"]),
        ("root ::= [à-ÿ]+", ["äöü"], ["a", "日", b"\xc3", b"\xc3\xc3", b"\xff"]),
        ("root ::= [^a]", ["b", "日"], ["a"]),
        ('root ::= "a"? "a"? "a"? [ab]', ["a", "aaab", "b"], ["", "aaaaa"]),
    ],
)
def test_what_grammars_say(gbnf: str, good: list[str], bad: list[str | bytes]) -> None:
    assert [text for text in good if not follows(gbnf, text)] == []
    assert [text for text in bad if follows(gbnf, text)] == []


def test_a_grammar_knows_when_it_must_end() -> None:
    grammar = Grammar('root ::= "ab" "c"?')
    assert not grammar.may_end and not grammar.must_end
    assert grammar.allows(b"abc") and grammar.allows(b"a") and not grammar.allows(b"") and not grammar.allows(b"abd")
    grammar.accept(b"ab")
    assert grammar.may_end and not grammar.must_end
    grammar.accept(b"c")
    assert grammar.may_end and grammar.must_end
    with pytest.raises(ValueError):
        grammar.accept(b"d")


def test_tokens_are_filtered_by_their_first_bytes() -> None:
    vocabulary = [b"a", b"bc", b"", "ä".encode(), b"\xc3", b"<end>", b"z"]
    fits = TokenFilter(len(vocabulary), vocabulary.__getitem__, lambda token: token == 5)
    grammar = Grammar("root ::= [a-bä]*")
    assert fits(grammar).tolist() == [True, True, False, True, True, True, False]
    grammar.accept(b"\xc3")
    assert not fits(grammar)[[0, 1, 2, 5, 6]].any()
    assert fits(Grammar('root ::= "z"')).tolist() == [False] * 6 + [True]


NASTY = {
    "blank": "  \n# nothing\n",
    "undefined rule": "root ::= nothing",
    "no root": 'a ::= "b"',
    "no name": '::= "a"',
    "twice": 'root ::= "a"\nroot ::= "b"',
    "backwards repetition": 'root ::= "a"{5,2}',
    "huge repetition": 'root ::= "a"{999999}',
    "huger repetition": 'root ::= "a"{99999999999999999999}',
    "multiplied repetition": 'root ::= (("a"{100}){100}){100}',
    "repeated nothing": "root ::= *",
    "open": 'root ::= ("a"',
    "closed": 'root ::= "a")',
    "open text": 'root ::= "abc',
    "open set": "root ::= [a-",
    "backwards set": "root ::= [z-a]",
    "bad escape": r'root ::= "\q"',
    "beyond Unicode": r'root ::= "\U00110000"',
    "token": "root ::= <think>",
    "control": "root ::= \x00",
    "many": 'root ::= "' + "a" * 101_000 + '"',
    "open deep": "root ::= " + "(" * 60_000,
}


@pytest.mark.parametrize("gbnf", NASTY.values(), ids=NASTY.keys())
def test_broken_grammars_are_refused(gbnf: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(HomeEditError, match="grammar cannot be used") as refused:
        Grammar(gbnf)
    assert refused.value.exit_code == USAGE and refused.value.hint
    assert capfd.readouterr() == ("", "")


def test_large_but_sane_grammars_are_followed() -> None:
    assert follows("root ::= " + "(" * 10_000 + '"a"' + ")" * 10_000, "a")
    chain = "\n".join(f"r{n} ::= r{n + 1}" for n in range(5000))
    assert follows(f'root ::= r0\n{chain}\nr5000 ::= "a"', "a")
    assert follows("root ::= " + '"a"? ' * 3000, "aaa")
    assert follows('root ::= "a"{1000}', "a" * 1000)


@pytest.mark.parametrize(
    "gbnf",
    [
        'root ::= "x" root "a" | "x" root "b" | "x" root "c" | "y"',
        'root ::= ("x"* "x"*)* "y"',
        'root ::= root root | "x" | ""',
        'root ::= "x" w root "a" | "x" w root "b" | "q"\nw ::= "x"*',
    ],
)
def test_ambiguous_grammars_take_no_time(gbnf: str) -> None:
    """Each can be read in exponentially many ways; llama.cpp's matcher keeps them all."""
    started = time.process_time()
    grammar = Grammar(gbnf)
    for _ in range(60):
        grammar.accept(b"x")
    assert time.process_time() - started < 5


def test_one_that_forks_too_much_is_refused_in_time() -> None:
    alternatives = " | ".join(f"[x-z] r{n}?" for n in range(1000))
    rules = "\n".join(f"r{n} ::= root root" for n in range(1000))
    started = time.process_time()
    with pytest.raises(HomeEditError, match="too ambiguous"):
        grammar = Grammar(f"root ::= {alternatives}\n{rules}")
        for _ in range(200):
            grammar.accept(b"x")
    assert time.process_time() - started < 30


LIGHT = {
    "type": "object",
    "properties": {
        "room": {"type": "string", "enum": ["Küche", 'the "den"', "a\\b", "two\nlines"]},
        "on": {"type": "boolean"},
        "level": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
    },
    "required": ["room", "on"],
}

TREE = {
    "$ref": "#/$defs/tree",
    "$defs": {
        "tree": {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}},
    },
}


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        (
            LIGHT,
            [
                {"room": "Küche", "on": True},
                {"room": 'the "den"', "on": False, "level": -12},
                {"room": "a\\b", "on": True, "level": 3, "tags": ["x", "日本"]},
                {"room": "two\nlines", "on": True, "tags": []},
            ],
            [
                {"room": "den", "on": True},
                {"on": True},
                {"room": "Küche", "on": 1},
                {"room": "Küche", "on": True, "x": 1},
            ],
        ),
        ({}, [{"a": [1, 2.5, None, {"b": "c"}]}, {}], [[], "x", 1]),
        ({"type": ["string", "null"]}, ["x", None], [1, {}]),
        ({"anyOf": [{"const": 1}, {"type": "array", "items": {"type": "number"}}]}, [1, [], [1.5, 2]], [2, ["x"]]),
        (
            TREE,
            [{}, {"kids": [{"kids": []}, {}]}],
            [{"kids": [1]}],
        ),
        ({"type": "string", "pattern": "^[a-c]{2,3}$"}, ["ab", "abc"], ["a", "abcd", "xy"]),
        ({"type": "string", "pattern": "^id-2024-[0-9]{4}$"}, ["id-2024-0815"], ["id-2024-1"]),
        ({"type": "string", "minLength": 1, "maxLength": 1000}, ["x" * 1000], ["", "x" * 1001]),
        ({"type": "string", "format": "date"}, ["2024-02-29"], ["yesterday"]),
    ],
)
def test_json_schemas(schema: object, good: list[object], bad: list[object]) -> None:
    gbnf = schema_to_gbnf(json.dumps(schema))
    assert [each for each in good if not follows(gbnf, json.dumps(each, ensure_ascii=False))] == []
    assert [each for each in bad if follows(gbnf, json.dumps(each, ensure_ascii=False))] == []


def nested(depth: int) -> str:
    return '{"type": "array", "items": ' * depth + "{}" + "}" * depth


@pytest.mark.parametrize(
    "schema",
    [
        "",
        "not json",
        "[]",
        "true",
        '{"type": "nothing"}',
        '{"type": 7}',
        '{"type": "object", "properties": 7}',
        '{"type": "object", "properties": {"a": true}}',
        '{"enum": 5}',
        '{"not": {"type": "string"}}',
        '{"$ref": "https://example.org/schema.json"}',
        '{"$ref": "file:///etc/passwd"}',
        '{"$ref": "#/$defs/nothing"}',
        '{"$ref": 5}',
        '{"type": "string", "pattern": "(?=a)b"}',
        '{"type": "string", "pattern": "^(a{100}){999999}$"}',
        '{"type": "string", "pattern": "^+$"}',
        json.dumps({"type": "string", "pattern": "{" * 99_000}),
        '{"type": "string", "maxLength": 1000000000}',
        '{"type": "array", "items": {}, "minItems": 1000000000}',
        '{"type": "array", "items": {}, "minItems": -1}',
        nested(5000),
        nested(100_000),
        json.dumps({"type": "object", "properties": {f"p{n}": {} for n in range(100_000)}}),
        json.dumps({"type": "object", "properties": {f"p{n}": {} for n in range(2400)}}),
    ],
)
def test_schemas_that_cannot_be_followed_are_refused(schema: str, capfd: pytest.CaptureFixture[str]) -> None:
    started = time.process_time()
    with pytest.raises(HomeEditError) as refused:
        Grammar(schema_to_gbnf(schema))
    assert refused.value.exit_code == USAGE
    assert capfd.readouterr() == ("", "")
    assert time.process_time() - started < 10


def test_a_constant_cannot_smuggle_rules_into_the_grammar() -> None:
    gbnf = schema_to_gbnf(json.dumps({"const": 'x"\nroot ::= "free'}))
    assert follows(gbnf, json.dumps('x"\nroot ::= "free')) and not follows(gbnf, "free")


def test_a_forced_call_is_one_of_the_tools() -> None:
    room = {
        "type": "object",
        "properties": {"room": {"$ref": "#/$defs/room"}},
        "required": ["room"],
        "$defs": {"room": {"enum": ["hall", "den"]}},
    }  # noqa: E501
    gbnf = schema_to_gbnf(forced_call_schema([("turn_on", room), ("weather", {})]))
    assert follows(gbnf, '{"name": "turn_on", "arguments": {"room": "den"}}')
    assert follows(gbnf, '{"name": "weather", "arguments": {}}')
    assert not follows(gbnf, '{"name": "turn_on", "arguments": {"room": "attic"}}')
    assert not follows(gbnf, '{"name": "weather", "arguments": {"room": "den"}}')
    assert not follows(gbnf, "Sure!")


def test_the_filter_is_never_narrower_than_the_grammar() -> None:
    vocabulary = [bytes([byte]) for byte in range(256)]
    fits = TokenFilter(256, vocabulary.__getitem__, lambda token: False)
    grammar = Grammar("root ::= [a-dzé-日😀]*")
    for data in (b"", b"a", b"\xf0", b"\x9f\x98", b"\x80", b"\xe6\x97"):
        if data:
            grammar.accept(data)
        allowed = np.array([grammar.allows(each) for each in vocabulary])
        assert allowed.any() and not (allowed & ~fits(grammar)).any()


@pytest.mark.parametrize("seed", range(10))
def test_anything_is_a_grammar_or_refused(seed: int) -> None:
    chance = random.Random(seed)
    parts = ["root ::= ", "a ::= ", "\n", '"x"', '"', "[a-c]", "[^", "]", "(", ")", "|", "*", "+", "?", "{0}", "{2,}"]
    parts += ["{1,3}", "{3,1}", ".", "a", "root", "::=", "#c\n", "\\", " ", "\r\n", '"\\x41"', "é", "\x00"]
    for _ in range(300):
        text = "root ::= " + "".join(chance.choice(parts) for _ in range(chance.randint(1, 14)))
        try:
            grammar = Grammar(text)
            for letter in (b"x", b"a", b"A", b"x"):
                if grammar.allows(letter):
                    grammar.accept(letter)
        except HomeEditError as error:
            assert error.exit_code == USAGE


@pytest.mark.parametrize("seed", range(5))
def test_anything_is_a_schema_or_refused(seed: int) -> None:
    chance = random.Random(seed)
    keys = ["type", "properties", "items", "anyOf", "oneOf", "allOf", "enum", "const", "required", "pattern", "format"]
    keys += ["minLength", "maxItems", "$ref", "$defs", "additionalProperties", "prefixItems", "x", "string"]
    plain = ["object", "string", "array", "#/$defs/x", "#", "date", "^a+$", "a", 1, -1, 2.5, None, True, False, "\x00"]

    def anything(depth: int) -> object:
        kind = chance.random()
        if depth == 0 or kind < 0.3:
            return chance.choice(plain)
        if kind < 0.45:
            return [anything(depth - 1) for _ in range(chance.randint(0, 3))]
        return {chance.choice(keys): anything(depth - 1) for _ in range(chance.randint(0, 4))}

    for _ in range(200):
        try:
            Grammar(schema_to_gbnf(json.dumps({chance.choice(keys): anything(3), "type": chance.choice(plain)})))
        except HomeEditError as error:
            assert error.exit_code == USAGE
