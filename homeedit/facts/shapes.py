"""Targets with a measure, a number or an owner inside, and the words questions make of them."""

import re

from homeedit.facts.vocabulary import kinds_of
from homeedit.facts.words import NUMBER_WORDS, PREPOSITIONS, plain

_COUNT = rf"(?:(?:about|around|up to|at most|at least) )?(?:\d+(?:[.,]\d+)*|{'|'.join(NUMBER_WORDS)}|half an?|an?)"
_UNITS = (
    r"(?:(?:milli|kilo)?grams?|kilos?|kg|mg|g|ounces?|pounds?|lit(?:re|er)s?|(?:milli|centi)lit(?:re|er)s?|ml|cl|l"
    r"|cups?|spoons?|(?:table|tea)spoons?|handfuls?|scoops?|bags?|tins?|cans?|bottles?|slices?|drops?)"
)
_PERIOD = r"(?: (?P<period>(?:a|an|per|each|every) [a-z]+|daily|weekly))"
_AMOUNT = re.compile(rf"^{_COUNT} ?(?P<unit>{_UNITS}) of (?P<amount>[a-z-]+(?: [a-z-]+)??){_PERIOD}?$")
_COUNTED = re.compile(rf"^{_COUNT} (?P<counted>(?:[a-z-]+ )?[a-z-]+s){_PERIOD}$")
_OFFSET = re.compile(rf"^{_COUNT} (?P<unit>seconds?|minutes?|hours?) (?P<off>fast|slow|late|early)$")
_RATED = re.compile(
    r"^(?:an?|\w+) \d+(?:[.,]\d+)?[ -](?P<unit>watt|volt|amp|litre|liter|inch|millimetre|mm|cm)s?"
    r" (?P<rated>[a-z]+(?: [a-z]+)?)$"
)
_LABELLED = re.compile(
    r"^(?:the )?(?P<labelled>(?:(?:[a-z-]+|[A-Z]{2,4}) ){1,3})(?:(?=\S*\d)[\w.,/-]+|(?<=size )[A-Z]{1,3})$"
)
_OWNED = re.compile(
    r"^(?P<whose>\S+(?: \S+){0,2}?)(?:'s|(?<=s)') (?P<duty>chore|job|task|duty|responsibility|turn|work)$"
)
_PRESSURES = re.compile(rf"^{_COUNT} ?(?P<unit>bars?|psi|watts?|kilowatts?|volts?)$")
_NAMED_PART = re.compile(
    r"^(?:the )?(button|platform|channel|room|key|program|programme|bin|shelf|drawer|gate|seat|row|level|track|lane|bus"
    rf"|line|tram) (?:\d+|{'|'.join(NUMBER_WORDS[1:13])})$"
)
_SECRET = re.compile(r"^(?:the )?(password|passcode|pin|PIN|code|passphrase|user ?name) \S+$")
_QUANTITIES = {"bar": "pressure", "psi": "pressure", "watt": "power", "kilowatt": "power", "volt": "voltage"}
_PLACED_IN = frozenset({"container", "room", "furniture"})


def shape_fields(target: str) -> dict[str, str]:
    """Fields for templates: ``amount`` and ``unit`` in "180 grams of food a day", ``labelled`` in "shoe size 37" …"""
    for pattern in (_AMOUNT, _COUNTED, _OFFSET, _RATED, _OWNED):
        match = pattern.match(target)
        if match:
            fields = {name: value for name, value in match.groupdict().items() if value}
            return _plural_unit(fields) | ({} if "period" in fields else {"period": ""})
    match = _NAMED_PART.match(target)
    if match:
        return {"label": match[1], "labelled": match[1]}
    match = re.fullmatch(r"the (?:\w+ )?(floor|storey)", target)
    if match:
        return {"floor": match[1]}
    match = _SECRET.match(target)
    if match:
        return {"secret": match[1]}
    match = re.fullmatch(r"(?:his|her|their|its) (?:left|right) (hand|foot|ear|eye|side|arm|leg)", target)
    if match:
        return {"part": match[1]}
    match = _PRESSURES.match(target)
    if match:
        unit = match["unit"].removesuffix("s")
        return {"quantity": _QUANTITIES.get(unit, "pressure")} | _plural_unit({"unit": unit})
    match = _LABELLED.match(target)
    if match and not set(match["labelled"].split()) & (PREPOSITIONS | {"the", "and", "or", *NUMBER_WORDS}):
        return {"labelled": re.sub(r"^an? ", "", match["labelled"].strip())}
    if re.match(r"^(our |my |the )?[^\W\d]+(?: [^\W\d]+)?(?:'s|s')$", target):
        return {"owner_alone": target}
    return _placed(target)


def _plural_unit(fields: dict[str, str]) -> dict[str, str]:
    """ "How many" asks for grams, watts and inches; but for bar, psi, kg and mm."""
    unit = fields.get("unit", "")
    if len(unit) > 3 and not unit.endswith("s"):
        fields["unit"] = unit + ("es" if unit.endswith("ch") else "s")
    return fields


def _placed(target: str) -> dict[str, str]:
    """``which`` for "the purple folder": a listed place that further words tell from others."""
    words = target.split()
    if len(words) not in (3, 4) or words[0] not in ("the", "our") or set(words) & PREPOSITIONS:
        return {}
    last = plain(words[-1])
    compound = kinds_of(" ".join(words[-2:])) and last != "room"
    if compound or last.endswith("s") or not (last == "room" or _PLACED_IN & set(kinds_of(last))):
        return {}
    return {"which": last}
