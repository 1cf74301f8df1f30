#!/usr/bin/env python3
"""How far a home's model went from its base on general questions, more of them than verify asks.

    python benchmarks/locality.py HOME [HOME …] [--text FILE]

Asks the active build the 128 questions of benchmarks/household/general.jsonl, none of which a compile holds on to
(somebody wrote them who had not seen those; some are among verify's too). Prints the KL to the base on the base's own
answers (nats a token: over all tokens, and the median question), and how many of the base's right answers are still
right, of all and of those that it gives firmly. With --text also the perplexity of the text's first 20,000 characters
against the base.
"""

import argparse
import json
import statistics
from pathlib import Path

import numpy as np

from homeedit.base.store import BaseModel, list_bases
from homeedit.builds.history import active_build
from homeedit.progress import Progress
from homeedit.runtime.llama import Runtime
from homeedit.verify.locality import MOST_TOKENS, BaseAnswer, Question, ask_base, kl_of_likely
from homeedit.verify.recall import mentions

FILE = Path(__file__).resolve().parent / "household" / "general.jsonl"


def questions() -> tuple[Question, ...]:
    """The general questions."""
    items = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]
    return tuple(Question(item["ask"], tuple(item["expect"])) for item in items)


def measure(base: BaseModel, answers: tuple[BaseAnswer, ...], text: str, threads: int) -> str:
    """One line on the active build of a base model, whose answers are given."""
    build = active_build(base)
    if build is None:
        return "serves its base model"
    sums, means, right, firm = np.zeros(2), [], [0, 0], [0, 0]
    with Runtime(build.gguf, threads=threads) as runtime:
        for question, answer in zip(questions(), answers, strict=True):
            if not answer.tokens:
                continue
            found = runtime.answer_logprobs(runtime.chat_tokens(question.ask), answer.tokens)
            divergence = kl_of_likely(answer.likely, answer.logprobs, found)
            sums += divergence.sum(), len(divergence)
            means.append(float(divergence.mean()))
            before = runtime.text(answer.tokens)
            if mentions(before, question.expect):
                said = runtime.chat(question.ask, max_tokens=MOST_TOKENS, guess=before)
                still = mentions(said, question.expect)
                right = [right[0] + still, right[1] + 1]
                firm = [firm[0] + (still and answer.firm), firm[1] + answer.firm]
        perplexity = f", perplexity {runtime.perplexity(text):.2f}" if text else ""
    kept = f"kept {right[0]} of {right[1]}, {firm[0]} of {firm[1]} firm ones"
    return f"KL {sums[0] / sums[1]:.4f}, median {statistics.median(means):.4f}, {kept}{perplexity}"


def main() -> None:
    """Ask the base once, then every home."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("homes", nargs="+", type=Path)
    parser.add_argument("--text", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    text = options.text.read_text(encoding="utf-8")[:20_000] if options.text else ""
    bases = {home: found[0] for home in options.homes if (found := list_bases(home / "models"))}
    for home in options.homes:
        if home not in bases:
            parser.error(f"{home} has no base model")
    answers: dict[str, tuple[BaseAnswer, ...]] = {}
    for home, base in bases.items():
        if base.fingerprint not in answers:
            with Runtime(base.gguf, threads=options.threads) as runtime:
                answers[base.fingerprint] = ask_base(runtime, questions(), Progress())
                if text:
                    print(f"the base: perplexity {runtime.perplexity(text):.2f}", flush=True)
        print(f"{home}: {measure(base, answers[base.fingerprint], text, options.threads)}", flush=True)


if __name__ == "__main__":
    main()
