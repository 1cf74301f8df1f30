"""The line at the bottom that shows long work in every pane."""

from rich.text import Text
from textual.widgets import Static

from homeedit.tui.work import Work

_WIDTH = 16


def duration(seconds: float) -> str:
    """Seconds as a person says them: "48 s", "3 min 5 s"."""
    whole = round(seconds)
    return f"{whole} s" if whole < 90 else f"{whole // 60} min {whole % 60} s"


def bar(share: float | None, width: int = _WIDTH) -> str:
    """A bar of text; without a share (length unknown) an empty one."""
    filled = round((share or 0) * width)
    return "█" * filled + "░" * (width - filled)


def described(work: Work) -> str:
    """Stage, bar, count and time left, in one line."""
    if not work.running:
        return f"{work.title}: {'failed' if work.error else 'done'} after {duration(work.elapsed())}"
    parts = [work.title, work.stage or "starting"]
    if work.total:
        parts.append(f"{bar(work.share)} {work.done}/{work.total}")
    if work.left is not None:
        parts.append(f"about {duration(work.left)} left")
    if work.stopping:
        parts.append("stopping …")
    return "  ".join(parts)


class WorkLine(Static):
    """Hidden while nothing runs."""

    def __init__(self) -> None:
        super().__init__("", markup=False)

    def show(self, work: Work | None, keys: str) -> None:
        """Show the work that runs; ``keys``: how to stop it."""
        self.set_class(work is not None and work.running, "-shown")
        if work is not None and work.running:
            self.update(Text(f"{described(work)}   {keys}", no_wrap=True, overflow="ellipsis"))
