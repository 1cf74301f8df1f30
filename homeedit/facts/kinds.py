"""Guesses at what a phrase is: a person or a thing, a time of day or a weekday, a number or a place."""

import re
from functools import cache
from typing import Literal

from homeedit.facts.vocabulary import FAMILY_GROUPS, PERSON_GROUPS, head_kinds, kinds_of
from homeedit.facts.words import COLOURS, DAY_PARTS, DAYS, MONTHS, NUMBER_WORDS, SEASONS, plain

TargetKind = Literal[
    "day", "clock", "date", "month", "year", "season", "frequency", "duration", "money", "temperature",
    "measure", "age", "number", "phone", "email", "web", "colour", "language", "instrument", "sport",
    "person", "name", "text",
]  # fmt: skip
TIME_KINDS = frozenset({"day", "clock", "date", "month", "year", "season"})
"""Kinds that answer "when"."""
SubjectKind = Literal["person", "role", "group", "pet", "place", "thing"]

_SMALL = "|".join(NUMBER_WORDS)
_NUMBER = rf"(?:\d+(?:[.,]\d+)*|{_SMALL}|a|an|half an?|a few|several|a couple of)"
_DAY = rf"(?:{'|'.join(DAYS)}|mon|tues?|wed|thurs?|thu|fri|sat|sun)s?"
_MONTH = rf"(?:{'|'.join(MONTHS)})"
_UNIT_OF_TIME = r"(?:seconds?|minutes?|mins?|hours?|hrs?|days?|weeks?|months?|years?|fortnights?|nights?|evenings?)"
_UNIT = (
    r"(?:mm|cm|m|km|metres?|meters?|centimetres?|centimeters?|inch(?:es)?|feet|foot|ft|miles?|kilomet(?:re|er)s?"
    r"|square met(?:re|er)s?|kg|g|mg|grams?|kilograms?|kilos?|pounds?|lbs?|ounces?|oz|ml|cl|l|lit(?:re|er)s?"
    r"|cups?|tablespoons?|teaspoons?|watts?|kw|kwh|volts?|amps?|percent|%|bars?|rpm|gb|mb|tb|mbit|psi)"
)
_MONEY = r"(?:euros?|dollars?|pounds? (?:a|per)|cents?|francs?|crowns?|€|\$|£|chf|usd|eur|gbp)"
_ABOUT = r"(?:(?:about|around|exactly|at least|at most|up to) )?"
_PAST_HOUR = r"(?: (?:thirty|fifteen|forty-?five|forty|twenty|ten))?"
_ORDINAL = r"(?:\d+(?:st|nd|rd|th)|first|second|third|fifth|tenth|fifteenth|last|last day|\w+teenth)"
_WHICH = (
    r"(?:first|second|third|fourth|fifth|last|next|other|every|each|this|early|late|alternate|even|odd|most|all"
    r"|\d+(?:st|nd|rd|th))"
)
_NTH = r"(?:[a-z]+th|\d+(?:st|nd|rd|th))"
_PERIOD = r"(?:day|morning|evening|night)"
_TARGET_RULES: tuple[tuple[TargetKind, str], ...] = (
    ("email", r"^\S+@\S+\.\w+$"),
    ("web", r"^(https?://\S+|www\.\S+|\S+\.(com|org|net|local|de|uk|io)(/\S*)?)$"),
    ("age", rf"^{_NUMBER} (years?|months?)( and .+)? old$"),
    ("day", rf"^(every|each) ({_WHICH} )*({'|'.join(DAYS)})s?\b"),
    (
        "frequency",
        rf"^every ({_NUMBER} |other |second |third |few |{_NTH} )?({_UNIT_OF_TIME}|summer|winter|spring|autumn)\b",
    ),
    ("frequency", r"^(once|twice|\w+ times) (a|an|per|every|each)\b"),
    ("frequency", rf"^(daily|weekly|monthly|yearly|annually|hourly|fortnightly|every {_PERIOD})\b"),
    ("temperature", r"^((minus|about|around) |-)?\S+( and a half)? ?(degrees?\b|°|celsius\b|fahrenheit\b)"),
    ("money", rf"^{_ABOUT}([€$£¥]\s?\d|\S+ ?{_MONEY}(?=\W|$))"),
    ("clock", rf"^{_ABOUT}(half past|(a )?quarter (to|past)|\w+ (minutes )?(to|past)) ({_SMALL}|\d+)\b"),
    ("clock", rf"^{_ABOUT}({_SMALL}|\d{{1,2}}){_PAST_HOUR}( ?o'clock)( |$)"),
    ("clock", rf"^{_ABOUT}\d{{1,2}}([:.]\d\d)? ?(am|pm|a\.m\.?|p\.m\.?|h|hrs)(?=\W|$)"),
    ("clock", rf"^{_ABOUT}([01]?\d|2[0-4]):[0-5]\d\b"),
    ("clock", rf"^({_SMALL}|\d+)( {_SMALL})? (in the (morning|afternoon|evening)|at night|sharp)\b"),
    ("clock", r"^(noon|midnight|midday|dawn|dusk|sunrise|sunset|lunchtime|bedtime)\b"),
    ("date", rf"^(the )?\d{{1,2}}(st|nd|rd|th|\.)? (of )?{_MONTH}\b"),
    ("date", rf"^{_MONTH} (the )?\d{{1,2}}(st|nd|rd|th)?\b(?! ?:)"),
    ("date", rf"^(the )?[a-z-]+(st|nd|rd|th) of {_MONTH}\b"),
    ("date", r"^\d{1,4}[./-]\d{1,2}[./-]\d{2,4}$|^\d{1,2}\.\d{1,2}\.?$"),
    ("date", rf"^the {_ORDINAL}( day)?( of (the|each|every) (month|year))?$"),
    ("day", rf"^(the )?({_WHICH} )*{_DAY}\b"),
    ("day", r"^(the |last |next )?(weekends?|week|month|weekdays?|tomorrow|today|tonight|yesterday)\b"),
    (
        "month",
        rf"^(last |next |early |late |mid-?|every |each |the (start|end|middle) of )?{_MONTH}( (19|20)\d\d)?$",
    ),
    ("year", r"^(the )?(1[5-9]|20)\d\d(s)?$"),
    ("season", rf"^(the |last |next |early |late )?({'|'.join(sorted(SEASONS))})( (of )?(19|20)\d\d)?$"),
    ("season", rf"^(the )?({'|'.join(sorted(DAY_PARTS))})s?$"),
    ("duration", rf"^{_ABOUT}{_NUMBER}( and a half)?( {_NUMBER})?[ -]{_UNIT_OF_TIME}\b"),
    ("measure", rf"^{_ABOUT}{_NUMBER}( {_NUMBER})? ?{_UNIT}(?=\W|$)"),
    ("phone", r"^\+?\(?\d[\d ()/-]{6,}\d$"),
    ("number", rf"^(number |no\.? |#)?(\d[\d.,-]*|{_SMALL})$"),
    ("number", r"^(?=\S*\d)[\w#*/.-]+$"),
)
"""What a target looks like; the first that fits names its kind."""


@cache
def _target_rules() -> tuple[tuple[TargetKind, re.Pattern[str]], ...]:
    return tuple((kind, re.compile(rule, re.IGNORECASE)) for kind, rule in _TARGET_RULES)


_LANGUAGES = frozenset(
    "english french german spanish italian portuguese dutch danish swedish norwegian finnish polish"
    " czech russian ukrainian turkish arabic hebrew hindi urdu chinese mandarin cantonese japanese"
    " korean greek latin welsh irish hungarian romanian croatian serbian persian farsi swahili"
    " catalan basque thai vietnamese".split()
)
_INSTRUMENTS = frozenset(
    "piano violin guitar cello flute drums trumpet saxophone clarinet harp viola recorder ukulele"
    " oboe trombone accordion bass organ keyboard banjo".split()
)
_SPORTS = frozenset(
    "football soccer tennis basketball volleyball handball hockey rugby cricket golf chess"
    " badminton baseball judo karate squash netball lacrosse darts".split()
)
_TALENTS: dict[TargetKind, frozenset[str]] = {
    "language": _LANGUAGES,
    "instrument": _INSTRUMENTS,
    "sport": _SPORTS,
}
_TITLES = frozenset(
    "mr mrs ms miss dr doctor professor prof sir madam mx aunt uncle auntie tante onkel sister brother mother father"
    " cousin nephew niece grandma grandpa granny grandad nana oma opa mama papa".split()
)
_FIXED_PLACES = frozenset({"shop", "room", "fixture", "transport"})
_ROLE_WORDS = frozenset("owner boss chairman president captain leader parent friend partner contact person".split())
_LIVING = frozenset({"pet"})


def is_person_name(phrase: str) -> bool:
    """Whether a phrase reads as a person's name: a title, a known first name, or a family word."""
    words = phrase.split()
    if not words or any(character.isdigit() for character in phrase):
        return False
    first = plain(words[0]).removesuffix("'s")
    if first in _TITLES and len(words) > 1:
        return True
    kinds = set(kinds_of(first))
    if len(words) <= 3 and kinds & {"man", "woman"} and words[0][0].isupper():
        return all(word[0].isupper() or word in ("de", "van", "von", "da", "di", "bin", "al", "and") for word in words)
    return len(words) <= 2 and bool(kinds & {"parent", "grandparent"})


def target_kind(target: str) -> TargetKind:
    """What kind of answer a target is, by its shape."""
    text = target.strip()
    bare = text.removeprefix("the ").removeprefix("a ").removeprefix("an ").lower()
    for kind, rule in _target_rules():
        if rule.search(text):
            return kind
    if is_person_name(text):
        return "person"
    if bare in COLOURS or (bare.split() and bare.split()[-1] in COLOURS and len(bare.split()) <= 2):
        return "colour"
    for group in _TALENTS:
        if bare in _TALENTS[group] or (" and " in bare and re.split(r",| and ", bare)[0] in _TALENTS[group]):
            return group
    words_of_target = text.split()
    if words_of_target and all(word[0].isupper() for word in words_of_target):
        return "name"
    return "text"


def is_hour(target: str) -> bool:
    """Whether a bare number can be an hour: "at six", "until 10"."""
    text = target.strip().lower()
    return text in NUMBER_WORDS[1:13] or (text.isdigit() and len(text) <= 2 and int(text) <= 24)


def subject_kind(subject: str, determiner: str = "") -> SubjectKind:
    """Whether a subject is a named person, someone's role, a group of people, a pet, a place or a thing."""
    head = re.split(
        r" (?:in|of|on|at|from|for|with|to|who|that|under|near|next|upstairs|downstairs|opposite)\b", subject
    )[0]
    first = plain(subject.split()[0]) if subject.split() else ""
    if "'s " not in subject and "s' " not in subject:
        if is_person_name(head) and not determiner:
            return "person"
        if first in _TITLES and len(head.split()) > 1:
            return "person"
    last = re.split(r"(?:'s|s') ", head)[-1]
    kinds = head_kinds(last)
    if "profession" in kinds or plain(last).split()[-1:] and plain(last).split()[-1] in _ROLE_WORDS:
        return "role"
    if plain(last).endswith(("ician", "ologist", " teacher", " coach", " doctor")):
        return "role"
    if set(kinds) & FAMILY_GROUPS:
        if "children" in kinds or plain(last).endswith("s"):
            return "group"
        return "person" if not determiner and "'s " not in head else "role"
    if set(kinds) & _LIVING:
        return "pet"
    if set(kinds) & PERSON_GROUPS and not determiner and subject[0].isupper() and last == head:
        return "person"
    if kinds and kinds[0] in _FIXED_PLACES or plain(last).split()[-1:] in (["house"], ["flat"], ["apartment"]):
        return "place"
    return "thing"
