"""Grammars in llama.cpp's notation, GBNF: read, checked and turned into a network that ``Grammar`` walks.

llama.cpp's own reader is not used: it ends the whole process on some grammars (a repetition ``{5,2}``, deep nesting, a
rule that leads back to itself over one that may be empty), prints what it refuses on stderr, and its matcher needs
memory without end for ambiguous ones.
"""

import re
from dataclasses import dataclass
from typing import NoReturn

from homeedit.errors import USAGE, HomeEditError

Characters = tuple[tuple[int, int], ...]
"""Ranges of code points, ends included."""

Arc = tuple[Characters | str | None, int]
"""(the characters to read, the rule to follow, or nothing; the state after that)."""

MOST_STATES = 100_000
_LAST = 0x10FFFF


@dataclass(frozen=True, slots=True)
class Network:
    """States and the arcs that leave them; rules begin at one state and end at another."""

    arcs: list[list[Arc]]
    rules: dict[str, tuple[int, int]]
    ends: frozenset[int]


def read_gbnf(text: str) -> Network:
    """The network of a grammar whose first rule to follow is ``root``.

    Raises:
        HomeEditError: with exit code USAGE, when the grammar is broken, names a rule it does not have, or is too large.
    """
    reader = _Reader(text)
    reader.read()
    ends = frozenset(end for _, end in reader.rules.values())
    return Network(_shortened(reader.arcs), reader.rules, ends)


def refuse_grammar(why: str) -> NoReturn:
    """Say what is wrong with a grammar."""
    raise HomeEditError(f"The grammar cannot be used: {why}.", "Correct the grammar or the JSON schema.", USAGE)


_TOKEN = re.compile(
    r"""(?P<space>[ \t]+|\#[^\r\n]*)
    | (?P<line>\r\n|\r|\n)
    | (?P<defines>::=)
    | (?P<name>[A-Za-z0-9_-]+)
    | (?P<literal>"(?:[^"\\\r\n]|\\.)*")
    | (?P<set>\[(?:[^\]\\\r\n]|\\.)*\])
    | (?P<repeat>[*+?]|\{\s*\d{1,6}\s*(?:,\s*(?:\d{1,6}\s*)?)?\})
    | (?P<any>\.)
    | (?P<open>\()
    | (?P<close>\))
    | (?P<or>\|)""",
    re.VERBOSE,
)
_CHARACTER = re.compile(r"\\x([0-9a-fA-F]{2})|\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})|\\(.)|([^\\])", re.DOTALL)
_ESCAPES = {"t": "\t", "r": "\r", "n": "\n", "\\": "\\", '"': '"', "[": "[", "]": "]", "-": "-", "/": "/", "^": "^"}


@dataclass(slots=True)
class _Group:
    """A rule's right side or what stands in parentheses, while it is read. ``first`` is the state at which the last
    item begins; an item's states are neighbours, from there on to the newest one, so that it can be repeated."""

    begin: int
    end: int
    current: int
    first: int | None = None


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._names: dict[str, str] = {}
        self.arcs: list[list[Arc]] = []
        self.rules: dict[str, tuple[int, int]] = {}

    def read(self) -> None:
        tokens = self._tokens()
        at = 0
        while at < len(tokens):
            if tokens[at][0] == "line":
                at += 1
                continue
            (kind, name), (defines, _) = tokens[at], tokens[at + 1] if at + 1 < len(tokens) else ("end", "")
            if kind != "name" or defines != "defines":
                refuse_grammar("a line is not of the form name ::= …")
            if name in self.rules:
                refuse_grammar(f"the rule {name} is there twice")
            at = self._rule(name, tokens, at + 2)
        if "root" not in self.rules:
            refuse_grammar("it has no rule called root")
        for arcs in self.arcs:
            for label, _ in arcs:
                if isinstance(label, str) and label not in self.rules:
                    refuse_grammar(f"there is no rule {label}")

    def _tokens(self) -> list[tuple[str, str]]:
        found, at = [], 0
        while at < len(self._text):
            match = _TOKEN.match(self._text, at)
            if match is None:
                refuse_grammar(f"what begins at character {at + 1} is not GBNF")
            if match.lastgroup != "space":
                found.append((str(match.lastgroup), match.group()))
            at = match.end()
        return found

    def _rule(self, name: str, tokens: list[tuple[str, str]], at: int) -> int:
        """Read a rule's right side from token ``at`` on; where it ends."""
        groups = [self._group()]
        self.rules[name] = (groups[0].begin, groups[0].end)
        previous = "defines"
        while at < len(tokens):
            kind, text = tokens[at]
            at += 1
            if kind == "line":
                # A line ends the rule, unless something is open.
                if len(groups) == 1 and previous not in ("defines", "or"):
                    break
                continue
            previous = kind
            if kind == "open":
                groups.append(self._group())
            elif kind == "close":
                if len(groups) == 1:
                    refuse_grammar("a ) closes nothing")
                inner, outer = groups.pop(), groups[-1]
                self._empty(inner.current, inner.end)
                self._append(outer, inner.begin, inner.end)
            elif kind == "or":
                group = groups[-1]
                self._empty(group.current, group.end)
                group.current, group.first = group.begin, None
            elif kind == "repeat":
                self._repeat(groups[-1], *_times(text))
            elif kind == "defines":
                refuse_grammar("::= stands where it does not belong")
            else:
                self._item(groups[-1], kind, text)
        if len(groups) > 1:
            refuse_grammar("a ( is not closed")
        self._empty(groups[0].current, groups[0].end)
        return at

    def _group(self) -> _Group:
        begin = self._state()
        # Ends before all that is in it, so that the states of a group are neighbours from ``begin`` on.
        end = self._state()
        return _Group(begin, end, begin)

    def _item(self, group: _Group, kind: str, text: str) -> None:
        first = last = self._state()
        labels: list[Characters | str]
        if kind == "literal":
            labels = [((code, code),) for code, _ in _characters(text[1:-1])]
        elif kind == "set":
            labels = [_set(text[1:-1])]
        elif kind == "any":
            labels = [((0, _LAST),)]
        else:
            labels = [text]
        for label in labels:
            last = self._state()
            self.arcs[last - 1].append((label, last))
        self._append(group, first, last)

    def _append(self, group: _Group, first: int, last: int) -> None:
        self._empty(group.current, first)
        group.current, group.first = last, first

    def _repeat(self, group: _Group, least: int, most: int | None) -> None:
        """Make the last item of ``group`` appear ``least`` to ``most`` times (None: however often)."""
        first, last = group.first, group.current
        if first is None:
            refuse_grammar("a repetition follows nothing")
        if most is not None and most < least:
            refuse_grammar("a repetition's upper limit is below its lower one")
        copies = max(least, 1) if most is None else most
        if len(self.arcs) + (copies - 1) * (len(self.arcs) - first) > MOST_STATES:
            refuse_grammar("it is too large")
        item = [list(arcs) for arcs in self.arcs[first:]] if copies > 1 else []
        done = self._state()
        begin, end = first, last
        previous = last
        if least == 0:
            self._empty(begin, done) if copies else self._cut(first, done)
        for number in range(1, copies + 1):
            if number > 1:
                begin, end = self._copy(item, first, last)
                self._empty(previous, begin)
                if number > least:
                    self._empty(begin, done)
                previous = end
        if copies:
            self._empty(end, done)
            if most is None:
                self._empty(end, begin)
        group.current = done

    def _copy(self, item: list[list[Arc]], first: int, last: int) -> tuple[int, int]:
        shift = len(self.arcs) - first
        self.arcs.extend([(label, target + shift) for label, target in arcs] for arcs in item)
        return first + shift, last + shift

    def _cut(self, first: int, done: int) -> None:
        """The item that begins at ``first`` appears no times: only ``done`` can be reached from there."""
        self.arcs[first] = [(None, done)]

    def _empty(self, source: int, target: int) -> None:
        self.arcs[source].append((None, target))

    def _state(self) -> int:
        if len(self.arcs) >= MOST_STATES:
            refuse_grammar("it is too large")
        self.arcs.append([])
        return len(self.arcs) - 1


def _shortened(arcs: list[list[Arc]]) -> list[list[Arc]]:
    """The same network, in which no arc leads to a state that only leads on: parentheses within parentheses end in
    one step, however many they are."""
    final = [-1] * len(arcs)
    for state in range(len(arcs)):
        way = []
        while final[state] < 0:
            way.append(state)
            # For the time being, so that a loop which reads nothing ends here.
            final[state] = state
            if len(arcs[state]) == 1 and arcs[state][0][0] is None:
                state = arcs[state][0][1]
        for passed in way:
            final[passed] = final[state]
    return [[(label, final[target]) for label, target in leaving] for leaving in arcs]


def _times(text: str) -> tuple[int, int | None]:
    """(least, most) of a repetition."""
    if not text.startswith("{"):
        return {"*": (0, None), "+": (1, None), "?": (0, 1)}[text]
    least, comma, most = text[1:-1].partition(",")
    if not comma:
        return int(least), int(least)
    return int(least), int(most) if most.strip() else None


def _characters(text: str) -> list[tuple[int, bool]]:
    """The code points of a literal or set, and whether each was written with a backslash."""
    found, at = [], 0
    while at < len(text):
        match = _CHARACTER.match(text, at)
        number = match and (match[1] or match[2] or match[3])
        if match is None:
            refuse_grammar("a backslash stands at the end")
        if number:
            code = int(number, 16)
        elif match[4]:
            if match[4] not in _ESCAPES:
                refuse_grammar("it has a backslash before a character that needs none")
            code = ord(_ESCAPES[match[4]])
        else:
            code = ord(match[5])
        if code > _LAST:
            refuse_grammar("it has a character that does not exist")
        found.append((code, match[5] is None))
        at = match.end()
    return found


def _set(text: str) -> Characters:
    """The characters of a set such as ``a-z_`` or ``^"``."""
    negated = text.startswith("^")
    codes = _characters(text[1:] if negated else text)
    ranges, at = [], 0
    while at < len(codes):
        low = high = codes[at][0]
        if at + 2 < len(codes) and codes[at + 1] == (ord("-"), False):
            high = codes[at + 2][0]
            at += 2
        if high < low:
            refuse_grammar("a range of characters runs backwards")
        ranges.append((low, high))
        at += 1
    return _others(ranges) if negated else tuple(ranges)


def _others(ranges: list[tuple[int, int]]) -> Characters:
    """All characters that are in none of the ranges."""
    found, begin = [], 0
    for low, high in sorted(ranges):
        if low > begin:
            found.append((begin, low - 1))
        begin = max(begin, high + 1)
    if begin <= _LAST:
        found.append((begin, _LAST))
    return tuple(found)
