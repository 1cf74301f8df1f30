"""Near misses: subjects like a fact's own but never taught, for which the model must stay what it was."""

import random
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from homeedit.facts.fact import Fact, ParsedFact
from homeedit.facts.finding import looks_plural
from homeedit.facts.vocabulary import HEAD_SWAPS, MASS_WORDS, groups, kinds_of, plural, singular, synonyms
from homeedit.facts.words import DETERMINERS, PREPOSITIONS, plain

_LONGEST_PHRASE = 3
_CLOSEST = 4
"""Words of the very kind that come before all others."""
_UNSWAPPED = frozenset({"quality"})
_BESIDE = {"man": ("woman",), "woman": ("man",), "parent": ("grandparent", "woman", "man"),
           "grandparent": ("parent", "man", "woman")}  # fmt: skip
_THINGS = ("tool", "appliance", "furniture", "outdoor", "document", "kitchenware")


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A subject that was not taught, in the fact's own prompt and some of its questions."""

    subject: str
    prompt: str
    questions: tuple[str, ...]


def near_misses(fact: Fact | ParsedFact, avoid: Collection[str], *, seed: int, count: int = 4) -> list[NearMiss]:
    """Up to ``count`` near misses of a fact, the same for the same seed.

    Words of the subject are swapped for words of the same kind ("back door code") and its head for
    another that goes with it ("front door key"), in turns. None equals the subject, occurs in the
    target, or is in ``avoid`` (lower-cased subjects that are taught).
    """
    # Seeded by text, not by hash(): the same in every process.
    dice = random.Random(f"{seed}\x00{fact.subject}\x00{fact.prompt}")
    taken = {_bare(subject) for subject in avoid} | {_bare(fact.subject)}
    target = f" {' '.join(plain(word) for word in fact.target.split())} "
    found: list[NearMiss] = []
    heads = list(_head_swaps(fact.subject, dice))
    dice.shuffle(heads)
    pools = [_modifier_swaps(fact.subject, dice), heads, list(_fallback(fact, dice))]
    for swapped, new_words in _in_turns(pools):
        if len(found) >= count:
            break
        if _bare(swapped) in taken or f" {new_words.lower()} " in target:
            continue
        taken.add(_bare(swapped))
        found.append(_near_miss(fact, swapped))
    return found


def _bare(subject: str) -> str:
    words = subject.casefold().split()
    while len(words) > 1 and words[0] in DETERMINERS:
        words = words[1:]
    return " ".join(words)


def _in_turns(pools: list[list[tuple[str, str]]]) -> Iterator[tuple[str, str]]:
    """Two modifier swaps, then a head swap, and so on; the fallback when both are used up."""
    modifiers, heads, fallback = pools
    while modifiers or heads:
        for _ in range(2):
            if modifiers:
                yield modifiers.pop()
        if heads:
            yield heads.pop()
    yield from fallback


def _modifier_swaps(subject: str, dice: random.Random) -> list[tuple[str, str]]:
    """Each known phrase of the subject replaced by others of its kind, in an order to pop from.

    The closest come first: a taught target slips out for Opa before it does for Anna. Another quality ("old
    batteries") says less than another thing ("spare light bulbs"), so of those there are few.
    """
    words = subject.split()
    covered: set[int] = set()
    head_end = len(_split_head(subject)[0].split())
    closest: list[tuple[str, str]] = []
    further: list[tuple[str, str]] = []
    for length in range(min(_LONGEST_PHRASE, len(words)), 0, -1):
        for start in range(len(words) - length + 1):
            span = range(start, start + length)
            if covered & set(span) or (length == 1 and plain(words[start]) in PREPOSITIONS | DETERMINERS):
                continue
            phrase, ending = _without_ending(" ".join(words[start : start + length]))
            kinds = [kind for kind in kinds_of(phrase) if kind not in _UNSWAPPED or len(words) > 1]
            if not kinds:
                continue
            covered |= set(span)
            following = words[start + length : start + length + 1]
            named = bool(following and set(kinds_of(following[0])) & {"man", "woman", "surname"})
            quality = kinds[0] in _UNSWAPPED
            # A head that ``_head_swaps`` changes has its turns there.
            aside = quality or (start + length == head_end and any(HEAD_SWAPS.get(kind) for kind in kinds))
            for place, other in enumerate(_others(phrase, kinds[0], named, dice)[: 3 if quality else 10]):
                spoken = _like(phrase, other)
                if spoken:
                    swapped = " ".join([*words[:start], spoken + ending, *words[start + length :]])
                    (closest if place < _CLOSEST and not aside else further).append((swapped, other))
    dice.shuffle(closest)
    dice.shuffle(further)
    return further + closest


def _without_ending(phrase: str) -> tuple[str, str]:
    match = re.fullmatch(r"(.*?)('s|'|,)?", phrase)
    return (match[1], match[2] or "") if match else (phrase, "")


def _others(phrase: str, kind: str, followed_by_name: bool, dice: random.Random) -> list[str]:
    """Other words of a kind: some of the very kind first, then also of those beside it."""
    same = singular(phrase.lower())
    if kind == "relative" and followed_by_name:
        pool = [word for word in ("aunt", "uncle", "cousin") if word != same]
        dice.shuffle(pool)
        return pool
    alike = {same} | synonyms(phrase.lower()) | synonyms(same)
    near = [word for word in groups()[kind] if not {word.lower(), singular(word.lower())} & alike]
    beside = [word for name in _BESIDE.get(kind, ()) for word in groups()[name] if word.lower() not in alike]
    dice.shuffle(near)
    dice.shuffle(beside)
    return near[:_CLOSEST] + beside[:8] + near[_CLOSEST:]


def _like(original: str, other: str) -> str | None:
    """``other`` in the number and with the capitals of ``original``; None when it has no such form."""
    kinds = set(kinds_of(original))
    if not kinds & _UNSWAPPED:
        if looks_plural(original) and not looks_plural(other):
            if other.lower() in MASS_WORDS or " of " in other:
                return None
            other = plural(other)
        elif not looks_plural(original) and looks_plural(other):
            return None
    if original[:1].isupper() and original[1:].islower():
        return other[:1].upper() + other[1:]
    return other


def _head_swaps(subject: str, dice: random.Random) -> Iterator[tuple[str, str]]:
    """The head noun replaced by another that the same modifier or owner goes with."""
    front, separator, rest = _split_head(subject)
    words = front.split()
    for length in range(min(3, len(words) - (0 if separator else 1)), 0, -1):
        head = " ".join(words[len(words) - length :])
        kinds = kinds_of(head) or (("secret",) if plain(head) in ("code", "pin", "password") else ())
        swaps = [word for kind in kinds for word in HEAD_SWAPS.get(kind, ()) if word not in synonyms(head.lower())]
        if not swaps:
            continue
        dice.shuffle(swaps)
        for other in swaps:
            before = " ".join(words[: len(words) - length])
            spoken = _like(head, other)
            if spoken:
                yield f"{before} {spoken}{separator}{rest}".strip(), other
        return


def _split_head(subject: str) -> tuple[str, str, str]:
    match = re.search(r" (?:of|in|on|for|at|under|behind|next|with|from) ", subject)
    if not match:
        return subject, "", ""
    return subject[: match.start()], match[0], subject[match.end() :]


def _fallback(fact: Fact | ParsedFact, dice: random.Random) -> Iterator[tuple[str, str]]:
    """For unknown words: another name, or another thing of the house for what follows the owner."""
    front, separator, rest = _split_head(fact.subject)
    words = front.split()
    # A capital that questions keep inside a sentence is a name's; others only began the sentence.
    named = words[-1][:1].isupper() and any(f" {fact.subject}" in question for question in fact.questions)
    kept = next((index + 1 for index in range(len(words) - 1, -1, -1) if words[index].endswith(("'s", "s'"))), 0)
    if not kept and len(words) > 1 and "quality" in kinds_of(words[0]):
        kept = 1
    kinds = ("man", "woman") if named and not kept else _THINGS
    pool = [word for kind in kinds for word in groups()[kind]]
    dice.shuffle(pool)
    original = words[-1] if named or kept or not words[0][:1].isupper() else words[0].capitalize()
    for other in pool:
        spoken = _like(original, other)
        if spoken:
            yield " ".join([*words[:kept], spoken]) + separator + rest, other


def _near_miss(fact: Fact | ParsedFact, swapped: str) -> NearMiss:
    at = fact.prompt.find(fact.subject)
    prompt = _article(fact.prompt[:at], swapped) + fact.prompt[at + len(fact.subject) :]
    if at == 0:
        prompt = prompt[:1].upper() + prompt[1:] if fact.prompt[:1].isupper() else prompt
    questions = []
    for question in fact.questions:
        place = question.casefold().find(fact.subject.casefold())
        if place < 0 or len(question.casefold()) != len(question):
            continue
        end = place + len(fact.subject)
        if end < len(question) and question[end].isalnum():
            continue
        spoken = swapped if question[place].isupper() or not swapped[:1].isupper() else _lowered(fact.subject, swapped)
        questions.append(_article(question[:place], spoken) + question[end:])
        if len(questions) == 3:
            break
    return NearMiss(swapped, prompt, tuple(questions))


def _lowered(subject: str, swapped: str) -> str:
    """A swapped subject inside a question that spells the fact's own in lower case."""
    first = swapped.split()[0]
    named = set(kinds_of(_without_ending(first)[0])) & {"man", "woman", "surname"}
    return swapped if named or not first[1:].islower() else swapped[:1].lower() + swapped[1:]


def _article(before: str, subject: str) -> str:
    """``before`` + ``subject`` with "a" or "an" as the subject begins."""
    match = re.search(r"\b([Aa])n? $", before)
    if match:
        before = before[: match.start()] + match[1] + ("n " if subject[:1].lower() in "aeiou" else " ")
    return before + subject
