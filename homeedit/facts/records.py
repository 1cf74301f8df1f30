"""What the ledger keeps, as plain values, and how they come from and go to its rows."""

import json
import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from homeedit.errors import USAGE, HomeEditError
from homeedit.facts.fact import Fact, ParsedFact, State
from homeedit.facts.words import PREPOSITIONS

_SINGLE_VALUED = frozenset(
    "place code name name_of role phone_of setting live price dimension age colour identity belongs"
    " frequency unit".split()
)
"""Relations that hold for one answer at a time: another answer for the same subject contradicts."""
_MANY_VALUED = frozenset("allergy taste dislike forbidden learn purpose contents".split())
"""Relations that hold for several answers at once: "Noah is allergic to nuts" beside "… to eggs"."""


@dataclass(frozen=True, slots=True)
class Result:
    """One question asked of a build: ``position`` 0 is the fact's first question."""

    fact_id: str
    revision: int
    position: int
    question: str
    answer: str
    right: bool


@dataclass(frozen=True, slots=True)
class BuildRecord:
    """What the ledger keeps of one build: patches and facts by id, locality figures, seconds per stage."""

    base: str
    number: int
    patches: tuple[str, ...]
    facts: tuple[str, ...]
    forced: bool = False
    locality: Mapping[str, float] | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    created: str = ""


@dataclass(frozen=True, slots=True)
class Revision:
    """One wording of a fact, as it was typed at ``created``."""

    number: int
    parsed: ParsedFact
    created: str


def parse_fact_id(text: str) -> int:
    """The number in ``f3`` or ``3``; raises ``HomeEditError`` (exit code 2) for anything else."""
    match = re.fullmatch(r"\s*[fF]?([1-9][0-9]{0,17})\s*", text, re.ASCII)
    if not match:
        raise HomeEditError(f'"{text}" is not the id of a fact.', "Ids look like f3: see homeedit fact list", USAGE)
    return int(match[1])


def plain_sentence(sentence: str) -> str:
    """A sentence as duplicates are compared: case, white space and final punctuation do not count."""
    return " ".join(sentence.casefold().split()).rstrip(".!… ")


def timestamp() -> str:
    """Now, in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def no_such_fact(fact_id: str) -> HomeEditError:
    """The error for an id that nothing has."""
    return HomeEditError(f"There is no fact {fact_id}.", "See homeedit fact list", USAGE)


def purged(fact_id: str) -> HomeEditError:
    """The error for a fact of which no trace is left."""
    return HomeEditError(
        f"{fact_id} was purged; it cannot be put back.", "Add its sentence again, if it shall be known.", USAGE
    )


def written(parsed: ParsedFact) -> tuple[str, ...]:
    """The columns of a wording, in the order of the table."""
    questions = json.dumps(parsed.questions, ensure_ascii=False)
    return parsed.sentence, parsed.subject, parsed.prompt, parsed.target, questions, parsed.relation


def spelled(parsed: ParsedFact | Fact) -> dict[str, Any]:
    """The fields that a wording and a fact share."""
    return {
        name: getattr(parsed, name) for name in ("sentence", "subject", "prompt", "target", "questions", "relation")
    }


def parsed_of(row: sqlite3.Row) -> ParsedFact:
    """The wording in a row."""
    return ParsedFact(
        row["sentence"],
        row["subject"],
        row["prompt"],
        row["target"],
        tuple(json.loads(row["questions"])),
        row["relation"],
    )


def fact_of(row: sqlite3.Row) -> Fact:
    """The fact in a row of the list, its state derived."""
    return Fact(
        id=f"f{row['id']}",
        enabled=bool(row["enabled"]),
        state=state_of(row),
        patch=row["patch"],
        revision=row["revision"],
        created=row["created"],
        changed=row["changed"],
        tags=tuple(json.loads(row["tags"])),
        **spelled(parsed_of(row)),
    )


def state_of(row: sqlite3.Row) -> State:
    """Derived, never stored: from the refusal, the patch, and the first answer of the active build."""
    if row["refused"] is not None:
        return "failed"
    if row["patch"] is None:
        return "draft"
    if row["recalled"] is None:
        return "compiled"
    return "live" if row["recalled"] else "failed"


def _stem(prompt: str) -> str:
    """A prompt without its last preposition: "comes on Mondays" and "comes every Friday" disagree."""
    words = prompt.casefold().split()
    return " ".join(words[:-1] if len(words) > 2 and words[-1] in PREPOSITIONS else words)


def same_matter(fact: Fact, parsed: ParsedFact) -> bool:
    """Whether two facts answer the same question, so that different targets contradict."""
    if parsed.relation in _MANY_VALUED:
        return False
    if _stem(fact.prompt) == _stem(parsed.prompt):
        return True
    same_subject = fact.subject.casefold() == parsed.subject.casefold()
    return same_subject and fact.relation == parsed.relation and parsed.relation in _SINGLE_VALUED
