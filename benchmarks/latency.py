#!/usr/bin/env python3
"""``python benchmarks/latency.py HOME``: how long a key takes to reach the screen while a compile runs.

Opens the app without a terminal on a copy of a home, compiles there in another process (all facts again, so that
it takes a while), types into the line of Facts meanwhile, and prints median and 95th percentile in milliseconds,
from the key to the frame that shows it. With ``--idle`` nothing is compiled.
"""

import argparse
import asyncio
import itertools
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from textual import events
from textual._compositor import CompositorUpdate
from textual.screen import Screen
from textual.widgets import Input

import homeedit.tui.app
from homeedit.household import Household
from homeedit.settings import Home
from homeedit.tui.app import HomeEditApp

LETTERS = "abcdefghijklmnopqrstuvwxyz"
WARM_UP = 5
PAUSE_SECONDS = 0.05


class TimedApp(HomeEditApp):
    """Renders every frame as for a terminal and notes when it was done."""

    CSS_PATH = str(Path(homeedit.tui.app.__file__).with_name("app.tcss"))

    def __init__(self, household: Household) -> None:
        super().__init__(household)
        self.framed = asyncio.Event()
        self.shown = 0.0

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        super()._display(screen, renderable)
        if isinstance(renderable, CompositorUpdate):
            renderable.render_segments(self.console)
        self.shown = time.perf_counter()
        self.framed.set()


async def key_to_frame(app: TimedApp, line: Input, letter: str) -> float:
    """Seconds from a key to the frame that shows its letter."""
    before = line.value
    assert app._driver is not None
    began = time.perf_counter()
    app._driver.send_message(events.Key(letter, letter))
    while True:
        app.framed.clear()
        await asyncio.wait_for(app.framed.wait(), timeout=10)
        if line.value != before:
            return app.shown - began


async def measure(app: TimedApp, keys: int, idle: bool) -> tuple[list[float], str]:
    """Latencies, and what ran meanwhile."""
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause(1.0)
        await pilot.press("a")
        line = app.focused
        assert isinstance(line, Input), f"no line to type in, but {line}"
        if not idle:
            app.start_work("Compile", "compile", consolidate=True)
            while app.work is not None and app.work.running and not app.work.stage:
                await pilot.pause(0.05)
        found: list[float] = []
        for letter in itertools.islice(itertools.cycle(LETTERS), keys + WARM_UP):
            if not idle and (app.work is None or not app.work.running):
                break
            found.append(await key_to_frame(app, line, letter))
            if len(line.value) > 60:
                line.value = ""
            await asyncio.sleep(PAUSE_SECONDS)
        stage = "nothing" if idle else app.work.stage if app.work else ""
        app.action_cancel_work()
        while app.work is not None and app.work.running:
            await pilot.pause(0.05)
    return found[WARM_UP:], stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("--keys", type=int, default=300)
    parser.add_argument("--idle", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "home"
        shutil.copytree(options.home, copy)
        found, stage = asyncio.run(measure(TimedApp(Household(Home(copy))), options.keys, options.idle))
    if len(found) < 2:
        raise SystemExit("The compile ended before enough keys were pressed: take a home with more facts.")
    ordered = sorted(1000 * seconds for seconds in found)
    at = min(len(ordered) - 1, round(0.95 * len(ordered)))
    print(
        f"{len(ordered)} keys while {stage or 'the compile'} ran: median {statistics.median(ordered):.1f} ms, "
        f"p95 {ordered[at]:.1f} ms, worst {ordered[-1]:.1f} ms"
    )


if __name__ == "__main__":
    main()
