"""A sentence as it is being typed, and what the household makes of it."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypedDict

from homeedit.errors import HomeEditError
from homeedit.facts.fact import Fact, ParsedFact
from homeedit.household import Household
from homeedit.household.results import Conflicts


class Explicit(TypedDict, total=False):
    """What was spelled out instead of guessed."""

    subject: str
    prompt: str
    target: str
    questions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Typed:
    """A sentence with what was spelled out for it; None and () leave it to the rules."""

    sentence: str
    subject: str | None = None
    prompt: str | None = None
    target: str | None = None
    questions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Understood:
    """What the rules make of ``typed``: a fact, or an error in words; and what stands against it."""

    typed: Typed
    parsed: ParsedFact | None = None
    error: HomeEditError | None = None
    duplicate: Fact | None = None
    contradicted: tuple[Fact, ...] = ()


def typed_with(sentence: str, explicit: Explicit) -> Typed:
    """A sentence and what was spelled out."""
    return Typed(sentence, **explicit)


def as_edited(fact: Fact, sentence: str, explicit: Explicit) -> Typed:
    """What editing a fact would make: with the old sentence, what was not touched stays as it was."""
    if sentence != fact.sentence:
        return typed_with(sentence, explicit)
    return Typed(
        sentence,
        subject=explicit.get("subject") or (None if "prompt" in explicit else fact.subject),
        prompt=explicit.get("prompt") or (None if "target" in explicit else fact.prompt),
        target=explicit.get("target") or (None if "prompt" in explicit else fact.target),
        questions=explicit.get("questions", fact.questions),
    )


def understand(household: Household, typed: Typed, ignore: Sequence[str] = ()) -> Understood:
    """Parse, and look for what is known already. Stores nothing and raises nothing."""
    try:
        parsed = household.preview(
            typed.sentence,
            subject=typed.subject,
            prompt=typed.prompt,
            target=typed.target,
            questions=typed.questions,
        )
    except HomeEditError as error:
        return Understood(typed, error=error)
    found = Conflicts(None, ())
    with suppress(HomeEditError):  # no home yet: nothing is known that could stand against it
        found = household.conflicts(parsed, ignore=ignore)
    return Understood(typed, parsed, None, found.duplicate, found.contradicted)
