#!/usr/bin/env python3
"""CPU seconds until the terminal app shows its first frame, and until it lists the facts, from the start of Python,
imports and all.

    python benchmarks/first_frame.py HOME [--times 7] [--size 80x24]

Each run is a process of its own, without a terminal. Prints every run and the median. The issue asks for less than
0.5 s; the heavy packages that the app must not load are named if one was.
"""

import argparse
import statistics
import subprocess
import sys

FIRST_FRAME = """
import asyncio, sys, time
from pathlib import Path

from homeedit.household import Household
from homeedit.settings import Home
from homeedit.tui.app import HomeEditApp


def on_ready(self) -> None:
    # Sent when the first frame was shown.
    self.shown = time.process_time()
    self.set_interval(0.01, lambda: listed(self))


def listed(self) -> None:
    if self.panes.current is None or any(not worker.is_finished for worker in self.workers):
        return
    heavy = [name for name in ("torch", "transformers", "llama_cpp") if name in sys.modules]
    print(self.shown, time.process_time(), *heavy, file=sys.__stdout__, flush=True)
    self.exit()


HomeEditApp.on_ready = on_ready
width, height = map(int, sys.argv[2].split("x"))
HomeEditApp(Household(Home(Path(sys.argv[1])))).run(headless=True, size=(width, height))
"""


def measured(home: str, size: str) -> tuple[float, float]:
    """CPU seconds of one run: first frame, facts listed."""
    command = [sys.executable, "-c", FIRST_FRAME, home, size]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not done.stdout:
        sys.exit(f"The app did not open:\n{done.stderr[-2000:]}")
    frame, facts, *heavy = done.stdout.split()
    print(f"{float(frame):.3f} s, facts {float(facts):.3f} s{' loads ' + ', '.join(heavy) if heavy else ''}")
    return float(frame), float(facts)


def main() -> None:
    """Measure a home."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home")
    parser.add_argument("--times", type=int, default=7)
    parser.add_argument("--size", default="80x24")
    arguments = parser.parse_args()
    runs = [measured(arguments.home, arguments.size) for _ in range(arguments.times)]
    frame, facts = (statistics.median(column) for column in zip(*runs, strict=True))
    print(f"median: {frame:.3f} s of CPU to the first frame, {facts:.3f} s until the facts are listed")


if __name__ == "__main__":
    main()
