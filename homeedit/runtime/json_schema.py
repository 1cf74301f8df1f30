"""A JSON schema as a grammar, by the converter that comes with llama.cpp's Python package."""

import json
import re
from functools import lru_cache
from typing import Any

from homeedit.errors import HomeEditError
from homeedit.runtime.gbnf import refuse_grammar

_MOST_PARTS, _DEEPEST, _MOST_TIMES = 5000, 60, 2000
"""What the converter can write down without taking minutes or all memory."""

_COUNTS = ("minItems", "maxItems", "minLength", "maxLength")


@lru_cache(maxsize=32)
def schema_to_gbnf(schema: str) -> str:
    """The grammar of the JSON texts that follow ``schema`` (JSON text). Nothing is fetched.

    Raises:
        HomeEditError: with exit code USAGE, when it is not a JSON schema, too large, or uses what cannot be followed.
    """
    try:
        parsed = json.loads(schema)
        _check(parsed)
        if "$ref" in parsed:
            # The converter does not look for definitions beside a reference at the top.
            parsed["anyOf"] = [{"$ref": parsed.pop("$ref")}]
        converter = _converter()
        converter.visit(converter.resolve_refs(parsed, "schema"), "")
        return str(converter.format_grammar())
    except HomeEditError:
        raise
    # The converter has no errors of its own: what it does not expect ends in whatever Python says to it.
    except Exception as error:
        why = str(error) if isinstance(error, AssertionError) else "a part of it is not understood"
        refuse_grammar(f"the JSON schema cannot be turned into one ({why[:200]})")


def _converter() -> Any:
    from llama_cpp.llama_grammar import SchemaConverter

    converter = SchemaConverter(prop_order={}, allow_fetch=False, dotall=False, raw_pattern=False)
    converter._format_literal = _literal
    return converter


def _literal(constant: str) -> str:
    """A constant or name (JSON text) as the grammar has to spell it. The converter's own way forgets backslashes, and
    with them the quotation marks within, which would end the literal."""
    text = json.dumps(json.loads(constant), ensure_ascii=False)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _check(schema: Any) -> None:
    """Refuse what would keep the converter busy for long."""
    if not isinstance(schema, dict):
        refuse_grammar("a JSON schema is an object")
    parts, work = 0, [(schema, 0)]
    while work:
        value, depth = work.pop()
        parts += 1
        if parts > _MOST_PARTS or depth > _DEEPEST:
            refuse_grammar("the JSON schema is too large")
        if isinstance(value, dict):
            for name in _COUNTS:
                if isinstance(value.get(name), int) and not 0 <= value[name] <= _MOST_TIMES:
                    refuse_grammar(f"{name} can be from 0 to {_MOST_TIMES}")
            pattern = value.get("pattern")
            if isinstance(pattern, str) and re.search(r"\{[^{}]*\d{3}", pattern):
                refuse_grammar("a pattern of the JSON schema repeats something more than 99 times")
            work += [(each, depth + 1) for each in value.values()]
        elif isinstance(value, list):
            work += [(each, depth + 1) for each in value]
