"""Many sentences at once: judged, looked over by a person, and only then stored."""

import json
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from homeedit.errors import HomeEditError
from homeedit.facts.fact import Fact
from homeedit.household import Household, OnConflict
from homeedit.household.results import BadLine
from homeedit.progress import Progress

if TYPE_CHECKING:
    from homeedit.household.importing import Verdict

Kind = Literal["new", "conflict", "problem"]
Decision = Literal["leave", "take", "replace", "keep"]
_LARGEST_FILE = 20_000_000
_WAYS: tuple[tuple[Decision, OnConflict], ...] = (("take", "refuse"), ("replace", "replace"), ("keep", "keep"))


@dataclass(frozen=True, slots=True)
class Given:
    """Lines to review. ``above``: what else is kept as typed, of which this is the end; a file is kept as itself."""

    lines: list[str]
    above: str = ""
    of_file: bool = False

    @property
    def text(self) -> str:
        """All of it as it is kept."""
        parts = [self.above.removesuffix("\n"), "\n".join(self.lines)]
        return "\n".join(part for part in parts if part.strip())


@dataclass
class ReviewedLine:
    """One line: what it is, and what is to be done with it.

    ``replaces`` is the id of the fact that it could replace. A line that says otherwise than a known fact is left
    out until a person chooses.
    """

    line: int
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
    """What came of it: facts added, facts changed as they were before, lines refused after all.

    ``lines`` are the numbers of those that were stored.
    """

    added: tuple[Fact, ...]
    before: tuple[Fact, ...]
    problems: tuple[BadLine, ...]
    lines: frozenset[int]


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


def lines_of(text: str) -> list[str]:
    """The lines of a typed or pasted text.

    Only line feeds end a line: a sentence may hold any other character. Terminals paste a line feed as a
    carriage return.
    """
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def judge(household: Household, lines: Sequence[str]) -> list[ReviewedLine]:
    """What would become of each line, in their order; stores nothing."""
    return [_reviewed(verdict) for verdict in household.review_import(lines)]


def _reviewed(verdict: "Verdict") -> ReviewedLine:
    if verdict.fact is None:
        return ReviewedLine(verdict.line, verdict.text, "problem", reason=verdict.problem)
    text, against = verdict.fact.sentence, verdict.contradicts
    if not against:
        return ReviewedLine(verdict.line, text, "new", verdict.fact, decision="take")
    # Only one known fact can be replaced; another line of the same import is none yet.
    replaces = against[0] if len(against) == 1 and not against[0].startswith("line") else ""
    return ReviewedLine(verdict.line, text, "conflict", verdict.fact, verdict.problem, replaces)


def left_over(lines: Sequence[str], reviewed: Sequence[ReviewedLine], stored: Set[int]) -> list[str]:
    """The lines, as they were given, of what was not stored; with the header of CSV. None when all was stored."""
    if not any(each.line not in stored for each in reviewed):
        return []
    starts = [each.line for each in reviewed]
    # What stands above the first is blank or a header; a row of CSV reaches to the next one.
    kept = [line for line in lines[: starts[0] - 1] if line.strip()]
    for start, end in zip(starts, [*starts[1:], len(lines) + 1], strict=True):
        if start not in stored:
            kept += lines[start - 1 : end - 1]
    return kept


def store(household: Household, reviewed: Sequence[ReviewedLine], progress: Progress) -> Stored:
    """Store the lines that were chosen, as they were chosen."""
    replaced = [each.replaces for each in reviewed if each.decision == "replace"]
    before = tuple(household.fact(fact_id) for fact_id in dict.fromkeys(replaced))
    added: list[Fact] = []
    problems: list[BadLine] = []
    lines: set[int] = set()
    for decision, on_conflict in _WAYS:
        chosen = [(each.line, _spelled(each.fact)) for each in reviewed if each.decision == decision and each.fact]
        if chosen:
            done = household.import_facts([line for _, line in chosen], on_conflict=on_conflict, progress=progress)
            added += [fact for fact in done.facts if fact.id not in replaced]
            problems += done.problems
            refused = {problem.line for problem in done.problems}
            lines |= {line for place, (line, _) in enumerate(chosen, start=1) if place not in refused}
    return Stored(tuple(added), before, tuple(problems), frozenset(lines))


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
