"""Which facts are shown, and in what order."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from homeedit.facts.fact import Fact
from homeedit.household.results import FactResult
from homeedit.tui.widgets.fact_words import STATES, shown_state


@dataclass(frozen=True, slots=True)
class KnownFact:
    """A fact and how it fares, with the text in which a search looks."""

    fact: Fact
    result: FactResult | None
    haystack: str

    @property
    def state(self) -> str:
        """The state that is shown."""
        return shown_state(self.fact)


def known_fact(fact: Fact, result: FactResult | None) -> KnownFact:
    """A fact made ready to be searched."""
    parts = (fact.id, fact.sentence, fact.subject, fact.target, *fact.questions, *fact.tags)
    return KnownFact(fact, result, "\n".join(parts).casefold())


@dataclass(frozen=True, slots=True)
class FactFilter:
    """Words that must all occur, a state, a tag; "" lets everything through."""

    text: str = ""
    state: str = ""
    tag: str = ""

    def __bool__(self) -> bool:
        return bool(self.text.strip() or self.state or self.tag)

    def chosen(self, facts: Iterable[KnownFact]) -> list[KnownFact]:
        """The facts that pass."""
        words = self.text.casefold().split()
        return [
            known
            for known in facts
            if (not self.state or known.state == self.state)
            and (not self.tag or self.tag in known.fact.tags)
            and all(word in known.haystack for word in words)
        ]

    def words(self) -> str:
        """The filter as the person set it."""
        parts = [self.state, f"tag {self.tag}" if self.tag else ""]
        parts += [f'"{self.text.strip()}"'] if self.text.strip() else []
        return ", ".join(part for part in parts if part)


def _number(known: KnownFact) -> int:
    return int(known.fact.id[1:])


def _share(known: KnownFact) -> float:
    return -1.0 if known.result is None or known.result.recall is None else known.result.recall


ORDERS: dict[str, Callable[[KnownFact], Any]] = {
    "state": lambda known: STATES.index(known.state),
    "sentence": lambda known: known.fact.sentence.casefold(),
    "tags": lambda known: (not known.fact.tags, known.fact.tags),
    "recall": _share,
    "changed": lambda known: known.fact.changed,
}
"""What each column is ordered by."""


def ordered(facts: Iterable[KnownFact], column: str, reverse: bool) -> list[KnownFact]:
    """Facts by a column; without one, and among equals, the newest first."""
    newest_first = sorted(facts, key=_number, reverse=True)
    return sorted(newest_first, key=ORDERS[column], reverse=reverse) if column else newest_first
