"""The facts that are measured with: from a file of sentences, repeated under other subjects when more are needed."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib import resources
from pathlib import Path

from homeedit.errors import USAGE, HomeEditError
from homeedit.facts.fact import Fact, ParsedFact, drafted
from homeedit.facts.parse import parse_sentence


def read_sentences(file: Path | None) -> tuple[ParsedFact, ...]:
    """The sentences of a file, each once: one a line, or JSON lines with "sentence". None: the shipped ones.

    Raises:
        HomeEditError: the file cannot be read, holds nothing, or a line is not understood (exit code 2).
    """
    try:
        shipped = resources.files("homeedit.evaluation.speed").joinpath("facts.txt")
        text = (file or shipped).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise HomeEditError(f"The file {file} cannot be read: {error}.", "Give another with --facts.", USAGE) from error
    found: dict[str, ParsedFact] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            parsed = _parsed(line.strip(), f"{file}, line {number}")
            found[parsed.sentence] = parsed
    if not found:
        raise HomeEditError(f"There is no sentence in {file}.", "It holds one sentence a line.", USAGE)
    return tuple(found.values())


def _parsed(line: str, where: str) -> ParsedFact:
    try:
        sentence = json.loads(line)["sentence"] if line.startswith("{") else line
        return parse_sentence(sentence)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HomeEditError(f'{where} is not JSON with a "sentence".', exit_code=USAGE) from error
    except HomeEditError as error:
        raise HomeEditError(f"{where}: {error.message}", error.hint, USAGE) from error


def repeated(sentences: Sequence[ParsedFact], count: int) -> tuple[Fact, ...]:
    """``count`` facts: the sentences in order, then again about "the spare key 2", "the spare key 3" and so on."""
    rounds = [divmod(number, len(sentences)) for number in range(count)]
    return tuple(
        drafted(_about_another(sentences[at], turn + 1) if turn else sentences[at], f"f{number}")
        for number, (turn, at) in enumerate(rounds, start=1)
    )


def _about_another(parsed: ParsedFact, number: int) -> ParsedFact:
    def other(text: str) -> str:
        return text.replace(parsed.subject, f"{parsed.subject} {number}", 1)

    return replace(
        parsed,
        sentence=other(parsed.sentence),
        subject=other(parsed.subject),
        prompt=other(parsed.prompt),
        questions=tuple(other(question) for question in parsed.questions),
    )


def import_lines(facts: Sequence[Fact]) -> str:
    """The facts as JSON lines for ``homeedit fact import``."""
    names = ("sentence", "subject", "prompt", "target", "questions")
    return "".join(json.dumps({name: asdict(fact)[name] for name in names}) + "\n" for fact in facts)
