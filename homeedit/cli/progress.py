"""Progress of long work on stderr: a live bar on a terminal, plain lines elsewhere."""

import sys
import time
from typing import TYPE_CHECKING

from homeedit.cli.output import printable
from homeedit.progress import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

LINE_SECONDS = 5.0


class PlainProgress(Progress):
    """One line at the start of a stage, then at most one every five seconds with count and time left."""

    def __init__(self) -> None:
        super().__init__()
        self._name = ""
        self._total: int | None = None
        self._done = 0
        self._began = self._told = 0.0

    def on_stage(self, name: str, total: int | None) -> None:
        self._name, self._total, self._done = name, total, 0
        self._began = self._told = time.monotonic()
        self._print(f"{name} (0/{total})" if total else name)

    def on_advance(self, count: int, note: str) -> None:
        self._done += count
        now = time.monotonic()
        if now - self._told < LINE_SECONDS:
            return
        self._told = now
        line = f"{self._name} ({self._done}/{self._total})" if self._total else f"{self._name} ({self._done})"
        if self._total and 0 < self._done < self._total:
            left = (now - self._began) / self._done * (self._total - self._done)
            line += f", about {left:.0f} s left"
        self._print(f"{line}, {note}" if note else line)

    def on_say(self, line: str) -> None:
        self._print(line)

    def _print(self, line: str) -> None:
        print(printable(line), file=sys.stderr, flush=True)


class RichProgress(Progress):
    """A bar per stage with count, time passed and time left; it disappears when the work is done."""

    def __init__(self) -> None:
        super().__init__()
        self._bars: Bars | None = None
        self._task: TaskID | None = None

    def _started(self) -> "Bars":
        if self._bars is None:
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                SpinnerColumn,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
            )

            self._bars = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=30),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}", markup=False),
                console=Console(stderr=True),
                transient=True,
            )
            self._bars.start()
        return self._bars

    def on_stage(self, name: str, total: int | None) -> None:
        bars = self._started()
        if self._task is not None:
            bars.remove_task(self._task)
        self._task = bars.add_task(printable(name), total=total, note="")

    def on_advance(self, count: int, note: str) -> None:
        if self._task is not None:
            self._started().update(self._task, advance=count, note=printable(note)[:40])

    def on_say(self, line: str) -> None:
        if self._bars is not None:
            self._bars.console.print(printable(line), markup=False, highlight=False)
        else:
            print(printable(line), file=sys.stderr, flush=True)

    def on_finish(self) -> None:
        if self._bars is not None:
            self._bars.stop()
        self._bars = self._task = None


def progress_for_stderr() -> Progress:
    """The progress that fits where stderr goes."""
    return RichProgress() if sys.stderr.isatty() else PlainProgress()
