"""Many facts at once, judged one by one and stored in one transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from homeedit.errors import USAGE, HomeEditError
from homeedit.facts.fact import Fact, drafted
from homeedit.facts.ledger import Ledger
from homeedit.household.entries import Entry, Line, read_lines
from homeedit.household.results import BadLine, Imported
from homeedit.household.teaching import KnownFacts, OnConflict, refuse_duplicate, the_one_to_replace


@dataclass(frozen=True, slots=True)
class Verdict:
    """What would become of one line. ``fact`` is None where nothing can be stored; ``problem`` says why.

    ``contradicts`` names known facts by their ids and lines above as ``line 3``.
    """

    line: int
    text: str
    fact: Fact | None = None
    contradicts: tuple[str, ...] = ()
    problem: str = ""


def review(facts: Iterable[Fact], lines: Sequence[str]) -> list[Verdict]:
    """One verdict for each line that is not blank (of CSV: each row that is not empty), in their order.

    A line that contradicts is not held against the lines below it, as nobody chose yet whether it is stored.
    """
    facts = list(facts)
    said, chosen = KnownFacts(facts), KnownFacts(facts)
    return [_verdict(line, said, chosen) for line in read_lines(lines)]


def _verdict(line: Line, said: KnownFacts, chosen: KnownFacts) -> Verdict:
    try:
        if isinstance(line.said, HomeEditError):
            raise line.said
        entry = line.said
        _refuse_twin(said.duplicate_of(entry.parsed.sentence))
    except HomeEditError as error:
        return Verdict(line.number, line.text, problem=f"{error.message} {error.hint}".strip())
    against = chosen.contradicted_by(entry.parsed)
    here = drafted(entry.parsed, f"line {line.number}")
    said.add(here)
    if not against:
        chosen.add(here)
    fact = drafted(entry.parsed, "new", tags=entry.tags)
    problem = f"It contradicts {_listed(against)}." if against else ""
    return Verdict(line.number, line.text, fact, tuple(known.id for known in against), problem)


def _refuse_twin(twin: Fact | None) -> None:
    """Raise HomeEditError for a sentence that is known, or stands in a line above."""
    if twin is not None and twin.id.startswith("line"):
        raise HomeEditError(f"It is the same sentence as {twin.id}.", exit_code=USAGE)
    refuse_duplicate(twin)


def _listed(facts: Iterable[Fact]) -> str:
    return "; ".join(f'{fact.id}: "{fact.sentence}"' for fact in facts)


class Import:
    """Many lines, judged one by one against the ledger and each other; stored in one transaction."""

    def __init__(self, facts: Iterable[Fact], on_conflict: OnConflict) -> None:
        self.known = KnownFacts(facts)
        self.on_conflict = on_conflict
        self.fresh: list[Entry] = []
        self.replaced: list[tuple[Fact, Entry]] = []
        self.problems: list[BadLine] = []

    def take(self, lines: Sequence[str]) -> None:
        """Judge all lines of a file."""
        for line in read_lines(lines):
            try:
                if isinstance(line.said, HomeEditError):
                    raise line.said
                self._accept(line.number, line.said)
            except HomeEditError as error:
                self.problems.append(BadLine(line.number, line.text, error.message, error.hint))

    def _accept(self, number: int, entry: Entry) -> None:
        parsed = entry.parsed
        _refuse_twin(self.known.duplicate_of(parsed.sentence))
        against = self.known.contradicted_by(parsed)
        if against and self.on_conflict == "refuse":
            raise HomeEditError(
                f"It contradicts {_listed(against)}.", "Change one of them, or use --replace or --keep-both.", USAGE
            )
        if against and self.on_conflict == "replace":
            old = the_one_to_replace(parsed, against)
            if old.id.startswith("line"):
                raise HomeEditError(
                    f'It contradicts {old.id}: "{old.sentence}".', "Leave one of the two lines out.", USAGE
                )
            self.replaced.append((old, entry))
        else:
            self.fresh.append(entry)
        self.known.add(drafted(parsed, f"line {number}"))

    def store(self, ledger: Ledger) -> Imported:
        """Store all that was accepted. A fact that is replaced keeps its tags unless others are given."""
        changed = [ledger.edit(old.id, entry.parsed, entry.tags or None) for old, entry in self.replaced]
        added = ledger.add_tagged((entry.parsed, entry.tags) for entry in self.fresh) if self.fresh else []
        return Imported((*changed, *added), tuple(self.problems))

    def previewed(self) -> Imported:
        """What ``store`` would store; facts that would be new have the id ``new``."""
        changed = [drafted(entry.parsed, old.id, tags=entry.tags or old.tags) for old, entry in self.replaced]
        added = [drafted(entry.parsed, "new", tags=entry.tags) for entry in self.fresh]
        return Imported((*changed, *added), tuple(self.problems))
