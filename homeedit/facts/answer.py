"""Where the answer begins: splits what follows the verb into object, preposition and target."""

import re

from homeedit.facts.clause import TIME_STARTS, VerbPhrase
from homeedit.facts.kinds import TIME_KINDS, is_hour, target_kind
from homeedit.facts.verbs import is_base
from homeedit.facts.words import (
    PLACE_ADVERBS,
    PLACE_PREPOSITIONS,
    POSSESSIVES,
    plain,
    split_preposition,
)

TIME_PREPOSITIONS = frozenset("at on in from until till by since before after around during between for".split())
PLACE_VERBS = frozenset(
    "keep store locate hide park hang lie stand sit put leave lock find live work sleep be place"
    " mount pack situate pin stick tape attach bury stack plug tuck rest file wrap fix install"
    " belong base stay hang archive".split()
)
"""Verbs whose "in", "on", "under" … says where something is."""
_GIVING = frozenset("give lend send bring owe show sell donate pay write read explain hand pass".split())
_GETTING = frozenset(
    "borrow buy get rent hire order inherit receive collect fetch pick take steal purchase learn lease hear".split()
)
_SETTING = frozenset(
    "set wash bake cook heat iron fry boil roast use add clean turn switch change tune connect need"
    " fill mix dry".split()
)
_SPENDING = frozenset({"at", "in", "with"})
_AWAY = frozenset("off on up down".split())
_SHARING = frozenset("share play live sleep travel".split())
_TASTES = frozenset("like love prefer take drink eat want have need enjoy serve".split())
_MANNERS = frozenset(
    "black white cold hot warm sweet strong weak rare medium well-done raw crispy soft hard fried"
    " iced plain spicy salty decaf scrambled boiled hard-boiled soft-boiled poached runny"
    " unsweetened lukewarm burnt dark mild salted toasted short done long peeled mashed grilled steamed".split()
)
SHOWING = frozenset("show display measure weigh give count report print".split())
"""What an instrument does in its unit."""
UNITS = frozenset(
    "celsius fahrenheit kelvin miles kilometres kilometers metres meters feet inches yards centimetres centimeters"
    " ounces grams pounds kilos kilograms stone litres liters gallons pints cups euros dollars percent bar psi".split()
)
_VEHICLE = re.compile(r"(?i)(by (bike|bicycle|bus|car|train|tram|taxi|boat|plane|scooter)|on foot)\b")
_NOT_SPLIT = frozenset({"of", "like", "than", "as", "per"})


def find_answer(words: list[str], phrase: VerbPhrase, *, spread: bool = False) -> tuple[int, int] | None:
    """The indices where preposition and target begin in ``words``; None when nothing follows the verb.

    With ``spread`` the object names what the sentence is about ("We keep the candles in …"), so the
    target is looked for behind it.
    """
    at = phrase.end
    if at >= len(words):
        # "The gate is locked": the participle itself is the answer.
        return (at - 1, at - 1) if phrase.auxiliary in ("is", "are", "was", "were") and phrase.words else None
    length = split_preposition(words, at)
    if length and at + length < len(words):
        if plain(words[at]) == "to" and phrase.lemma == "be" and is_base(words[at + 1]):
            return at, at + 1
        return _later_time(words, phrase, at, at + length) or (at, at + length)
    if length or plain(words[at]) in TIME_STARTS | PLACE_ADVERBS:
        return at, at
    if phrase.lemma == "be" and not spread:
        return at, at
    found = _behind_object(words, phrase, at, spread)
    if found or not spread:
        return found or (at, at)
    return None


def _later_time(words: list[str], phrase: VerbPhrase, at: int, target: int) -> tuple[int, int] | None:
    """In "goes for a walk at six" the time is the news; in "is kept in the hall at night" the place is."""
    placed = phrase.lemma in PLACE_VERBS and plain(words[at]) != "from"
    if placed or target_kind(" ".join(words[target:])) in TIME_KINDS | {"duration"}:
        return None
    if phrase.lemma in ("bear", "set") or plain(words[at]) in ("by", "from", "until", "till") and phrase.passive:
        return None
    for index in range(target + 1, len(words) - 1):
        if _VEHICLE.match(" ".join(words[index:])):
            return index, index + 1
    return _time_split(words, target + 1)


def _time_split(words: list[str], start: int) -> tuple[int, int] | None:
    for index in range(start, len(words)):
        word = plain(words[index])
        rest = " ".join(words[index + 1 :])
        if word in TIME_PREPOSITIONS and rest:
            kind = target_kind(rest)
            if kind in TIME_KINDS or (kind in ("duration", "frequency") and word == "for"):
                return index, index + 1
            if (word == "at" and is_hour(rest)) or word in ("before", "after", "during"):
                return index, index + 1
        if word in TIME_STARTS or (word == "three" and plain(rest).startswith("times a")):
            if target_kind(" ".join(words[index:])) in TIME_KINDS | {"frequency"}:
                return index, index
    return None


def _behind_object(words: list[str], phrase: VerbPhrase, at: int, spread: bool) -> tuple[int, int] | None:
    timed = _time_split(words, at + 1)
    lemma = phrase.lemma
    if lemma in ("call", "name", "nickname") and (phrase.passive or phrase.finite):
        return _name_split(words, at) if not phrase.passive else None
    for index in range(at + 1, len(words) - 1):
        length = split_preposition(words, index)
        word = plain(words[index])
        if not length or word in _NOT_SPLIT or index + length >= len(words):
            continue
        if timed and index >= timed[0]:
            break
        if spread and word in _AWAY and length == 1 and split_preposition(words, index + 1):
            continue  # "switch the alarm off with 3386"
        preposition = " ".join(plain(item) for item in words[index : index + length])
        if _splits(words, phrase, at, preposition, spread):
            later = None if lemma in PLACE_VERBS or spread else timed
            return later or (index, index + length)
        if _VEHICLE.match(" ".join(words[index:])):
            return index, index + 1
    if timed:
        return timed
    manner = plain(words[-1])
    if lemma in _TASTES and manner in _MANNERS and len(words) - at >= 3 and plain(words[at]) in POSSESSIVES | {"the"}:
        last = len(words) - (2 if plain(words[-2]) in ("well", "very", "extra") else 1)
        return last, last
    return None


def _splits(words: list[str], phrase: VerbPhrase, at: int, preposition: str, spread: bool) -> bool:
    """Whether the answer begins behind this preposition, given the verb and its object."""
    lemma = phrase.lemma
    if lemma == "spend" and preposition in _SPENDING | {"on"}:
        return True
    if preposition in PLACE_PREPOSITIONS and (lemma in PLACE_VERBS or spread):
        return True
    if spread and preposition != "of":
        return True
    if plain(words[at]) in POSSESSIVES and preposition in ("with", "without", "in", "on", "from"):
        return True
    if preposition == "to" and lemma == "have" and words[-1:] and "allergy" in words[at:]:
        return True
    if preposition == "to":
        return lemma in _GIVING | _SETTING
    if preposition in ("from", "at"):
        return lemma in _GETTING | _SETTING
    if preposition == "with":
        return lemma in _SHARING | _SETTING or lemma == "have" and plain(words[-2]) == "number"
    if preposition == "for":
        return lemma in _SETTING - {"need"}
    return preposition == "in" and lemma in SHOWING and plain(words[-1]) in UNITS


def _name_split(words: list[str], at: int) -> tuple[int, int] | None:
    """In "call the cat Tiger" the name is the run of capitals at the end, or else the last word."""
    if len(words) - at < 2:
        return None
    start = len(words) - 1
    while start - 1 > at and words[start][0].isupper() and words[start - 1][0].isupper():
        start -= 1
    return start, start
