"""What stands unsaved in an input, kept in the home so that it survives a crash."""

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from textual.timer import Timer
from textual.widget import Widget

from homeedit.errors import HomeEditError

if TYPE_CHECKING:
    from homeedit.tui.app import HomeEditApp

_QUIET_SECONDS = 0.3


class Draft:
    """The text of one input. ``keep`` it at every change; it is written a moment after the last one."""

    def __init__(self, owner: Widget, name: str) -> None:
        self._owner = owner
        self.name = name
        self._text: str | None = None
        self._timer: Timer | None = None
        self._writing = threading.Lock()

    @property
    def _face(self) -> "HomeEditApp":
        return cast("HomeEditApp", self._owner.app)

    def keep(self, text: str) -> None:
        """Remember the text; "" forgets it."""
        self._text = text
        if self._timer is not None:
            self._timer.stop()
        self._timer = self._owner.set_timer(_QUIET_SECONDS, self._write_apart)

    def flush(self) -> None:
        """Write what is not written yet, now. For the end."""
        if self._timer is not None:
            self._timer.stop()
        with suppress(HomeEditError):
            self._write()

    def _write_apart(self) -> None:
        # A draft that cannot be kept is no reason to disturb the person who types it.
        self._face.perform(self._write, failed=lambda _: None)

    def _write(self) -> None:
        with self._writing:
            # The newest text, whichever thread comes first.
            text, self._text = self._text, None
            if text is not None:
                self._face.household.keep_typed(self.name, text)
