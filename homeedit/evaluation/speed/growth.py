"""How the time to add one fact grows with what a home holds already.

Measured whole, through the command line, in a home of 12 facts. For other sizes the compile alone is measured, on top
of a made-up patch that has the shape of a real one: as many facts, their keys, and a delta of the rank the recipe
would give it. Linking and quantizing do not grow with the number of facts; verifying asks each of them.
"""

import gc
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from homeedit.base.store import BaseModel
from homeedit.editing.compile import Parent
from homeedit.editing.delta import Delta, LowRank
from homeedit.editing.recipes import recipe_for
from homeedit.editing.statistics import Statistics
from homeedit.evaluation.speed.commands import measure_chain
from homeedit.evaluation.speed.compiles import timed_compile
from homeedit.evaluation.speed.measurement import Measurement
from homeedit.evaluation.speed.setup import Setup
from homeedit.facts.fact import Fact

SIZES = (10, 30, 100, 200, 1000)
QUICK_SIZES = (10, 30)
DELTA_SIZE = 1e-3
"""Root mean square of the made-up delta's entries, times √d_ff: about a thousandth of a weight of such a model."""
KEYS_A_FACT = 3


def measure(setup: Setup, sizes: Sequence[int] | None = None, chain: bool = True) -> Iterator[Measurement]:
    """The whole chain at 12 facts, then one fact compiled on top of made-up patches."""
    if chain:
        yield from measure_chain(setup)
    for size in sizes or (QUICK_SIZES if setup.quick else SIZES):
        setup.progress.say(f"growth: one fact on top of {size}")
        one, *others = setup.facts(size + 1)
        parent = made_up_parent(setup.base, others, setup.seed)
        found = timed_compile(setup, "joint", [one], [parent])
        longest = max(found.stages, key=lambda stage: found.stages[stage])
        yield Measurement(
            f"growth, one fact compiled on top of {size}",
            found.seconds,
            "s",
            note=f"compile alone, made-up patch; most of it {longest}, {found.stages[longest]:.1f} s",
        )
        del parent
        gc.collect()


def made_up_parent(base: BaseModel, facts: Sequence[Fact], seed: int) -> Parent:
    """A patch with these facts, a random delta of the recipe's rank, and random keys as large as preserved ones."""
    recipe = recipe_for("joint", base)
    # More ranks than outputs, or than directions used, a compile cannot give.
    rank = min(max(recipe.least_rank, recipe.rank_per_fact * len(facts)), base.d_model, recipe.most_directions)
    random = np.random.default_rng(seed)
    statistics = Statistics(base.statistics, base.fingerprint)
    delta: Delta = {}
    keys: dict[int, NDArray[np.floating]] = {}
    scale = (DELTA_SIZE / (base.d_ff * rank) ** 0.5) ** 0.5
    for layer in recipe.layers:
        size = float(statistics.second_moment(layer).diagonal().mean()) ** 0.5
        delta[layer] = LowRank(_drawn(random, rank, base.d_ff, scale), _drawn(random, base.d_model, rank, scale))
        keys[layer] = _drawn(random, KEYS_A_FACT * len(facts), base.d_ff, size)
    return Parent(tuple(facts), delta, keys)


def _drawn(random: np.random.Generator, rows: int, columns: int, scale: float) -> NDArray[np.float16]:
    return (random.standard_normal((rows, columns), dtype=np.float32) * scale).astype(np.float16)
