"""Many sentences at once: judged, looked over by a person, and only then stored."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from homeedit.errors import HomeEditError
from homeedit.facts.fact import Fact
from homeedit.household import Household
from homeedit.household.results import BadLine
from homeedit.progress import Progress

Kind = Literal["new", "conflict", "problem"]
Decision = Literal["leave", "take", "replace", "keep"]
_LARGEST_FILE = 20_000_000


@dataclass
class ReviewedLine:
    """One line: what it is, and what is to be done with it.

    ``line`` is None where the lines of a file are no lines of sentences. ``replaces`` is the id of the fact that it
    could replace. A line that says otherwise than a known fact is left out until a person chooses.
    """

    line: int | None
    text: str
    kind: Kind
    fact: Fact | None = None
    reason: str = ""
    replaces: str = ""
    decision: Decision = "leave"

    @property
    def stored(self) -> bool:
        """Whether it will be stored."""
        return self.decision != "leave"


@dataclass(frozen=True, slots=True)
class Stored:
    """What came of it: facts added, facts changed as they were before, lines refused after all."""

    added: tuple[Fact, ...]
    before: tuple[Fact, ...]
    problems: tuple[BadLine, ...]


def read_lines(path: Path) -> list[str]:
    """The lines of a text file. Raises HomeEditError when it cannot be read."""
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise HomeEditError(f"{path} is too large for a list of sentences.", "Nothing was read.")
        text = path.read_bytes().decode("utf-8-sig", errors="replace")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise HomeEditError(f"{path} cannot be read: {reason}.", "Check the name of the file.") from error
    return [line.removesuffix("\r") for line in text.split("\n")]


def judge(household: Household, lines: Sequence[str]) -> list[ReviewedLine]:
    """What would become of each line; stores nothing. In the order of the lines, as far as that can be told."""
    strict = household.import_facts(lines, dry_run=True)
    loose = household.import_facts(lines, dry_run=True, on_conflict="keep")
    replacing = household.import_facts(lines, dry_run=True, on_conflict="replace")
    accepted = {fact.sentence for fact in strict.facts}
    targets = {fact.sentence: fact.id for fact in replacing.facts if fact.id != "new"}
    hopeless = {problem.line for problem in loose.problems}
    against = [problem for problem in strict.problems if problem.line not in hopeless]
    contradicting = [fact for fact in loose.facts if fact.sentence not in accepted]
    reviewed = [ReviewedLine(each.line, each.text, "problem", reason=_reason(each)) for each in loose.problems]
    reviewed += [
        ReviewedLine(each.line, fact.sentence, "conflict", fact, each.message, targets.get(fact.sentence, ""))
        for each, fact in zip(against, contradicting, strict=True)
    ]
    numbers = _free_lines(lines, {problem.line for problem in strict.problems}, len(strict.facts))
    reviewed += [
        ReviewedLine(number, fact.sentence, "new", fact, decision="take")
        for number, fact in zip(numbers, strict.facts, strict=True)
    ]
    return sorted(reviewed, key=lambda each: (each.line is None, each.line or 0))


def _reason(problem: BadLine) -> str:
    return f"{problem.message} {problem.hint}".strip()


def _free_lines(lines: Sequence[str], taken: set[int], count: int) -> Sequence[int | None]:
    """The numbers of the good lines: those that are neither empty nor a problem, perhaps below a header."""
    free = [number for number, line in enumerate(lines, start=1) if line.strip() and number not in taken]
    return free[-count:] if count and len(free) in (count, count + 1) else [None] * count


def store(household: Household, reviewed: Sequence[ReviewedLine], progress: Progress) -> Stored:
    """Store the lines that were chosen, as they were chosen."""
    replaced = [each.replaces for each in reviewed if each.decision == "replace"]
    before = tuple(household.fact(fact_id) for fact_id in dict.fromkeys(replaced))
    added: list[Fact] = []
    problems: list[BadLine] = []
    for decision, on_conflict in (("take", "refuse"), ("replace", "replace"), ("keep", "keep")):
        lines = [_spelled(each.fact) for each in reviewed if each.decision == decision and each.fact]
        if lines:
            done = household.import_facts(lines, on_conflict=on_conflict, progress=progress)  # type: ignore[arg-type]
            added += [fact for fact in done.facts if fact.id not in replaced]
            problems += done.problems
    return Stored(tuple(added), before, tuple(problems))


def _spelled(fact: Fact) -> str:
    """A fact as a line of JSON, exactly as it was reviewed."""
    spelled: dict[str, Any] = {
        "sentence": fact.sentence,
        "subject": fact.subject,
        "prompt": fact.prompt,
        "target": fact.target,
        "questions": fact.questions,
    }
    return json.dumps(spelled | ({"tags": fact.tags} if fact.tags else {}))
