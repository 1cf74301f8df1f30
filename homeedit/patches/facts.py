"""The facts inside a patch: what it taught, in words that a person is shown before it is applied."""

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from homeedit.errors import HomeEditError

MOST_FACTS = 20_000
MOST_CHARACTERS = 2_000
"""Longest sentence, subject, prompt, target or question of a fact in a patch."""
MOST_QUESTIONS = 64

_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")
# Characters that turn the direction of the text around them can make a sentence look like another one.
_DIRECTION = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f]")


@dataclass(frozen=True, slots=True)
class PatchFact:
    """A fact as its patch carries it. ``id`` is the ledger's in the home that compiled it."""

    id: str
    sentence: str
    subject: str
    prompt: str
    target: str
    questions: tuple[str, ...]
    relation: str = ""


class FactLike(Protocol):
    """What a patch needs of a fact; ``homeedit.facts.fact.Fact`` and ``PatchFact`` both have it."""

    @property
    def id(self) -> str: ...
    @property
    def sentence(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def prompt(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def questions(self) -> tuple[str, ...]: ...
    @property
    def relation(self) -> str: ...


def from_fact(fact: FactLike) -> PatchFact:
    """The part of a ledger's fact that goes into a patch."""
    return PatchFact(
        fact.id, fact.sentence, fact.subject, fact.prompt, fact.target, tuple(fact.questions), fact.relation
    )


def holds(held: Sequence[PatchFact], fact: FactLike) -> bool:
    """Whether the facts of a patch include this one with these very words."""
    words = (fact.id, fact.sentence, fact.prompt, fact.target)
    return any((each.id, each.sentence, each.prompt, each.target) == words for each in held)


def dump_facts(facts: Sequence[PatchFact]) -> str:
    """Facts as the JSON of the patch's metadata, in their order."""
    return json.dumps([asdict(fact) for fact in facts], ensure_ascii=False, separators=(",", ":"))


def content(facts: Sequence[PatchFact]) -> str:
    """What of the facts goes into a patch's id: all but the ids, which another home gives anew."""
    return dump_facts([PatchFact("", *_texts(fact), fact.questions, fact.relation) for fact in facts])


def load_facts(text: str) -> tuple[PatchFact, ...]:
    """Facts from a patch's metadata; raises HomeEditError (message only) on the first thing that is wrong."""
    try:
        items = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise HomeEditError("its facts are not valid JSON") from error
    if not isinstance(items, list) or not 1 <= len(items) <= MOST_FACTS:
        raise HomeEditError(f"its facts are not a list of 1 to {MOST_FACTS}")
    facts = tuple(_load_fact(item, number) for number, item in enumerate(items, start=1))
    if len({fact.id for fact in facts}) != len(facts):
        raise HomeEditError("two of its facts have the same id")
    return facts


def _texts(fact: PatchFact) -> tuple[str, str, str, str]:
    return fact.sentence, fact.subject, fact.prompt, fact.target


def _load_fact(item: Any, number: int) -> PatchFact:
    if not isinstance(item, dict):
        raise HomeEditError(f"its fact {number} is not an object")
    known = {"id", "sentence", "subject", "prompt", "target", "questions", "relation"}
    missing = sorted(known - {"relation"} - set(item))
    if missing or set(item) - known:
        raise HomeEditError(f"its fact {number} does not have the fields {', '.join(sorted(known))}")
    questions = item["questions"]
    if not isinstance(questions, list) or not 1 <= len(questions) <= MOST_QUESTIONS:
        raise HomeEditError(f"the questions of its fact {number} are not a list of 1 to {MOST_QUESTIONS}")
    for name in ("sentence", "subject", "prompt", "target"):
        _check_text(item[name], f"the {name} of its fact {number}")
    for question in questions:
        _check_text(question, f"a question of its fact {number}")
    relation = item.get("relation", "")
    if relation != "":
        _check_text(relation, f"the relation of its fact {number}")
    if not isinstance(item["id"], str) or not _ID.fullmatch(item["id"]):
        raise HomeEditError(f"the id of its fact {number} is not a plain short name")
    if item["subject"].casefold() not in item["prompt"].casefold():
        raise HomeEditError(f"the prompt of its fact {number} does not contain its subject")
    return PatchFact(**{**item, "questions": tuple(questions), "relation": relation})


def _check_text(value: Any, what: str) -> None:
    if not isinstance(value, str) or not value.strip():
        raise HomeEditError(f"{what} is not a text")
    if len(value) > MOST_CHARACTERS:
        raise HomeEditError(f"{what} is longer than {MOST_CHARACTERS} characters")
    if _DIRECTION.search(value) or any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
        raise HomeEditError(f"{what} holds control characters")
