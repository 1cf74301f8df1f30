"""Finds the main verb of a sentence, and so where its subject ends."""

import re
from collections.abc import Sequence

from homeedit.facts import verbs
from homeedit.facts.kinds import is_person_name
from homeedit.facts.vocabulary import kinds_of
from homeedit.facts.words import (
    ADVERBS,
    DETERMINERS,
    NEGATIONS,
    PREPOSITIONS,
    RELATIVES,
    SUBORDINATORS,
    plain,
)

_PLURAL_WORDS = frozenset("children people men women kids twins parents police we they you i scissors clothes".split())


def looks_plural(phrase: str) -> bool:
    """Whether a noun phrase goes with "are" and a plain verb."""
    head = re.split(r" (?:in|of|on|at|from|for|with|to|under|behind|near|who|that|which|between) ", phrase)[0]
    words = head.split()
    if not words:
        return False
    last = plain(words[-1])
    if last in _PLURAL_WORDS or " and " in f" {head.lower()} ":
        return True
    if last.endswith(("ss", "us", "'s", "is", "ics", "news")) or last == "maths" or is_person_name(head):
        return False
    return last.endswith("s")


def find_verb(words: Sequence[str], start: int = 0) -> int | None:
    """The index of the main finite verb at or after ``start`` + 1, or None.

    Auxiliaries and forms of "be" are trusted; other verbs give way to one of these later in the
    sentence, unless a word like "when" stands between ("The bus leaves when school is over").
    """
    weak: int | None = None
    skip_next = False
    boundary = False
    for position in range(start, len(words)):
        word = plain(words[position])
        after = plain(words[position + 1]) if position + 1 < len(words) else ""
        if position > start and word in (RELATIVES if weak is None else SUBORDINATORS) and "," not in words[position]:
            skip_next = weak is None
            boundary = boundary or weak is not None
            continue
        if not has_head(words[start:position]):
            continue
        if _is_strong(word, after, words, position):
            if skip_next:
                skip_next = False
                continue
            if weak is None:
                return position
            previous = plain(words[position - 1])
            return weak if boundary or previous == "and" or words[weak:position][-1:][0].endswith(",") else position
        if weak is None and _is_weak(words, position, start):
            if skip_next:
                skip_next = False
                continue
            weak = position
    return weak


def has_head(words: Sequence[str]) -> bool:
    return any(plain(word) not in DETERMINERS | ADVERBS and plain(word) not in ("left", "right") for word in words)


def _is_strong(word: str, after: str, words: Sequence[str], position: int) -> bool:
    previous = plain(words[position - 1])
    if previous in ("to", "we", "i", "you", "they") and position > 1:
        return False
    if word == "am":
        return False
    if word in verbs.BE or word in verbs.NEGATED:
        return True
    if word in verbs.MODALS:
        return verbs.is_base(after) or after in NEGATIONS | ADVERBS
    if word in ("has", "have", "had"):
        return word != "have" or looks_plural(" ".join(words[:position]))
    return word in verbs.DO and (after in NEGATIONS or verbs.is_base(after))


def _is_weak(words: Sequence[str], position: int, start: int) -> bool:
    """Whether a word can be the verb of the phrase before it."""
    word, previous = plain(words[position]), plain(words[position - 1])
    after = plain(words[position + 1]) if position + 1 < len(words) else ""
    if words[position][0].isupper() or previous in DETERMINERS - RELATIVES or not after:
        return False
    if previous in PREPOSITIONS - {"off", "up", "down", "over", "across"} or previous in (
        "to",
        "we",
        "you",
        "they",
        "i",
    ):
        return False
    phrase = " ".join(words[start:position])
    if verbs.lemma_of(word, "third"):
        noun = word in verbs.NOUN_LIKE and (verbs.is_base(after) or bool(verbs.lemma_of(after, "third")))
        return not (noun and after not in DETERMINERS) and not (looks_plural(phrase) and word in verbs.NOUN_LIKE)
    if verbs.lemma_of(word, "past"):
        return word not in ("left", "fit", "cut", "set", "put") or previous not in DETERMINERS
    if verbs.lemma_of(word, "base"):
        return looks_plural(phrase)
    return False


def guess_verb(words: Sequence[str]) -> int | None:
    """The last resort: a word that at least ends like a verb, with something before and behind it."""
    for position in range(1, len(words) - 1):
        word = plain(words[position])
        if not word.isalpha() or words[position][0].isupper() or not has_head(words[:position]):
            continue
        if kinds_of(word) or plain(words[position - 1]) in DETERMINERS | PREPOSITIONS:
            continue
        if re.fullmatch(r"[a-z]{2,}(ed|[^su\W]s|[sc]hes|ies)", word):
            return position
    return None
