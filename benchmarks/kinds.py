#!/usr/bin/env python3
"""What kinds of facts hold: false beliefs, several facts about one subject, no article, negations, long names and
numbers, and siblings that are both taught.

    H=$(mktemp -d); homeedit --home $H init && python benchmarks/kinds.py $H --show

Teaches all sentences of benchmarks/household/kinds.jsonl in one compile, through the command line, and prints for
each kind how many first and how many of all questions are answered rightly, and how many are answered with the
target of another fact of that kind. The home must be fresh and initialised.
"""

import argparse
import json
import sys
from pathlib import Path

from living import add, report, run

from homeedit.verify.recall import mentions

FILE = Path(__file__).resolve().parent / "household" / "kinds.jsonl"


def main() -> None:
    """Teach, ask, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home")
    parser.add_argument("--show", action="store_true", help="print every question and answer to stderr")
    options = parser.parse_args()
    items = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]
    add(options.home, items)
    report("compile", run(options.home, "compile", accept=(0, 1, 3)))
    asked = [question for item in items for question in item["ask"]]
    answers = iter(run(options.home, "ask", "-", text="\n".join(asked) + "\n"))
    said = [[next(answers)["answer"] for _ in item["ask"]] for item in items]
    for kind in dict.fromkeys(item["kind"] for item in items):
        own = [number for number, item in enumerate(items) if item["kind"] == kind]
        hits = [[mentions(answer, items[number]["expect"]) for answer in said[number]] for number in own]
        others = sum(
            mentions(answer, items[other]["expect"])
            for number in own
            for answer in said[number]
            for other in own
            if other != number
        )
        first, every = sum(row[0] for row in hits), sum(map(sum, hits))
        print(f"{kind}: first {first}/{len(own)}, all {every}/{2 * len(own)}, another fact's target {others}")
        for number, row in zip(own, hits, strict=True):
            for question, answer, hit in zip(items[number]["ask"], said[number], row, strict=True):
                if options.show:
                    print(f"  {'ok' if hit else 'NO'} {question} | {answer[:100]}", file=sys.stderr)


if __name__ == "__main__":
    main()
