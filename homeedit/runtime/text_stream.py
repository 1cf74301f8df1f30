"""An answer's bytes, token by token, as text that may be shown: whole characters, and no part of a stop string."""

import codecs
from collections.abc import Sequence


class TextStream:
    """Turns the bytes of tokens into text as soon as it is certain.

    ``strip``: white space at both ends is left out, so that the pieces together are what ``Runtime.text`` gives;
    white space is therefore held back until something comes after it. ``stopped`` says whether a stop string was
    met; its text and all after it are left out, and feeding on gives nothing.
    """

    def __init__(self, stop: Sequence[str] = (), *, strip: bool = True) -> None:
        self.stopped = False
        self._stop = [each for each in stop if each]
        self._strip = strip
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self._begun = False

    def feed(self, data: bytes) -> str:
        """The text that is certain now; often empty."""
        return self._release(self._decoder.decode(data), ended=False)

    def finish(self, *, cut: bool = False) -> str:
        """The rest of the text when no more bytes come. A character that has only begun is replaced, as a broken one
        is; where the text was ``cut`` off, so that the rest of it could not come, it is left out."""
        return self._release(self._decoder.decode(b"", final=not cut), ended=True)

    def _release(self, more: str, *, ended: bool) -> str:
        if self.stopped:
            return ""
        text = self._held + more
        if self._strip and not self._begun:
            text = text.lstrip()
        self.stopped, end = self._certain(text, ended)
        shown = text[:end]
        if self._strip:
            shown = shown.rstrip()
        self._held = "" if self.stopped or ended else text[len(shown) :]
        self._begun = self._begun or bool(shown)
        return shown

    def _certain(self, text: str, ended: bool) -> tuple[bool, int]:
        """Whether ``text`` has a stop string, and how much of it certainly belongs to the answer."""
        met = [at for at in (text.find(stop) for stop in self._stop) if at >= 0]
        if met:
            return True, min(met)
        if ended:
            return False, len(text)
        return False, min((len(text) - _begun(text, stop) for stop in self._stop), default=len(text))


def _begun(text: str, stop: str) -> int:
    """How many characters at the end of ``text`` may be the beginning of ``stop``."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)
