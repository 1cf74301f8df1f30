"""One piece of long work at a time: where it is, what it said, how it ended."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from homeedit.household.results import BuildResult
from homeedit.progress import Progress


@dataclass
class Work:
    """Long work that runs or has ended. Changed in the app's thread only."""

    title: str
    method: str
    progress: Progress
    began: float = field(default_factory=time.monotonic)
    stage: str = ""
    total: int | None = None
    done: int = 0
    note: str = ""
    stage_began: float = field(default_factory=time.monotonic)
    lines: list[str] = field(default_factory=list)
    running: bool = True
    stopping: bool = False
    result: Any = None
    error: Exception | None = None
    seconds: float = 0.0
    arguments: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    """What the method was called with, so that it can be called again."""
    passed: list[tuple[str, float]] = field(default_factory=list)
    """The stages so far, the current one last, with the times at which they began."""

    @property
    def built(self) -> BuildResult | None:
        """The build that came of it: the result itself, or the last of a pair."""
        last = self.result[-1] if isinstance(self.result, tuple) and self.result else self.result
        return last if isinstance(last, BuildResult) else None

    @property
    def refused(self) -> int | None:
        """The number of the build that it made and that was not activated."""
        return self.built.build if self.built is not None and not self.built.activated else None

    @property
    def share(self) -> float | None:
        """How much of the stage is done, 0 to 1; None when its length is not known."""
        return min(1.0, self.done / self.total) if self.total else None

    @property
    def left(self) -> float | None:
        """Seconds that the stage will still take, at its pace so far; None when that cannot be told."""
        if not self.total or not 0 < self.done <= self.total:
            return None
        return (time.monotonic() - self.stage_began) / self.done * (self.total - self.done)

    def elapsed(self) -> float:
        """Seconds since it began, or that it took."""
        return time.monotonic() - self.began if self.running else self.seconds


class ReportedProgress(Progress):
    """Passes every report on as a change of the work, at most ten counts a second; from any thread."""

    def __init__(self, tell: Callable[[Callable[[Work], None]], None]) -> None:
        super().__init__()
        self._tell = tell
        self._counted = 0
        self._told = 0.0

    def on_stage(self, name: str, total: int | None) -> None:
        self._counted = 0

        def change(work: Work) -> None:
            work.stage, work.total, work.done, work.note = name, total, 0, ""
            work.stage_began = time.monotonic()
            work.passed.append((name, work.stage_began))
            work.lines.append(f"{name} ({total})" if total else name)

        self._tell(change)

    def on_advance(self, count: int, note: str) -> None:
        self._counted += count
        if time.monotonic() - self._told < 0.1:
            return
        counted, self._counted, self._told = self._counted, 0, time.monotonic()

        def change(work: Work) -> None:
            work.done += counted
            work.note = note

        self._tell(change)

    def on_say(self, line: str) -> None:
        self._tell(lambda work: work.lines.append(line))
