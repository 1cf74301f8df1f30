"""Facts going into the ledger, checked for what is known already and what contradicts."""

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from homeedit.errors import USAGE, HomeEditError
from homeedit.facts.fact import Fact, ParsedFact
from homeedit.facts.ledger import Ledger
from homeedit.facts.parse import parse_sentence
from homeedit.facts.records import plain_sentence, same_matter
from homeedit.progress import Progress

OnConflict = Literal["refuse", "replace", "keep"]
"""What to do with a sentence that contradicts a known one: refuse it, change the known one, keep both."""

_SECRET = re.compile(
    r"\b(passwords?|passcodes?|passphrases?|pins?|pin codes?|codes?|combinations?|cvv|secrets?|api keys?|tokens?)\b",
    re.IGNORECASE,
)
SECRET_WARNING = (
    "Note: weights cannot keep a secret. Whoever may ask this model, or gets its patch or model file, "
    "can read what it was taught."
)


class Contradiction(HomeEditError):
    """A sentence says something else than a known fact about the same matter."""

    def __init__(self, sentence: str, known: Sequence[Fact]) -> None:
        listed = "; ".join(f'{fact.id}: "{fact.sentence}"' for fact in known)
        super().__init__(
            f'"{sentence}" contradicts {listed}. Nothing was stored.',
            "Choose: --replace changes the known fact, --keep-both stores it beside.",
            USAGE,
        )
        self.known = tuple(known)


def looks_secret(sentence: str) -> bool:
    """Whether a sentence seems to hold a password, code or the like."""
    return bool(_SECRET.search(sentence))


def warn_of_secrets(sentences: Iterable[str], progress: Progress) -> None:
    """Say once, for all sentences, that weights cannot keep a secret."""
    if any(looks_secret(sentence) for sentence in sentences):
        progress.say(SECRET_WARNING)


class KnownFacts:
    """Facts found fast by sentence and by matter; grows with what an import accepts."""

    def __init__(self, facts: Iterable[Fact]) -> None:
        self._by_sentence: dict[str, Fact] = {}
        self._by_matter: dict[str, list[Fact]] = {}
        for fact in facts:
            self.add(fact)

    def add(self, fact: Fact) -> None:
        """Take a fact in."""
        self._by_sentence.setdefault(plain_sentence(fact.sentence), fact)
        for key in {fact.prompt.casefold(), fact.subject.casefold()}:
            self._by_matter.setdefault(key, []).append(fact)

    def duplicate_of(self, sentence: str) -> Fact | None:
        """The fact with this sentence."""
        return self._by_sentence.get(plain_sentence(sentence))

    def contradicted_by(self, parsed: ParsedFact) -> list[Fact]:
        """Enabled facts that give another answer about the same matter."""
        near = {
            fact.id: fact
            for key in (parsed.prompt.casefold(), parsed.subject.casefold())
            for fact in self._by_matter.get(key, [])
        }
        target = plain_sentence(parsed.target)
        return [
            fact
            for fact in near.values()
            if fact.enabled and plain_sentence(fact.target) != target and same_matter(fact, parsed)
        ]


def refuse_duplicate(known: Fact | None) -> None:
    """Raise HomeEditError if ``known``, the fact with the same sentence, exists."""
    if known is None:
        return
    hint = (
        f"Change it with `homeedit fact edit {known.id}`."
        if known.enabled
        else f"It is disabled: `homeedit fact enable {known.id}` brings it back."
    )
    raise HomeEditError(f'Already known as {known.id}: "{known.sentence}".', hint, USAGE)


def the_one_to_replace(parsed: ParsedFact, known: Sequence[Fact]) -> Fact:
    """The single contradicted fact; raises HomeEditError when there are several."""
    if len(known) > 1:
        listed = ", ".join(fact.id for fact in known)
        raise HomeEditError(
            f'"{parsed.sentence}" contradicts several facts: {listed}. Nothing was stored.',
            "Change one with `homeedit fact edit`, and disable or remove the others.",
            USAGE,
        )
    return known[0]


def add_fact(
    ledger: Ledger, parsed: ParsedFact, tags: Sequence[str], on_conflict: OnConflict, progress: Progress
) -> Fact:
    """Store one understood sentence. Raises HomeEditError for a duplicate, Contradiction for a contradiction.

    A fact that is replaced keeps its tags unless others are given.
    """
    refuse_duplicate(ledger.duplicate_of(parsed.sentence))
    known = ledger.contradictions(parsed)
    if known and on_conflict == "refuse":
        raise Contradiction(parsed.sentence, known)
    if known and on_conflict == "replace":
        stored = ledger.edit(the_one_to_replace(parsed, known).id, parsed, tags or None)
    else:
        stored = ledger.add(parsed, tags)
    warn_of_secrets([parsed.sentence], progress)
    return stored


def edit_fact(
    ledger: Ledger,
    fact_id: str,
    *,
    sentence: str | None,
    subject: str | None,
    prompt: str | None,
    target: str | None,
    questions: Sequence[str] | None,
    tags: Sequence[str] | None,
    progress: Progress,
) -> Fact:
    """Store a new revision of a fact: what is not given is understood anew from the sentence.

    With the old sentence, what was explicit before and is not given now stays as it was. If only tags are given,
    there is no new revision.
    """
    old = ledger.get(fact_id)
    if tags is not None and sentence is subject is prompt is target is questions is None:
        ledger.set_tags([old.id], tags)
        return ledger.get(old.id)
    if sentence is None:
        parsed = parse_sentence(
            old.sentence,
            subject=subject if subject is not None else (old.subject if prompt is None else None),
            prompt=prompt if prompt is not None else (old.prompt if target is None else None),
            target=target if target is not None else (old.target if prompt is None else None),
            questions=questions if questions is not None else old.questions,
        )
    else:
        parsed = parse_sentence(sentence, subject=subject, prompt=prompt, target=target, questions=questions or ())
    twin = ledger.duplicate_of(parsed.sentence)
    if twin is not None and twin.id != old.id:
        refuse_duplicate(twin)
    for known in ledger.contradictions(parsed, ignore=[old.id]):
        progress.say(f'Note: this contradicts {known.id}: "{known.sentence}".')
    changed = ledger.edit(old.id, parsed, tags)
    warn_of_secrets([parsed.sentence], progress)
    return changed
