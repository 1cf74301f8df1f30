"""Which tokens may come next in an answer that has to follow a grammar."""

import codecs
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from homeedit.runtime.gbnf import Characters, Network, read_gbnf, refuse_grammar

_MOST_STEPS = 100_000
"""Steps through the network for one token; ordinary grammars need some hundreds."""

_NO_BYTES, _ENDS = 256, 257
"""In place of a first byte, of tokens that show nothing and of those that end the answer."""


class _Call:
    """A rule that was entered at one place of the text, and where to go on when it has ended: (state, the call that
    this state belongs to). Calls of one rule at one place are one, however many ways led there: so a grammar that
    can be read in exponentially many ways still takes little memory."""

    __slots__ = ("ended", "returns")

    def __init__(self) -> None:
        self.returns: set[tuple[int, _Call]] = set()
        self.ended = False
        """It can be empty. Only of use while the place at which it was entered is looked at."""


class _Steps:
    """Counts the work, to stop in time."""

    def __init__(self) -> None:
        self.taken = 0

    def count(self) -> None:
        self.taken += 1
        if self.taken > _MOST_STEPS:
            refuse_grammar("it is too ambiguous: there are too many ways to go on")


class _Place:
    """All that can come after some text: the characters, each with where it leads, and whether the text may end."""

    def __init__(self, network: Network, begin: Iterable[tuple[int, _Call]], root: _Call, steps: _Steps) -> None:
        self._network, self._root, self._steps = network, root, steps
        self._next: dict[str, _Place | None] = {}
        self.arcs: list[tuple[Characters, int, _Call]] = []
        self.may_end = False
        self._look(list(begin))

    def after(self, character: str) -> "_Place | None":
        """The place behind one more character; None if it cannot come here."""
        if character not in self._next:
            code = ord(character)
            reached = []
            for characters, target, call in self.arcs:
                self._steps.count()
                if any(low <= code <= high for low, high in characters):
                    reached.append((target, call))
            self._next[character] = _Place(self._network, reached, self._root, self._steps) if reached else None
        return self._next[character]

    def _look(self, work: list[tuple[int, _Call]]) -> None:
        """Follow every arc that reads nothing."""
        ends = self._network.ends
        entered: dict[str, _Call] = {}
        seen = set(work)

        def reach(state: int, call: _Call) -> None:
            self._steps.count()
            if (state, call) not in seen:
                seen.add((state, call))
                work.append((state, call))

        while work:
            state, call = work.pop()
            if state in ends:
                self.may_end |= call is self._root
                call.ended = True
                for back in tuple(call.returns):
                    reach(*back)
            for label, target in self._network.arcs[state]:
                if label is None:
                    reach(target, call)
                elif isinstance(label, tuple):
                    self.arcs.append((label, target, call))
                else:
                    inner = entered.get(label)
                    if inner is None:
                        inner = entered[label] = _Call()
                        reach(self._network.rules[label][0], inner)
                    inner.returns.add((target, call))
                    if inner.ended:
                        reach(target, call)


class Grammar:
    """How far an answer has come in a grammar. ``allows`` asks, ``accept`` goes on.

    Raises:
        HomeEditError: with exit code USAGE, the grammar is broken or too ambiguous.
    """

    def __init__(self, gbnf: str) -> None:
        network = read_gbnf(gbnf)
        root = _Call()
        self._steps = _Steps()
        self._place = _Place(network, [(network.rules["root"][0], root)], root, self._steps)
        self._partial = b""
        """The first bytes of a character whose others are still to come."""

    @property
    def may_end(self) -> bool:
        """Whether the answer is whole as it is."""
        return self._place.may_end and not self._partial

    @property
    def must_end(self) -> bool:
        """Whether nothing can follow."""
        return not self._place.arcs and not self._partial

    def allows(self, data: bytes) -> bool:
        """Whether the answer can go on with these bytes; no bytes are not allowed, as they lead nowhere."""
        return bool(data) and self._after(data) is not None

    def accept(self, data: bytes) -> None:
        """Go on with bytes that are allowed."""
        found = self._after(data)
        if found is None:
            raise ValueError("the grammar does not allow these bytes")
        self._place, self._partial = found
        self._steps.taken = 0

    def first_bytes(self) -> NDArray[np.bool_]:
        """For each byte value whether it may be the next; then whether a token without bytes and one that ends
        the answer may."""
        allowed = np.zeros(_ENDS + 1, np.bool_)
        allowed[_ENDS] = self.may_end
        if self._partial:
            allowed[0x80:0xC0] = True
            return allowed
        for characters, _, _ in self._place.arcs:
            for low, high in characters:
                # The first byte grows with the code point.
                allowed[_encoded(low)[0] : _encoded(high)[0] + 1] = True
        return allowed

    def _after(self, data: bytes) -> tuple[_Place, bytes] | None:
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            text = decoder.decode(self._partial + data)
        except UnicodeDecodeError:
            return None
        place: _Place | None = self._place
        for character in text:
            if place is None:
                return None
            place = place.after(character)
        partial = decoder.getstate()[0]
        if place is None or (partial and not _may_become(partial, place)):
            return None
        return place, partial


class TokenFilter:
    """Which tokens a grammar may allow, by their first bytes: quick to ask for the whole vocabulary."""

    def __init__(self, size: int, token_bytes: Callable[[int], bytes], is_end: Callable[[int], bool]) -> None:
        firsts = []
        for token in range(size):
            data = token_bytes(token)
            firsts.append(_ENDS if is_end(token) else data[0] if data else _NO_BYTES)
        self._first = np.array(firsts, np.int16)

    def __call__(self, grammar: Grammar) -> NDArray[np.bool_]:
        """[vocabulary]: False for tokens that ``grammar`` certainly does not allow now."""
        return np.asarray(grammar.first_bytes()[self._first])


def _may_become(partial: bytes, place: _Place) -> bool:
    """Whether a character that begins with these bytes can come at ``place``."""
    lead = partial[0]
    size = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    code = lead & (0xFF >> (size + 1))
    for byte in partial[1:]:
        code = code << 6 | byte & 0x3F
    missing = 6 * (size - len(partial))
    lowest, highest = code << missing, (code + 1 << missing) - 1
    return any(low <= highest and lowest <= high for characters, _, _ in place.arcs for low, high in characters)


def _encoded(code: int) -> bytes:
    return chr(code).encode("utf-8", "surrogatepass")
