#!/usr/bin/env python3
"""Measure what a household waits for, through the command line: seconds of each step on this machine.

    python benchmarks/speed.py [--facts FILE]

FILE holds one sentence a line (at least 13; default: the first sentences of benchmarks/household). Prints one line a
measurement, on stdout; takes a few minutes. Everything happens in a home that is deleted afterwards.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def sentences_of(file: Path) -> list[str]:
    """Sentences of a text file, or of JSON lines with a ``sentence``."""
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [json.loads(line)["sentence"] if line.startswith("{") else line for line in lines]


def run(home: Path, *arguments: str, accept: tuple[int, ...] = (0,)) -> tuple[str, float, float]:
    """Run homeedit; returns its stdout, wall seconds and CPU seconds."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "homeedit", "--home", str(home), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in accept:
        sys.exit(f"homeedit {' '.join(arguments)} exited {done.returncode}:\n{done.stderr}")
    return done.stdout, wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def report(what: str, seconds: float, unit: str = "s") -> None:
    """Print one measurement."""
    print(f"{what:58} {seconds:8.2f} {unit}", flush=True)


def measure_ledger(home: Path) -> None:
    """Help, and a list of 1,000 facts."""
    names = [f"box {number}" for number in range(1000)]
    sheet = home / "many.txt"
    sheet.write_text("".join(f"The {name} is on shelf {number + 1}.\n" for number, name in enumerate(names)))
    run(home, "fact", "import", str(sheet))
    report("homeedit --help, CPU", run(home, "--help")[2])
    report("fact list with 1,000 facts, CPU", run(home, "fact", "list", "--json")[2])


def measure_compiles(home: Path, sentences: list[str]) -> None:
    """init, twelve facts, one more, export, revert of the last patch."""
    report("init", run(home, "init")[1])
    sheet = home / "twelve.txt"
    sheet.write_text("".join(sentence + "\n" for sentence in sentences[:12]))
    run(home, "fact", "import", str(sheet))
    out, wall, _ = run(home, "compile", "--json", accept=(0, 3))
    report("compile of 12 facts, whole command", wall)
    show_stages(json.loads(out))
    run(home, "fact", "add", sentences[12])
    out, wall, _ = run(home, "compile", "--json", accept=(0, 3))
    report("one fact added to those 12, whole command", wall)
    show_stages(json.loads(out))
    newest = json.loads(run(home, "fact", "list", "--json")[0])[-1]["patch"]
    report("patch export", run(home, "patch", "export", newest, "-o", str(home / "one.safetensors"))[1])
    report("revert of that patch (link, splice, verify)", run(home, "patch", "revert", newest, accept=(0, 3))[1])


def show_stages(result: dict[str, dict[str, float]]) -> None:
    """Print a compile's stages."""
    for stage, seconds in result["seconds"].items():
        report(f"    {stage}", seconds)


def main() -> None:
    """Run all measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", type=Path, default=HERE / "household" / "household.jsonl")
    sentences = sentences_of(parser.parse_args().facts)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"{platform.system()} {platform.machine()}, {cores} cores, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        measure_compiles(home, sentences)
        measure_ledger(home)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    report("largest memory of any command", peak, "MiB")


if __name__ == "__main__":
    main()
