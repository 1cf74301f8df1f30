"""What stands unsaved in an input, kept in the home so that it survives a crash."""

import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from textual.timer import Timer
from textual.widget import Widget

from homeedit.errors import HomeEditError
from homeedit.household import Household

if TYPE_CHECKING:
    from homeedit.tui.app import HomeEditApp

_QUIET_SECONDS = 0.3
_unwritten: dict[tuple[Path, str], str] = {}
"""Texts that are newer than their home's file, by home and name; "" is to be forgotten."""
_changing = threading.Lock()
_writing = threading.Lock()


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
        _remember(self._face.household, self.name, text)
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
                _write(self._face.household)


def forget(face: "HomeEditApp", name: str) -> None:
    """Drop a text that was used, also after its input is gone."""
    keep(face, name, "")


def keep(face: "HomeEditApp", name: str, text: str) -> None:
    """Keep a text that stands in no input."""
    _remember(face.household, name, text)
    _write_apart(face)


def kept(household: Household) -> dict[str, str]:
    """All texts by their names, also those that are still being written."""
    # First the newer ones: what gets written meanwhile is found in one place or the other.
    with _changing:
        newer = {name: text for (home, name), text in _unwritten.items() if home == household.home.root}
    return {name: text for name, text in (household.typed() | newer).items() if text}


def _remember(household: Household, name: str, text: str) -> None:
    with _changing:
        _unwritten[household.home.root, name] = text


def _write_apart(face: "HomeEditApp") -> None:
    # A draft that cannot be kept is no reason to disturb the person who types it.
    household = face.household
    face.perform(lambda: _write(household), failed=lambda _: None)


def _write(household: Household) -> None:
    """Write every text of this home; what cannot be written is tried again with the next one."""
    with _writing:
        with _changing:
            texts = {name: text for (home, name), text in _unwritten.items() if home == household.home.root}
        for name, text in texts.items():
            household.keep_typed(name, text)
            with _changing:
                if _unwritten.get((household.home.root, name)) == text:  # else it was changed meanwhile
                    del _unwritten[household.home.root, name]
