"""All measurements, section by section, and how they compare."""

from collections.abc import Callable, Iterator, Sequence

from homeedit.errors import USAGE, HomeEditError
from homeedit.evaluation.speed import SECTIONS, commands, compiles, growth, reference, solve, statistics
from homeedit.evaluation.speed.machine import machine
from homeedit.evaluation.speed.measurement import Measurement
from homeedit.evaluation.speed.setup import Setup

MEASURES: dict[str, Callable[[Setup], Iterator[Measurement]]] = {
    "reference": reference.measure,
    "default": compiles.measure_default,
    "closed-form": compiles.measure_closed_form,
    "solve": solve.measure,
    "growth": growth.measure,
    "memory": compiles.measure_memory,
    "statistics": statistics.measure,
    "commands": commands.measure,
}
RATIOS = (
    (reference.ALL_ROWS, compiles.DEFAULT, ">= 5", "the same rows on both sides"),
    (reference.FEW_ROWS, compiles.DEFAULT, "", "fewer rows for the reference"),
    (reference.FEW_ROWS, compiles.CLOSED_FORM, ">= 15", "the same contexts on both sides"),
)
"""Measurement, divided by another, what is wanted of that, and what to know of it."""


def chosen_sections(only: str) -> tuple[str, ...]:
    """The sections named in a list with commas, in the order they are measured; all when it is empty.

    Raises:
        HomeEditError: there is no section of a name (exit code 2).
    """
    named = [name.strip() for name in only.split(",") if name.strip()]
    unknown = [name for name in named if name not in SECTIONS]
    if unknown or (only and not named):
        raise HomeEditError(
            f"There is nothing to measure called {', '.join(unknown) or only!r}.",
            f"Choose from: {', '.join(SECTIONS)}.",
            USAGE,
        )
    return tuple(name for name in SECTIONS if name in named or not named)


def run(setup: Setup, sections: Sequence[str]) -> list[Measurement]:
    """Measure the sections; each number is told to the progress as soon as it is there, for nothing to be lost."""
    found = [machine(setup.threads)]
    for section in sections:
        for measurement in MEASURES[section](setup):
            setup.progress.say(f"{measurement.name}: {measurement.shown} {measurement.unit}")
            found.append(measurement)
    return found + ratios(found)


def ratios(found: Sequence[Measurement]) -> list[Measurement]:
    """How many times faster the product is than the reference, where both were measured."""
    values = {measurement.name: measurement.value for measurement in found}
    return [
        Measurement(f"{slow} / {fast}", values[slow] / values[fast], "x", wanted, _with_stop(values, slow, fast, note))
        for slow, fast, wanted, note in RATIOS
        if slow in values and fast in values
    ]


def _with_stop(values: dict[str, float], slow: str, fast: str, note: str) -> str:
    stopped = values.get(f"{slow}, stopped at loss {reference.LEARNED}")
    return note if stopped is None else f"{note}; {stopped / values[fast]:.1f} with the published code's early stop"
