"""Text as a list of words that can be compared: case, numbers and times are spelled one way.

English only: "Half past seven in the evening" → ["7:30pm"], "the Twenty-First" → ["the", "21st"].
"""

import re
import unicodedata

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    " seventeen eighteen nineteen"
).split()
_TENS = "zeroty tenty twenty thirty forty fifty sixty seventy eighty ninety".split()
_ORDINAL_UNITS = (
    "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth"
    " fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth"
).split()

_NUMBERS = {word: value for value, word in enumerate(_UNITS)} | {
    word: 10 * value for value, word in enumerate(_TENS) if value > 1
}
_ORDINALS = {word: value for value, word in enumerate(_ORDINAL_UNITS)} | {
    word.replace("ty", "tieth"): 10 * value for value, word in enumerate(_TENS) if value > 1
}
_DAY_HALVES = {"morning": "am", "afternoon": "pm", "evening": "pm", "night": "pm"}
_UNIT_SIGNS = "am pm h c f km cm mm m kg g ml l min".split()

_THOUSANDS = re.compile(r"(?<![\d,.])\d{1,3}(?:,\d{3})+(?![\d,])")
_DOTTED_TIME = re.compile(r"\b(\d{1,2})\.(\d\d)(?=\s?[ap]m\b)")
_WORD = re.compile(r"\d{1,2}:\d\d(?!\d)|\d+\.\d+|[^\W_]+(?:'[^\W_]+)*")
_NUMBER_AND_SIGN = re.compile(rf"(\d+(?:\.\d+)?)({'|'.join(_UNIT_SIGNS)})")
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)")
_TIME = re.compile(r"(\d{1,2}:\d\d)(am|pm)?")


def words(text: str) -> list[str]:
    """The words of a text: casefolded; number words as digits, ordinals as "21st", times as "7:30" or "7:30pm".

    Codes of letters and digits stay whole; "7pm" and "60°C" are a number and a unit; "2,500" is "2500".
    """
    plain = unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'")
    plain = _THOUSANDS.sub(lambda match: match.group().replace(",", ""), plain)
    plain = re.sub(r"\b([ap])\.\s?m\b\.?", r"\1m", plain)
    plain = _DOTTED_TIME.sub(r"\1:\2", plain).replace("o'clock", " oclock")
    # A colon between hours and minutes may have the unit right behind it: 7:30pm.
    plain = re.sub(r"(?<=\d)(?=[ap]m\b)", " ", plain)
    found: list[str] = []
    for word in _WORD.findall(plain):
        split = _NUMBER_AND_SIGN.fullmatch(word)
        found += split.groups() if split else [word]
    return _join_times(_join_numbers(found))


def same(expected: str, word: str) -> bool:
    """Whether two words mean the same: equal, plural and singular, or one time ("7", "7:00", "7:00pm")."""
    if word in _singulars(expected) or expected in _singulars(word):
        return True
    one, other = _time_parts(expected), _time_parts(word)
    if one is None or other is None or one[0] != other[0]:
        return False
    return not one[1] or not other[1] or one[1] == other[1]


def is_number(word: str) -> bool:
    """Whether a word of ``words`` is a plain number."""
    return bool(re.fullmatch(r"\d+(?:\.\d+)?", word))


def _singulars(word: str) -> set[str]:
    """The word and what it may be the plural of: "cookies" → cookies, cookie, cooki, cooky."""
    forms = {word}
    if len(word) > 3 and word.isalpha() and word.endswith("s") and not word.endswith("ss"):
        forms.add(word[:-1])
        if word.endswith("es"):
            forms.add(word[:-2])
        if word.endswith("ies"):
            forms.add(word[:-3] + "y")
    return forms


def _time_parts(word: str) -> tuple[str, str] | None:
    """("7:30", "pm") of a time; ("7:00", "") of a number that can be an hour; None of anything else."""
    if match := _TIME.fullmatch(word):
        return match.group(1), match.group(2) or ""
    if re.fullmatch(r"[1-9]|1[0-2]", word):
        return f"{word}:00", ""
    return None


def _join_numbers(found: list[str]) -> list[str]:
    """Number words to digits: ["twenty", "five"] → ["25"], ["first"] → ["1st"], ["two", "hundred"] → ["200"]."""
    result: list[str] = []
    position = 0
    while position < len(found):
        spelled, used = _number(found[position : position + 2])
        result.append(spelled)
        position += used
    return result


def _number(ahead: list[str]) -> tuple[str, int]:
    """The first word, as digits if it is a number word, and how many words (1 or 2) say it."""
    word, after = ahead[0], ahead[1] if len(ahead) > 1 else ""
    if word in _ORDINALS:
        return _ordinal(_ORDINALS[word]), 1
    value = _NUMBERS.get(word)
    if value is None:
        return word, 1
    if value >= 20 and 1 <= _NUMBERS.get(after, 0) <= 9:
        return str(value + _NUMBERS[after]), 2
    if value >= 20 and 1 <= _ORDINALS.get(after, 0) <= 9:
        return _ordinal(value + _ORDINALS[after]), 2
    if 1 <= value <= 9 and after == "hundred":
        return str(100 * value), 2
    return str(value), 1


def _ordinal(value: int) -> str:
    ending = "th" if value % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{value}{ending}"


def _join_times(found: list[str]) -> list[str]:
    """Clock times to one word each, with the half of the day where it is said."""
    result: list[str] = []
    position = 0
    while position < len(found):
        clock, used = _clock(found[position : position + 4], found[position - 1] if position else "")
        half, more = _half(found[position + used : position + used + 3])
        hour = found[position] if used == 1 and re.fullmatch(r"[1-9]|1[0-2]", found[position]) else ""
        if clock is None and hour and half:
            clock = f"{hour}:00"
        if clock is None:
            result.append(found[position])
            position += 1
        else:
            result.append(_twelve_hours(clock, half))
            position += used + more
    return result


def _clock(ahead: list[str], before: str) -> tuple[str | None, int]:
    """The time that begins a list of words, "H:MM", and how many of them say it; (None, 1) if none does.

    ``before`` is the word before them: in "from ten to six" no time is "ten to six".
    """
    if _CLOCK.fullmatch(ahead[0]):
        return ahead[0], 1
    if len(ahead) > 1 and ahead[1] == "oclock" and ahead[0].isdigit():
        return f"{ahead[0]}:00", 2
    minutes = {"half": 30, "quarter": 15}.get(ahead[0])
    if minutes is None and ahead[0] in ("5", "10", "20", "25"):
        minutes = int(ahead[0])
    rest = [word for word in ahead[1:] if word != "minutes"]
    if minutes is None or len(rest) < 2 or rest[0] not in ("past", "to"):
        return None, 1
    if rest[0] == "to" and before in ("from", "between", "open"):
        return None, 1
    if not re.fullmatch(r"[1-9]|1[0-2]", rest[1]) or (rest[0] == "to" and minutes == 30):
        return None, 1
    used = 1 + ahead[1:].index(rest[1], ahead[1:].index(rest[0])) + 1
    hour = int(rest[1])
    if rest[0] == "past":
        return f"{hour}:{minutes:02d}", used
    return f"{(hour - 2) % 12 + 1}:{60 - minutes:02d}", used


def _half(ahead: list[str]) -> tuple[str, int]:
    """ "am" or "pm" if a list of words begins with the half of the day, and how many words say it."""
    if ahead[:1] in (["am"], ["pm"]):
        return ahead[0], 1
    if ahead[:2] == ["in", "the"] and len(ahead) > 2 and ahead[2] in _DAY_HALVES:
        return _DAY_HALVES[ahead[2]], 3
    if ahead[:2] == ["at", "night"]:
        return "pm", 2
    return "", 0


def _twelve_hours(clock: str, half: str) -> str:
    hour, minutes = (int(part) for part in clock.split(":"))
    if hour > 23 or minutes > 59:
        return clock
    if hour == 0 or hour > 12:
        half = "am" if hour == 0 else "pm"
    return f"{(hour - 1) % 12 + 1}:{minutes:02d}{half}"
