"""What long work tells the person who waits: stage, count, and whether to stop."""

import threading

from homeedit.errors import Cancelled


class Progress:
    """Receives the course of long work. This one is silent; faces subclass it to show something.

    Work calls ``stage`` once per stage and ``advance`` within it; both raise ``Cancelled`` after
    ``cancel`` was called (from any thread), so every loop that reports can also be stopped.
    """

    def __init__(self) -> None:
        self._cancelled = threading.Event()

    def stage(self, name: str, total: int | None = None) -> None:
        """Begin a stage; ``total`` is the number of ``advance`` counts it takes, if known."""
        self.check()
        self.on_stage(name, total)

    def advance(self, count: int = 1, note: str = "") -> None:
        """Report ``count`` more units of the current stage done, with an optional short note."""
        self.check()
        self.on_advance(count, note)

    def say(self, line: str) -> None:
        """Tell the person one line of talk."""
        self.on_say(line)

    def finish(self) -> None:
        """End the last stage."""
        self.on_finish()

    def cancel(self) -> None:
        """Ask the work to stop at its next report."""
        self._cancelled.set()

    def check(self) -> None:
        """Raise ``Cancelled`` if the work was asked to stop."""
        if self._cancelled.is_set():
            raise Cancelled()

    def on_stage(self, name: str, total: int | None) -> None:
        """Show the beginning of a stage."""

    def on_advance(self, count: int, note: str) -> None:
        """Show progress within a stage."""

    def on_say(self, line: str) -> None:
        """Show a line of talk."""

    def on_finish(self) -> None:
        """Clear what was shown."""


class PartOf(Progress):
    """The course of one part of long work, told to the whole's: its stages carry the part's name."""

    def __init__(self, whole: Progress, name: str) -> None:
        super().__init__()
        self._whole = whole
        self._name = name

    def check(self) -> None:
        """Raise ``Cancelled`` if the whole was asked to stop."""
        self._whole.check()

    def on_stage(self, name: str, total: int | None) -> None:
        """Begin the stage of the whole."""
        self._whole.stage(f"{name} ({self._name})", total)

    def on_advance(self, count: int, note: str) -> None:
        """Advance the whole's stage."""
        self._whole.advance(count, note)

    def on_say(self, line: str) -> None:
        """Say it."""
        self._whole.say(line)
