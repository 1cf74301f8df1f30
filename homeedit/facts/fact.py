"""A fact: one sentence the household wants known, spelled out for the editor."""

from dataclasses import dataclass
from typing import Literal

State = Literal["draft", "compiled", "live", "failed"]


@dataclass(frozen=True, slots=True)
class ParsedFact:
    """What the rules understood of one sentence.

    ``prompt`` is the statement up to the answer and contains ``subject``; ``target`` is the answer
    that completes it, so that ``prompt + " " + target + "."`` says the fact.
    ``relation`` names the rule (``place``, ``code``, ``name``, ...), from which the questions come.
    """

    sentence: str
    subject: str
    prompt: str
    target: str
    questions: tuple[str, ...]
    relation: str


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact as the ledger knows it. ``id`` is ``f<number>``; ``patch`` the patch that holds it."""

    id: str
    sentence: str
    subject: str
    prompt: str
    target: str
    questions: tuple[str, ...]
    relation: str
    enabled: bool
    state: State
    patch: str | None
    revision: int
    created: str
    changed: str
    tags: tuple[str, ...] = ()
    """Words of the household to find it by; no part of what is taught."""


def drafted(parsed: ParsedFact, identity: str, created: str = "", tags: tuple[str, ...] = ()) -> Fact:
    """A new fact of these words: enabled, in its first revision, in no patch."""
    return Fact(
        id=identity,
        sentence=parsed.sentence,
        subject=parsed.subject,
        prompt=parsed.prompt,
        target=parsed.target,
        questions=parsed.questions,
        relation=parsed.relation,
        enabled=True,
        state="draft",
        patch=None,
        revision=1,
        created=created,
        changed=created,
        tags=tags,
    )
