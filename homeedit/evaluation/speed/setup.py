"""What every section measures with, and the clock of a compile's stages."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

from homeedit.base.store import BaseModel
from homeedit.evaluation.speed.facts import repeated
from homeedit.facts.fact import Fact, ParsedFact
from homeedit.progress import Progress


@dataclass(frozen=True, slots=True)
class Setup:
    """The base model (only read), the sentences, the machine's share to use, and how much to measure.

    ``folder`` is an empty one for throw-away homes; ``command`` is how to call homeedit in a process of its own.
    """

    base: BaseModel
    sentences: tuple[ParsedFact, ...]
    folder: Path
    device: str
    threads: int
    seed: int
    progress: Progress
    count: int = 30
    reference_facts: int = 2
    quick: bool = False
    full: bool = False
    new_statistics: bool = False
    command: tuple[str, ...] = (sys.executable, "-m", "homeedit")

    def facts(self, count: int) -> tuple[Fact, ...]:
        """As many facts as asked for."""
        return repeated(self.sentences, count)


class StageClock(Progress):
    """Hands everything on to the progress that is shown, and keeps the seconds of every stage."""

    def __init__(self, shown: Progress) -> None:
        super().__init__()
        self._shown = shown
        self._seconds: dict[str, float] = {}
        self._running: tuple[str, float] | None = None

    def check(self) -> None:
        """Raise ``Cancelled`` if either was asked to stop."""
        super().check()
        self._shown.check()

    def on_stage(self, name: str, total: int | None) -> None:
        """Begin a stage; one of the same name continues it."""
        self._end()
        self._running = (name, time.perf_counter())
        self._shown.stage(name, total)

    def on_advance(self, count: int, note: str) -> None:
        """Hand on."""
        self._shown.advance(count, note)

    def on_say(self, line: str) -> None:
        """Hand on."""
        self._shown.say(line)

    def stages(self) -> dict[str, float]:
        """Seconds of every stage, in the order of their beginnings; ends the one that runs."""
        self._end()
        return dict(self._seconds)

    def _end(self) -> None:
        if self._running is not None:
            name, since = self._running
            self._seconds[name] = self._seconds.get(name, 0.0) + time.perf_counter() - since
            self._running = None
