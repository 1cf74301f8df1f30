"""What the lines of an import say: each a sentence or a JSON object, or all of them CSV under a header."""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from homeedit.errors import USAGE, HomeEditError
from homeedit.facts.fact import ParsedFact
from homeedit.facts.parse import parse_sentence
from homeedit.facts.tags import clean_tags

COLUMNS = ("sentence", "subject", "prompt", "target", "question", "questions", "tags")
"""Of CSV: ``question`` is one and may stand several times, ``questions`` has several with | between them."""
_DELIMITERS = (",", ";", "\t")
_TEXTS = ("subject", "prompt", "target")


@dataclass(frozen=True, slots=True)
class Entry:
    """One fact that a line says."""

    parsed: ParsedFact
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """A line's number (from 1), its text, and what it says or why it says nothing."""

    number: int
    text: str
    said: Entry | HomeEditError


def read_lines(lines: Sequence[str]) -> Iterator[Line]:
    """What each line that is not blank says, in order; never raises for what stands in them."""
    delimiter = _csv_delimiter(lines[0]) if lines else None
    if delimiter is not None:
        yield from _read_csv(lines, delimiter)
        return
    for number, text in enumerate(lines, start=1):
        if text.strip():
            yield Line(number, text.strip(), _understood(text))


def _understood(text: str) -> Entry | HomeEditError:
    try:
        return _from_json(text) if text.lstrip().startswith("{") else Entry(parse_sentence(text))
    except HomeEditError as error:
        return error


def _from_json(text: str) -> Entry:
    try:
        item = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise HomeEditError(f"It is not valid JSON: {error}.", exit_code=USAGE) from error
    allowed = {"sentence", "questions", "tags", *_TEXTS}
    if not isinstance(item, dict) or not isinstance(item.get("sentence"), str):
        raise HomeEditError('It has no "sentence".', exit_code=USAGE)
    if set(item) - allowed:
        unknown = ", ".join(sorted(set(item) - allowed))
        raise HomeEditError(f"It has unknown fields: {unknown}.", f"Allowed: {', '.join(sorted(allowed))}.", USAGE)
    texts = {name: item.get(name) for name in _TEXTS}
    questions, tags = item.get("questions") or [], item.get("tags") or []
    if not all(text is None or isinstance(text, str) for text in texts.values()) or not (
        _are_texts(questions) and _are_texts(tags)
    ):
        raise HomeEditError(
            "Subject, prompt and target must be texts, questions and tags lists of texts.", exit_code=USAGE
        )
    return Entry(parse_sentence(item["sentence"], **texts, questions=questions), clean_tags(tags))


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _columns(line: str, delimiter: str) -> list[str]:
    try:
        cells = next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []
    return [cell.strip().casefold() for cell in cells]


def _csv_delimiter(first: str) -> str | None:
    """What stands between the cells, if a first line is a header with a column for the sentence."""
    first = first.removeprefix("\ufeff")
    return next((each for each in _DELIMITERS if "sentence" in _columns(first, each)), None)


def _read_csv(lines: Sequence[str], delimiter: str) -> Iterator[Line]:
    columns = _columns(lines[0].removeprefix("\ufeff"), delimiter)
    unknown = sorted(set(columns) - set(COLUMNS))
    if unknown:
        # To leave a column out in silence would lose what somebody wrote there.
        message = f"It has columns that are not known: {', '.join(map(repr, unknown))}. No line was read."
        yield Line(1, lines[0].strip(), HomeEditError(message, f"Known: {', '.join(COLUMNS)}.", USAGE))
        return
    reader = csv.reader((f"{line}\n" for line in lines[1:]), delimiter=delimiter, strict=True)
    begins = 2
    while True:
        said: Entry | HomeEditError
        try:
            cells = next(reader)
            said = _from_cells(columns, cells) if any(cell.strip() for cell in cells) else _NOTHING
        except StopIteration:
            return
        except csv.Error as error:
            said = HomeEditError(f"It is not valid CSV: {error}.", 'A quote within quotes is written "".', USAGE)
        except HomeEditError as error:
            said = error
        if said is not _NOTHING:
            yield Line(begins, lines[begins - 1].strip(), said)
        # A cell may hold line breaks: a row begins behind all lines that were read.
        begins = reader.line_num + 2


_NOTHING = HomeEditError("The row is empty.")


def _from_cells(columns: Sequence[str], cells: Sequence[str]) -> Entry:
    if len(cells) > len(columns):
        raise HomeEditError(
            f"It has {len(cells)} cells under {len(columns)} columns.",
            'A text that holds the separator stands in quotes: "first, second".',
            USAGE,
        )
    texts: dict[str, str] = {}
    questions: list[str] = []
    tags: list[str] = []
    for column, cell in zip(columns, cells, strict=False):
        if column == "tags":
            tags += [tag for tag in re.split(r"[\s,;]+", cell) if tag]
        elif column in ("question", "questions"):
            pieces = [cell] if column == "question" else re.split(r"[|\n]", cell)
            questions += [piece.strip() for piece in pieces if piece.strip()]
        elif cell.strip():
            texts[column] = cell.strip()
    sentence = texts.pop("sentence", "")
    return Entry(parse_sentence(sentence, **texts, questions=questions), clean_tags(tags))
