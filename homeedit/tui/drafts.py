"""What stands unsaved in an input, kept in the home so that it survives a crash."""

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from textual.timer import Timer
from textual.widget import Widget

from homeedit.errors import HomeEditError
from homeedit.household import Household

if TYPE_CHECKING:
    from homeedit.tui.app import HomeEditApp

_QUIET_SECONDS = 0.3


class Drafts:
    """The texts of an app's inputs that are newer than their home's file, by name; "" is to be forgotten."""

    def __init__(self, household: Household) -> None:
        self._household = household
        self._unwritten: dict[str, str] = {}
        self._changing = threading.Lock()
        self._writing = threading.Lock()

    def remember(self, name: str, text: str) -> None:
        """Note a text; ``write`` writes it."""
        with self._changing:
            self._unwritten[name] = text

    def kept(self) -> dict[str, str]:
        """All texts by their names, also those that are still being written."""
        # First the newer ones: what gets written meanwhile is found in one place or the other.
        with self._changing:
            newer = dict(self._unwritten)
        return {name: text for name, text in (self._household.typed() | newer).items() if text}

    def write(self) -> None:
        """Write every text; what cannot be written is tried again with the next one."""
        with self._writing:
            with self._changing:
                texts = dict(self._unwritten)
            for name, text in texts.items():
                self._household.keep_typed(name, text)
                with self._changing:
                    if self._unwritten.get(name) == text:  # else it was changed meanwhile
                        del self._unwritten[name]


class Draft:
    """The text of one input. ``keep`` it at every change; it is written a moment after the last one."""

    def __init__(self, owner: Widget, name: str) -> None:
        self._owner = owner
        self.name = name
        self._timer: Timer | None = None

    @property
    def _face(self) -> "HomeEditApp":
        return cast("HomeEditApp", self._owner.app)

    def keep(self, text: str) -> None:
        """Remember the text; "" forgets it."""
        self._face.drafts.remember(self.name, text)
        if self._timer is not None:
            self._timer.stop()
        self._timer = self._owner.set_timer(_QUIET_SECONDS, lambda: _write_apart(self._face))

    def flush(self) -> None:
        """Write what is not written yet: apart from the screen, or now if the app ends."""
        if self._timer is not None:
            self._timer.stop()
        if self._face.is_running and self._face.return_code is None:
            # The file may be held by another app for seconds, in which this one would stand still.
            _write_apart(self._face)
        else:
            with suppress(HomeEditError):
                self._face.drafts.write()


def forget(face: "HomeEditApp", name: str) -> None:
    """Drop a text that was used, also after its input is gone."""
    keep(face, name, "")


def keep(face: "HomeEditApp", name: str, text: str) -> None:
    """Keep a text that stands in no input."""
    face.drafts.remember(name, text)
    _write_apart(face)


def _write_apart(face: "HomeEditApp") -> None:
    # A draft that cannot be kept is no reason to disturb the person who types it.
    face.perform(face.drafts.write, failed=lambda _: None)
