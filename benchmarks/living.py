#!/usr/bin/env python3
"""Live with a home for a while: facts added a few at a time through the command line, then one patch reverted.

    H=$(mktemp -d); homeedit --home $H init && python benchmarks/living.py $H --facts FILE --count 30 --each 3

FILE holds JSON lines with ``sentence``, ``ask`` (questions) and ``expect`` (words of a right answer). Prints a line
after every compile and the recall of all facts at the end, of all others after the revert of the middle patch, and
with --together of the same facts compiled at once. The home must be fresh and initialised, or know the first --known
facts of the file already.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from homeedit.verify.recall import mentions

Item = dict[str, Any]


def run(home: str, *arguments: str, text: str | None = None, accept: tuple[int, ...] = (0,)) -> Any:
    """What a homeedit command prints as JSON."""
    command = ["homeedit", "--home", home, *arguments, "--json"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode not in accept:
        sys.exit(f"homeedit {arguments[0]} exited {done.returncode}:\n{done.stderr[-800:]}")
    return json.loads(done.stdout)


def recall(home: str, items: list[Item]) -> tuple[float, float, list[bool]]:
    """Shares of first and of all questions answered rightly, and which first questions are."""
    questions = [question for item in items for question in item["ask"]]
    answers = iter(run(home, "ask", "-", text="\n".join(questions) + "\n"))
    hits = [[mentions(next(answers)["answer"], item["expect"]) for _ in item["ask"]] for item in items]
    first = [row[0] for row in hits]
    return sum(first) / len(first), sum(map(sum, hits)) / sum(map(len, hits)), first


def add(home: str, items: list[Item]) -> list[str]:
    """Put sentences into the ledger; their ids."""
    return [run(home, "fact", "add", item["sentence"])["id"] for item in items]


def report(what: str, result: dict[str, Any]) -> None:
    """One line about a compile."""
    failed = sum(fact["state"] == "failed" for fact in result["facts"])
    local = result["locality"]
    print(
        f"{what}: {result['seconds']['total']:.1f} s, build {result['build']}, activated {result['activated']}, failed "
        f"{failed} of {len(result['facts'])}, kept {local['kept']}/{local['asked']}, KL {local['kl']:.4f}",
        flush=True,
    )


def main() -> None:
    """Add, ask, revert, ask."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home")
    parser.add_argument("--facts", type=Path, required=True)
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--each", type=int, default=3)
    parser.add_argument("--known", type=int, default=0, help="of the facts, how many the home was taught before")
    parser.add_argument("--together", action="store_true", help="then consolidate, and ask again")
    options = parser.parse_args()
    lines = options.facts.read_text(encoding="utf-8").splitlines()
    items = [json.loads(line) for line in lines if line.strip()][: options.count]
    if not 0 <= options.known < len(items):
        parser.error(f"--known must be less than the {len(items)} facts that there are")
    groups = [items[at : at + options.each] for at in range(options.known, len(items), options.each)]
    ids = []
    for number, group in enumerate(groups):
        ids.append(add(options.home, group))
        report(f"{number + 1}. compile", run(options.home, "compile", accept=(0, 1, 3)))
    first, every, before = recall(options.home, items)
    print(f"one after the other: first {first:.2f}, all {every:.2f}", flush=True)
    if options.together:
        report("consolidated", run(options.home, "compile", "--consolidate", accept=(0, 1, 3)))
        first, every, _ = recall(options.home, items)
        print(f"all at once: first {first:.2f}, all {every:.2f}", flush=True)
        return
    middle = len(groups) // 2
    run(options.home, "patch", "revert", *ids[middle], accept=(0, 1, 3))
    local = run(options.home, "verify", accept=(0, 3))["locality"]
    print(f"without the middle patch: kept {local['kept']}/{local['asked']}, KL {local['kl']:.4f}")
    begin = options.known + middle * options.each
    end = begin + len(groups[middle])
    _, _, after = recall(options.home, items)
    others = [number for number in range(len(items)) if not begin <= number < end]
    lost = sum(before[number] and not after[number] for number in others)
    print(f"reverted facts still said: {sum(after[begin:end])}; others lost: {lost} of {len(others)}")


if __name__ == "__main__":
    main()
