"""The steps of long work as a list to tick off: what is done, what runs and for how long, what comes."""

import time
from collections.abc import Sequence

from rich.text import Text
from textual.widgets import Static

from homeedit.tui.words import plain
from homeedit.tui.work import Work
from homeedit.tui.workline import bar, duration

STEPS = {
    "targets": "learn the facts",
    "link": "add up the patches",
    "merge": "put them into the weights",
    "quantize": "write the model's file",
    "verify": "ask that file",
}
"""The steps of a build and what each does."""
_STAGES = {
    "link": ("link",),
    "merge and quantize": ("merge", "quantize"),
    "verify": ("verify",),
    "ask the base model": ("verify",),
    "other answers": ("verify",),
}
"""Stages by the name with which they are reported → the steps they are part of; all others learn the facts."""
_BUILDING = frozenset({"compile", "revert", "purge"})
_BAR_WIDTH = 16


def steps_of(work: Work) -> Sequence[str]:
    """The steps this work will take; none when that is not known."""
    if work.method in _BUILDING:
        return tuple(STEPS)
    return ("verify",) if work.method == "verify" else ()


def _step_of(stage: str) -> tuple[str, ...]:
    return _STAGES.get(stage, ("targets",))


def seconds_by_step(work: Work, now: float) -> dict[str, float]:
    """How long each step that began has taken."""
    end = now if work.running else work.began + work.seconds
    ends = [*(began for _, began in work.passed[1:]), end][: len(work.passed)]
    spent: dict[str, float] = {}
    for (stage, began), end in zip(work.passed, ends, strict=True):
        for step in _step_of(stage):
            spent[step] = spent.get(step, 0.0) + end - began
    return spent


def checklist(work: Work, now: float) -> Text:
    """The steps, a line each; for work of other kinds the stages it has told of."""
    steps = steps_of(work)
    if not steps:
        return _told(work, now)
    current = _step_of(work.stage) if work.stage and work.running else ()
    began = [list(steps).index(step) for step in current if step in steps]
    spent = seconds_by_step(work, now)
    lines = []
    for at, step in enumerate(steps):
        if step in current[1:]:
            lines.append(Text(f"▶ {step.ljust(9)} in the same pass", style="bold"))
        elif step in current:
            lines.append(_running(step.ljust(9), work, now))
        elif not began or at > began[-1]:
            lines.append(Text(f"○ {step.ljust(9)} {STEPS[step]}", style="dim"))
        elif step in spent:
            lines.append(Text(f"✓ {step.ljust(9)} {STEPS[step].ljust(26)} {duration(spent[step])}"))
        else:
            lines.append(Text(f"– {step.ljust(9)} not needed", style="dim"))
    return _joined(lines)


def _told(work: Work, now: float) -> Text:
    ends = [began for _, began in work.passed[1:]]
    lines = [
        Text(f"✓ {plain(stage)}  {duration(end - began)}")
        for (stage, began), end in zip(work.passed[:-1], ends, strict=True)
    ]
    if work.passed:
        lines.append(_running(plain(work.passed[-1][0]), work, now))
    return _joined(lines[-len(STEPS) :])


def _running(name: str, work: Work, now: float) -> Text:
    """The line of what runs: bar, count, time left; without a count, how long it has run."""
    parts = [f"▶ {name}"]
    if work.total:
        parts.append(f"{bar(work.share, _BAR_WIDTH)} {work.done}/{work.total}")
    else:
        parts.append(f"for {duration(now - work.stage_began)}")
    if work.left is not None:
        parts.append(f"about {duration(work.left)} left")
    return Text(" ".join([parts[0], "  ".join(parts[1:])]), style="bold")


def _joined(lines: Sequence[Text]) -> Text:
    return Text("\n", no_wrap=True, overflow="ellipsis").join(lines)


def headline(work: Work) -> str:
    """What runs, for how long, and where exactly it is."""
    parts = [f"{work.title}: {duration(work.elapsed())} so far"]
    if work.stopping:
        parts.append("stopping …")
    elif work.stage:
        parts.append(plain(work.stage))
        parts += [plain(work.note)] if work.note else []
    else:
        parts.append("starting a process for it")
    return "  ·  ".join(parts)


class Checklist(Static):
    """Headline and steps of the work that runs."""

    DEFAULT_CSS = """
    Checklist { height: auto; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("", id=id, markup=False)

    def show(self, work: Work, hint: str) -> None:
        """Show where the work is; ``hint`` says what a person can do meanwhile."""
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(headline(work), style="bold")
        text.append("\n").append_text(checklist(work, time.monotonic()))
        text.append("\n").append(hint, style="dim")
        self.update(text)
