"""The grammar of one sentence: who it is about, its verb, its object, and where the answer begins."""

from dataclasses import dataclass
from typing import Literal

from homeedit.facts import verbs
from homeedit.facts.words import (
    ADJECTIVES,
    ADVERBS,
    DETERMINERS,
    NEGATIONS,
    PARTICLES,
    PLACE_ADVERBS,
    plain,
    split_preposition,
)

Style = Literal["statement", "there", "agent", "imperative", "label"]
TIME_STARTS = frozenset(
    "every each once twice daily weekly monthly yearly fortnightly annually hourly today tomorrow tonight".split()
)
"""Words that begin an answer to "when" or "how often" without a preposition."""
_INTENSIFIERS = frozenset("very too so highly badly slightly quite totally severely mildly".split())
_PHRASAL = frozenset("take pick shut hang throw bring clean tidy fill lock wake sweep wash hand".split())
_SWITCHING = frozenset({"switch", "turn", "put"})
_AWAY = frozenset("off out up down away".split())
_NAMING = frozenset("call name nickname title label".split())


@dataclass(frozen=True, slots=True)
class VerbPhrase:
    """A verb phrase as a question needs it.

    ``auxiliary`` goes before the actor ("does"), ``words`` after it ("come", "be washed", "allergic");
    ``lemma`` is the verb that carries the meaning, or the adjective after "is".
    ``start`` is the index of the finite verb, ``end`` that of the first word after the phrase.
    """

    finite: str
    auxiliary: str
    negation: str
    words: str
    lemma: str
    passive: bool
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Clause:
    """One understood sentence; ``" ".join`` of its words up to ``target`` is the prompt.

    ``topic`` is how a question speaks of the subject ("the torch"), ``actor`` who does the verb: the
    topic itself, or "we" in "We keep the torch in …", where ``object`` holds the topic.
    ``stated`` are the statement's words from the verb up to the preposition ("is kept").
    """

    style: Style
    lead: str
    determiner: str
    subject: str
    topic: str
    actor: str
    finite: str
    auxiliary: str
    negation: str
    verb: str
    lemma: str
    passive: bool
    stated: str
    object: str
    preposition: str
    prompt: str
    target: str
    plural: bool


def skip_adverbs(words: list[str], at: int) -> tuple[int, str]:
    """The index after adverbs and negations from ``at`` on, and the negation among them."""
    negation = ""
    while at < len(words) and plain(words[at]) in ADVERBS | NEGATIONS:
        if plain(words[at]) in NEGATIONS:
            negation = plain(words[at])
        at += 1
    return at, negation


def _at(words: list[str], index: int) -> str:
    return plain(words[index]) if 0 <= index < len(words) else ""


def _particle(words: list[str], at: int, lemma: str = "") -> int:
    """``at`` + 1 when the word there belongs to the verb ("goes off at six", "switch off the alarm"), else ``at``."""
    if _at(words, at) not in PARTICLES or at + 1 >= len(words):
        return at
    following = _at(words, at + 1)
    if split_preposition(words, at) > 1:
        return at
    away = _at(words, at) in _AWAY and lemma in _PHRASAL | _SWITCHING or _at(words, at) == "on" and lemma in _SWITCHING
    if away and following in DETERMINERS:
        return at + 1
    return at + 1 if split_preposition(words, at + 1) or following in TIME_STARTS else at


def _chain(words: list[str], at: int, lemma: str) -> tuple[int, str]:
    """Follow "to" + verb after verbs that take one ("likes to sleep"); returns the new end and lemma."""
    while lemma in verbs.CHAIN and _at(words, at) == "to" and verbs.is_base(_at(words, at + 1)):
        if at + 2 >= len(words):
            break
        lemma, at = _at(words, at + 1), at + 2
        if lemma == "be":
            at, lemma = _after_be(words, at)
        at = _particle(words, at)
    return at, lemma


def _after_be(words: list[str], at: int) -> tuple[int, str]:
    """Take participle, -ing form or adjective after "be"; returns the end and the lemma."""
    at, _ = skip_adverbs(words, at)
    word, following = _at(words, at), _at(words, at + 1)
    if not word or split_preposition(words, at) > 1:
        return at, "be"
    if word in ("been", "being"):
        return _after_be(words, at + 1)
    if word in DETERMINERS or at + 1 >= len(words):
        return at, "be"
    if following == "than" and word.endswith("er") and at + 2 < len(words):
        return at + 1, word
    if word in _INTENSIFIERS and following in ADJECTIVES and split_preposition(words, at + 2):
        return at + 2, following
    timed = following in TIME_STARTS
    if word in ADJECTIVES and (split_preposition(words, at + 1) or timed or _is_day(words, at + 1)):
        return at + 1, word
    if words[at][0].isupper() and not split_preposition(words, at + 1):
        return at, "be"
    if split_preposition(words, at) and word not in ("like",):
        return at, "be"
    if verbs.is_participle(word):
        lemma = verbs.guess_lemma(word, "participle")
        if lemma in _NAMING | {"paint", "spell", "give"} or split_preposition(words, at + 1) or timed:
            return _chain(words, _particle(words, at + 1), lemma)
        if following in ADVERBS | DETERMINERS | PLACE_ADVERBS or _is_day(words, at + 1) or following in PARTICLES:
            return _chain(words, _particle(words, at + 1), lemma)
        return at, "be"
    if verbs.is_gerund(word):
        return _chain(words, _particle(words, at + 1), verbs.guess_lemma(word, "ing"))
    adjectival = word.endswith(("able", "ible", "ful", "less", "ous", "ive", "ic", "ant", "ent")) and len(word) > 5
    if adjectival and split_preposition(words, at + 1):
        return at + 1, word
    return at, "be"


def _is_day(words: list[str], at: int) -> bool:
    from homeedit.facts.kinds import TIME_KINDS, target_kind

    rest = " ".join(words[at:])
    kind = target_kind(rest) if rest else "text"
    return kind == "frequency" or (kind in TIME_KINDS and not rest[0].isdigit())


def read_verb_phrase(words: list[str], start: int, *, plural: bool, actor: str = "") -> VerbPhrase:
    """Read the verb phrase whose finite verb stands at ``start``."""
    finite = _at(words, start)
    negation = ""
    auxiliary = finite
    if finite in verbs.NEGATED:
        finite, negation = verbs.NEGATED[finite], "not"
        auxiliary = finite
    end, adverbial = skip_adverbs(words, start + 1)
    negation = negation or adverbial
    passive = False
    if finite in verbs.BE:
        begin = end
        if _at(words, end) == "to" and verbs.is_base(_at(words, end + 1)):
            end = end + 1
            end, lemma = _base(words, end)
        else:
            end, lemma = _after_be(words, end)
        passive = lemma != "be" and lemma not in ADJECTIVES
        said = " ".join(words[begin:end])
    elif finite in verbs.MODALS or (finite in verbs.DO and verbs.is_base(_at(words, end))):
        begin = end
        end, lemma = _base(words, end)
        passive = _at(words, begin) == "be" and lemma != "be"
        said = " ".join(words[begin:end])
    elif finite in verbs.HAVE and _is_perfect(words, end):
        begin = end
        lemma = verbs.guess_lemma(_at(words, end), "participle")
        if lemma == "be":
            end, lemma = _after_be(words, end + 1)
            passive = lemma != "be"
        else:
            end = _particle(words, end + 1)
        said = " ".join(words[begin:end])
    else:
        return _lexical(words, start, finite, end, negation, plural, actor)
    said = " ".join(word for word in said.split() if plain(word) not in NEGATIONS)
    return VerbPhrase(finite, auxiliary, negation, said, lemma, passive, start, end)


def _base(words: list[str], at: int) -> tuple[int, str]:
    lemma = _at(words, at)
    if lemma == "be":
        return _after_be(words, at + 1)
    end, _ = skip_adverbs(words, at + 1)
    return _chain(words, _particle(words, end, lemma), lemma)


def _is_perfect(words: list[str], at: int) -> bool:
    word = _at(words, at)
    if word in ("been", "got"):
        return True
    following = _at(words, at + 1)
    return verbs.is_participle(word) and bool(
        split_preposition(words, at + 1) or following in DETERMINERS or following in PARTICLES
    )


def _lexical(
    words: list[str], start: int, finite: str, end: int, negation: str, plural: bool, actor: str
) -> VerbPhrase:
    """A verb without an auxiliary: questions about it need one of "do"."""
    if finite in verbs.HAVE:
        lemma, auxiliary = "have", {"has": "does", "have": "do", "had": "did"}[finite]
    elif verbs.lemma_of(finite, "third") or (finite.endswith("s") and not verbs.is_base(finite)):
        lemma, auxiliary = verbs.guess_lemma(finite, "third"), "does"
    elif verbs.lemma_of(finite, "base") and (plural or actor):
        lemma, auxiliary = finite, "do"
    else:
        lemma, auxiliary = verbs.guess_lemma(finite, "past"), "did"
    if lemma == "do" and finite in verbs.DO:
        auxiliary = finite if finite != "do" else "do"
    begin = end
    head = lemma
    end = _particle(words, end, head)
    end, lemma = _chain(words, end, lemma)
    said = " ".join([head, *words[begin:end]])
    return VerbPhrase(finite, auxiliary, negation, said, lemma, False, start, end)
