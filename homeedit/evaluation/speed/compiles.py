"""Compiles with the product's own code: seconds a fact and a stage, and memory."""

import gc
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from homeedit.editing.compile import Parent, compile_facts
from homeedit.editing.recipes import Method, recipe_for
from homeedit.evaluation.speed.commands import run_process
from homeedit.evaluation.speed.machine import peak_growth
from homeedit.evaluation.speed.measurement import Measurement
from homeedit.evaluation.speed.setup import Setup, StageClock
from homeedit.facts.fact import Fact

DEFAULT, CLOSED_FORM = "default (joint)", "closed form (alphaedit)"
LONE_FACTS = 12
"""Facts of the compile whose memory is measured."""


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds of a compile, of its stages, and the growth of resident memory at its peak in bytes."""

    seconds: float
    stages: dict[str, float]
    growth: int
    loss: float | None


def timed_compile(setup: Setup, method: Method, facts: Sequence[Fact], kept: Sequence[Parent] = ()) -> Timed:
    """Compile facts in this process; the result is thrown away."""
    gc.collect()
    clock = StageClock(setup.progress)
    start = time.perf_counter()
    with peak_growth() as growth:
        compiled = compile_facts(
            facts,
            base=setup.base,
            kept=kept,
            recipe=recipe_for(method, setup.base),
            seed=setup.seed,
            device=setup.device,
            threads=setup.threads,
            progress=clock,
        )
    return Timed(time.perf_counter() - start, clock.stages(), growth.bytes, compiled.report.get("loss"))


def measure_default(setup: Setup) -> Iterator[Measurement]:
    """The default recipe."""
    return _measure(setup, "joint", DEFAULT)


def measure_closed_form(setup: Setup) -> Iterator[Measurement]:
    """AlphaEdit in its cheap form."""
    return _measure(setup, "alphaedit", CLOSED_FORM)


def _measure(setup: Setup, method: Method, name: str) -> Iterator[Measurement]:
    found = timed_compile(setup, method, setup.facts(setup.count))
    loss = "" if found.loss is None else f", mean loss of its rows at the end {found.loss:.2f}"
    yield Measurement(
        name, found.seconds / setup.count, "s/fact", note=f"{setup.count} facts in {found.seconds:.1f} s{loss}"
    )
    for stage, seconds in found.stages.items():
        yield Measurement(f"{name}, {stage}", seconds, "s")
    yield Measurement(f"{name}, growth of resident memory", found.growth / 1e6, "MB", note="peak above the start")


def measure_memory(setup: Setup) -> Iterator[Measurement]:
    """Peak resident memory of a compile in a process of its own, against the model in float32."""
    setup.progress.stage(f"memory: {LONE_FACTS} facts in a process of its own", None)
    job = {
        "models": str(setup.base.folder.parent),
        "name": setup.base.name,
        "facts": [asdict(fact) for fact in setup.facts(LONE_FACTS)],
        "seed": setup.seed,
        "device": setup.device,
        "threads": setup.threads,
    }
    module = "homeedit.evaluation.speed.alone"
    peak = json.loads(run_process([setup.command[0], "-m", module], stdin=json.dumps(job)).out)["peak"]
    model = 4 * setup.base.parameters
    yield Measurement(
        "memory, peak of a compile", peak / 1e6, "MB", note=f"{LONE_FACTS} facts, default, interpreter and all"
    )
    yield Measurement("memory, peak / model in float32", peak / model, "x", "<= 2.5", f"of {model / 1e6:.0f} MB")
